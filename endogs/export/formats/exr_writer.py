"""OpenEXR files of one depth channel, written with OpenEXR's own library; `endogs.clip.files.exr_files` reads them."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.exr_library import import_openexr
from endogs.plain_text import is_text


def write_exr(path: Path, depth: NDArray[np.float32], units: str) -> None:
    """Writes depth (H, W) as the float32 channel Z with ZIP, and the attribute `units` (text).

    Raises InputError without OpenEXR, and OSError when the file cannot be written.
    """
    library = import_openexr(f"{path}: an EXR file")
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage, "units": units}
    try:
        found = library.File(header, {"Z": np.ascontiguousarray(depth, np.float32)})
        if is_text(path):
            found.write(str(path))
            return
        with tempfile.TemporaryDirectory() as folder:
            found.write(f"{folder}/depth.exr")
            shutil.move(f"{folder}/depth.exr", path)
    except RuntimeError as error:
        raise OSError(str(error)) from error
