"""Forms of the deformations as the peers have them, for rows that differ from ours in nothing else."""

from typing import Any

from endogs.scene.deformation.bases import BasesConfig
from endogs.scene.deformation.form import OutputUnits
from endogs.scene.deformation.hexplane import HexplaneConfig

SCENE_UNITS = OutputUnits(5.69, 1.0, 1.0, 1.0, 1.0)
"""The peers' outputs are plain offsets in EndoNeRF's units, whose tissue lies at a depth of about 100 with a focal
length of 569 pixels (the bounds in its poses_bounds.npy): one unit is 5.69 pixel footprints."""
ENDOGAUSSIAN_PLANES = HexplaneConfig(spatial=64, temporal=50, scales=(1, 2, 4, 8), features=64)
"""76 million numbers, for GPUs. Theirs have twice the cells in time, of which a clip uses half."""
FORMS: dict[str, Any] = {
    "bases-gaussian": BasesConfig(kernel="gaussian"),
    "bases-colorgs": BasesConfig(kernel="gaussian", constant=True),
    "hexplane-endo4dgs": HexplaneConfig(spatial=64, temporal=38, scales=(1, 2), features=32),
    "hexplane-endogaussian": ENDOGAUSSIAN_PLANES,
}
"""Numbers of a row's deformation, by the name in `Row.form`: Deform3DGS's bases as its paper writes them, ColorGS's,
and planes of 2.7 and of 76 million numbers."""
