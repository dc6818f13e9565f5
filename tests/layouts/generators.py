"""The generator of each data set's layout, by the name of its recipe; a new one takes part in the tests of all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from layouts.c3vd import write_c3vd
from layouts.colmap import write_colmap
from layouts.dvrk import write_dvrk
from layouts.endomapper import write_sequence
from layouts.endoslam import write_unity
from layouts.hamlyn import write_hamlyn
from layouts.nerfstudio import write_nerfstudio
from layouts.scared import write_scared
from layouts.simcol import write_simcol
from layouts.stereomis import write_stereomis, write_stereomis_frames
from layouts.tum_rgbd import write_tum
from samples.clip_samples import write_endonerf

GENERATORS: dict[str, Callable[[Path], Any]] = {
    "c3vd": write_c3vd,
    "colmap": write_colmap,
    "crcd": write_dvrk,
    "endomapper": write_sequence,
    "endonerf": write_endonerf,
    "endoslam": write_unity,
    "hamlyn": write_hamlyn,
    "nerfstudio": write_nerfstudio,
    "scared": write_scared,
    "simcol": write_simcol,
    "stereomis": write_stereomis,
    "stereomis_frames": write_stereomis_frames,
    "tum": lambda root: write_tum(root, 12),  # its recipe reads every fifth frame
}


def generated(name: str, root: Path) -> Path:
    """The folder that `endogs` is given, of a tiny data set that is written into `root`."""
    written = GENERATORS[name](root)
    places = [place for place in (written if isinstance(written, tuple) else (written,)) if isinstance(place, Path)]
    return places[0] if places and places[0].is_dir() else root
