"""The kernels of depth from parallax, compiled or in plain numpy: `cuda_ext/parallax_math.h` and its twin.

An epipolar matrix (3, 4) is K_b [R K_a^-1 | t]: it maps (u, v, 1, w), a pixel of one camera with its inverse depth, to
the homogeneous pixel of another. Pixels' centres lie at +0.5. Each call keeps to its thread: frames are worked on at
once, a thread for each.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from endogs import native
from endogs.priors.depth import parallax_reference
from endogs.priors.depth.depth_words import DepthWord, WordRule

Plane = NDArray[np.float32]
RELATIVE, ABSOLUTE = 0.01, 0.5
"""|there and back|^2 < RELATIVE (|there|^2 + |back|^2) + ABSOLUTE, as in `consistency_mask`."""


def epipolar_matrix(
    K_a: NDArray[np.float64], K_b: NDArray[np.float64], a_to_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3, 4) of intrinsics (3, 3) and the rigid motion (4, 4) from the axes of camera a to those of camera b."""
    return np.concatenate([K_b @ a_to_b[:3, :3] @ np.linalg.inv(K_a), (K_b @ a_to_b[:3, 3])[:, None]], 1)


def warp_by_depth(
    inverse: Plane,
    image: NDArray[np.uint8],
    tissue: NDArray[np.bool_],
    stand_in: NDArray[np.uint8],
    epipolar: NDArray[np.float64],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Plane]:
    """Another camera's grey `image` (H, W) as this one sees it at an inverse depth (H, W) > 0.

    Also where it shows `tissue` (H, W) of the other's, `stand_in` (H, W) being seen elsewhere, and the places (H, W, 2)
    where its pixels lie in the other picture.
    """
    if not native.available():
        found, seen, where = parallax_reference.warp_by_depth(inverse, image, tissue.view(np.uint8), stand_in, epipolar)
        return found, seen.view(np.bool_), where.astype(np.float32)
    warped, shown = np.empty(inverse.shape, np.uint8), np.empty(inverse.shape, np.uint8)
    places = np.empty((*inverse.shape, 2), np.float32)
    sources = (np.ascontiguousarray(a) for a in (inverse, image, tissue.view(np.uint8), stand_in))
    native.module().warp_by_depth(*sources, epipolar.astype(np.float32), warped, shown, places)
    return warped, shown.view(np.bool_), places


def triangulate_flow(
    flow: Plane,
    back: Plane | None,
    tissue: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    epipolar: NDArray[np.float64],
    step: int,
    places: Plane | None = None,
    farthest: float = np.inf,
) -> Plane:
    """Five planes (5, h, w) of every `step`-th pixel, by its flow (H, W, 2) to another picture, and that back, if any.

    Inverse depth; its standard deviation for a flow that errs by a pixel; how many pixels the flow leads across the
    epipolar line, from where the pixel were if it was infinitely far, and from where it is. All are 0 where the flow
    does not come back, leaves the `tissue` (H, W) of either, is longer than `farthest` pixels, or means no depth. If
    the other picture was warped, `places` (H, W, 2) are where its pixels were taken from.
    """
    own, other = (np.ascontiguousarray(mask).view(np.uint8) for mask in tissue)
    rule = RELATIVE, ABSOLUTE, min(farthest, 1e9)
    if not native.available():
        found = parallax_reference.triangulate_flow(flow, back, own, other, places, epipolar, rule, step)
        return found.astype(np.float32)
    height, width = ((n - step // 2 + step - 1) // step for n in flow.shape[:2])
    out = np.empty((5, height, width), np.float32)
    native.module().triangulate_flow(flow, back, own, other, places, epipolar.astype(np.float32), *rule, step, out)
    return out


def agree_on_depth(
    values: Sequence[Plane],
    deviations: Sequence[Plane],
    words: Sequence[DepthWord],
    guess: Plane | None,
    rule: WordRule,
) -> tuple[Plane, Plane]:
    """Inverse depth (h, w) on which estimates and the words of other frames agree, and its standard deviation (h, w).

    The weighted median decides which agree; these are averaged by their precision. Words say by how much a `guess`
    (h, w) of the inverse depth is off. Where those that disagree weigh more, and where there is none, both are 0. At
    most 32 in all.
    """
    if not native.available():
        found = parallax_reference.agree_on_depth(values, deviations, words, guess, rule)
        return found[0].astype(np.float32), found[1].astype(np.float32)
    shape = values[0].shape if len(values) else words[0].inverse.shape
    value, deviation = np.empty(shape, np.float32), np.empty(shape, np.float32)
    matrices = np.stack([word.epipolar for word in words]).astype(np.float32) if words else None
    native.module().agree_on_depth(
        list(values),
        list(deviations),
        [word.inverse for word in words],
        [word.relative for word in words],
        matrices,
        guess,
        rule.inside,
        rule.firmest,
        rule.apart,
        value,
        deviation,
    )
    return value, deviation
