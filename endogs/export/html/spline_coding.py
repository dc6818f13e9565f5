"""Control points of splines as few small integers, for the shareable player.

Transform coding (Goyal, "Theoretical foundations of transform coding", 2001), per group of channels:
- The metric is the trajectory's, not the control points': with the Gram matrix of the basis, G = integral of w w^T over
  the clip = L L^T, |L^T c|^2 is the energy over time of the curve that the control points c draw.
- The Karhunen-Loeve transform U, measured on the scene itself, packs a scene's common motions into few components.
- All components are rounded with one step, which is optimal at these rates; what moves little becomes runs of zeros.
The decoder computes c = D q with D = L^-T U step, a (Kn, Kn) matrix, so a control point costs Kn multiplications once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.scene.deformation.knots import Knots

SAMPLES = 8
"""Times per knot interval at which the Gram matrix is summed; the basis is cubic, so more changes nothing."""

END_WEIGHT = 1.0
"""Knot intervals that the clip's first and last instants count for: an integral alone lets a curve's ends swing."""

LARGEST_OFFSET, LARGEST_INTEGER = 1e8, 2**30
"""Steps beyond which an offset, and a component, are held: a hundred million pixels or so, beyond every picture."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CodedControl:
    """One group of channels of all control points."""

    integers: NDArray[np.int32]
    """(J, C, N): components of falling energy, channels, Gaussians; trailing components of zeros are left out."""
    decoder: NDArray[np.float64]
    """(Kn, J): a control point's offset is `decoder @ integers`, times the Gaussian's own step."""


def gram_matrix(knots: Knots) -> NDArray[np.float64]:
    """(Kn, Kn) integral of the basis' products over the clip, in mean knot intervals, and a share at its ends."""
    ends = np.array(knots.breakpoints)
    lengths = np.diff(ends)
    basis = knots.basis((ends[:-1, None] + (np.arange(SAMPLES) + 0.5) / SAMPLES * lengths[:, None]).ravel())
    weights = np.repeat(lengths / lengths.mean() / SAMPLES, SAMPLES)
    outer = knots.basis(ends[[0, -1]])
    return basis.T @ (weights[:, None] * basis) + END_WEIGHT * outer.T @ outer


def encode_control(control: Floats, knots: Knots, step: float, scale: Floats) -> CodedControl:
    """Codes control points (Kn, N, C) so that each curve's root mean square error is about 0.3 x `step` x `scale`.

    `scale` (N,) > 0 makes a Gaussian's step coarser or finer.
    """
    count, gaussians, channels = control.shape
    lower = np.linalg.cholesky(gram_matrix(knots) + 1e-9 * np.eye(count))
    with np.errstate(over="ignore"):  # what is beyond a float is cut like all that is beyond LARGEST_OFFSET
        steps = np.clip(control / (step * scale)[None, :, None], -LARGEST_OFFSET, LARGEST_OFFSET)
    curves = np.ascontiguousarray(steps.transpose(0, 2, 1)).reshape(count, -1)
    curves = lower.T.astype(np.float32) @ curves
    energy, vectors = np.linalg.eigh(np.asarray(curves @ curves.T, np.float64))
    vectors = vectors[:, np.argsort(-energy)]
    components = np.clip(np.rint(vectors.T.astype(np.float32) @ curves), -LARGEST_INTEGER, LARGEST_INTEGER)
    integers = components.astype(np.int32)
    used = np.flatnonzero(integers.any(1))
    kept = int(used[-1]) + 1 if len(used) else 0
    decoder = np.linalg.solve(lower.T, vectors)[:, :kept] * step
    return CodedControl(integers[:kept].reshape(kept, channels, gaussians), decoder)


def decode_control(coded: CodedControl, scale: Floats) -> Floats:
    """Control points (Kn, N, C), the inverse of `encode_control` up to its rounding."""
    kept, channels, gaussians = coded.integers.shape
    flat = coded.decoder.astype(np.float32) @ coded.integers.reshape(kept, channels * gaussians).astype(np.float32)
    control = flat.reshape(len(coded.decoder), channels, gaussians).transpose(0, 2, 1)
    return np.ascontiguousarray(control * scale[None, :, None])
