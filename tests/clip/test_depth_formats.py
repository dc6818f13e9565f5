"""Given depth in every kind of file that a user may have, with the unit by option or from the data set."""

import json

import cv2
import numpy as np
import pytest
from layouts.exr import write_exr
from samples.clip_samples import HEIGHT, WIDTH, depth_map, write_calibrated, write_endonerf

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.priors.depth.given import GivenDepth


def write(folder, ending, dtype):
    """Depth of frame i in millimetres / 0.05, replacing what is there; 8-bit files hold a sixteenth of it."""
    for file in folder.glob("*"):
        file.unlink()
    for i in range(3):
        values = (depth_map(i) // 16 if dtype == np.uint8 else depth_map(i)).astype(dtype)
        file = folder / f"{i:06d}{ending}"
        if ending == ".npy":
            np.save(file, values)
        elif ending == ".exr":
            write_exr(file, {"Z": values}, 3)
        else:
            assert cv2.imwrite(str(file), values)


@pytest.mark.parametrize(
    ("ending", "dtype"),
    [
        (".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".tiff", np.float32),
        (".npy", np.float32), (".npy", np.float64), (".npy", np.int32), (".exr", np.dtype("<f4")),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_millimetres(tmp_path, ending, dtype):
    root = write_calibrated(tmp_path)
    write(root / "depth", ending, dtype)
    calibration = json.loads((root / "calibration.json").read_text())
    unit = 0.8 if dtype == np.uint8 else 0.05
    (root / "calibration.json").write_text(json.dumps(calibration | {"depth_unit_mm": unit}))
    clip = load_clip(root)
    expected = np.where(depth_map(2) == 0, 0, depth_map(2) * 0.05)
    np.testing.assert_allclose(clip.depth(2), expected, atol=0.81 if dtype == np.uint8 else 1e-4)
    assert clip.depth_is_quantized == (dtype == np.uint8)
    assert clip.units == "mm"
    np.testing.assert_allclose(load_clip(root, ClipOptions(depth_unit_mm=2 * unit)).depth(2), 2 * clip.depth(2))
    assert GivenDepth().prepare(clip, [0, 1, 2], clip.tissue_mask) is not None


def test_the_unit_by_option_makes_endonerf_depth_metric(tmp_path):
    root = write_endonerf(tmp_path)
    (root / "depth").mkdir()
    write(root / "depth", ".npy", np.float32)
    assert load_clip(root).units == "relative"
    clip = load_clip(root, ClipOptions(depth_unit_mm=0.05))
    assert (clip.units, clip.depth(1).shape) == ("mm", (HEIGHT, WIDTH))
    np.testing.assert_allclose(clip.depth(1)[3, 4], depth_map(1)[3, 4] * 0.05, rtol=1e-6)
