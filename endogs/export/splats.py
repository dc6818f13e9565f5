"""Gaussians as the PLY of 3D Gaussian Splatting (Kerbl et al. 2023), the file that splat viewers open.

62 floats per Gaussian, the layout of the reference implementation at spherical harmonics of degree 3:
x y z, nx ny nz, f_dc_0..2, f_rest_0..44, opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from endogs.export.moments import moment, requested_times
from endogs.export.ply import write_ply
from endogs.output import write_one_or_many
from endogs.scene import Scene

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)); a viewer shows 0.5 + SH_C0 * f_dc."""
VIEW_DEPENDENT = 45
"""Coefficients f_rest of degrees 1 to 3, all zero: endogs' colours do not depend on the view."""


def export_splats(scene: Scene, times: Sequence[float] | str, path: Path, min_opacity: float = 0.0) -> list[Path]:
    """Writes the Gaussians, in the scene's units, with the normals that several viewers expect.

    `times` are seconds since the clip's first frame, "canonical" (no deformation) or "all"; one writes the file
    `path`, several the folder `path` with 000000.ply, 000001.ply... Normals are the shortest axis, turned to face the
    first camera.

    Returns the files. Raises InputError for a time outside the clip, a filter that leaves nothing, and a path that
    cannot be written.
    """
    moments = requested_times(scene, times)

    def write(file: Path, time: float | None) -> None:
        at = moment(scene, time, min_opacity)
        gaussians = at.gaussians
        count = len(gaussians)
        columns = dict(zip("xyz", gaussians.means.numpy().T, strict=True))
        columns |= dict(zip(("nx", "ny", "nz"), at.normals.numpy().T, strict=True))
        f_dc = (gaussians.colors.numpy() - np.float32(0.5)) / np.float32(SH_C0)
        columns |= {f"f_dc_{i}": f_dc[:, i] for i in range(3)}
        columns |= {f"f_rest_{i}": np.zeros(count, np.float32) for i in range(VIEW_DEPENDENT)}
        columns["opacity"] = gaussians.opacity_logits.numpy()
        columns |= {f"scale_{i}": gaussians.log_scales.numpy()[:, i] for i in range(3)}
        columns |= {f"rot_{i}": gaussians.quats.numpy()[:, i] for i in range(4)}
        write_ply(file, columns, at.comments)

    return write_one_or_many(path, ".ply", moments, write)
