import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import tyro
from samples.clip_samples import HEIGHT, WIDTH, depth_map, write_calibrated, write_endonerf, write_images
from samples.tool_clip import write_tool_clip

from endogs.clip.config import ClipOptions
from endogs.clip.contact_sheet import CELL_WIDTH, contact_sheet
from endogs.clip.load import load_clip
from endogs.clip.view.coverage import coverage
from endogs.depth_colors import color_depth
from endogs.errors import InputError
from endogs.pipeline.config import Inspect
from endogs.pipeline.inspect import inspect


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_inspect_says_what_was_understood(in_folder, capsys):
    write_calibrated(in_folder / "lift")
    inspect(Inspect(in_folder / "lift", ClipOptions(ignore_rows=("14:16",))))
    words = " ".join(capsys.readouterr().out.split())
    depths = np.stack([depth_map(i) for i in range(3)]) * 0.05
    for expected in (
        "(calibrated-folder)",
        "frames 3",
        f"size {WIDTH} x {HEIGHT}",
        "25.000 frames per second",
        "fx 21.00, fy 22.00, cx 11.50, cy 8.25",
        "not given; unknown whether the camera moves",
        "units millimetres",
        "255 = instrument; they hide 7.8 % of the frame (6.2 to 9.4 %",
        f"median {np.median(depths[depths > 0]):.4g}",
        "known in 99.7 % of the pixels",
        "4.5 mm to the right",
        "ignored 12.5 %",
    ):
        assert expected in words
    assert cv2.imread("lift-inspect.png") is not None
    assert sorted(path.name for path in in_folder.iterdir()) == ["lift", "lift-inspect.png"]


def test_inspect_prints_guesses_and_notes(in_folder, capsys):
    write_images(in_folder / "frames", 2)
    inspect(Inspect(in_folder / "frames", out=in_folder / "new" / "sheet.png"))
    text = capsys.readouterr().out
    assert "(a guess)" in text
    assert "note: the frame rate is unknown" in text
    assert "none: reconstruct looks for instruments" in text
    assert (in_folder / "new" / "sheet.png").is_file()


def test_a_sheet_that_cannot_be_written_is_an_input_error(in_folder):
    write_images(in_folder / "frames", 1)
    (in_folder / "file").touch()
    with pytest.raises(InputError, match="--out"):
        inspect(Inspect(in_folder / "frames", out=in_folder / "file" / "sheet.png"))


def test_the_sheet_tints_instruments_green_and_ignored_rows_magenta(tmp_path):
    clip = load_clip(write_endonerf(tmp_path, 1), ClipOptions(ignore_rows=("12:16",)))
    sheet = contact_sheet(clip, None).astype(int)
    scale = CELL_WIDTH / WIDTH
    cell_height = round(HEIGHT * scale) + 18
    assert sheet.shape == (2 * (cell_height + 4) + 4, CELL_WIDTH + 8, 3)

    def overlay(row, column):
        return sheet[4 + cell_height + 4 + 18 + int((row + 0.5) * scale), 4 + int((column + 0.5) * scale)]

    frame = clip.image(0).astype(int)
    np.testing.assert_array_equal(overlay(8, 20), frame[8, 20])
    np.testing.assert_allclose(overlay(2, 3), (frame[2, 3] + [0, 255, 80]) / 2, atol=1)
    np.testing.assert_allclose(overlay(14, 20), (frame[14, 20] + [255, 60, 200]) / 2, atol=1)


def test_the_sheet_draws_depth_near_blue_far_red_unknown_black_as_renders_do(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip", 1))
    sheet = contact_sheet(clip, (50.0, 137.0)).astype(int)
    scale = CELL_WIDTH / WIDTH
    top = 2 * (round(HEIGHT * scale) + 18 + 4) + 4 + 18
    near = sheet[top + int(0.5 * scale), 4 + int(0.5 * scale)]
    far = sheet[top + int(15.5 * scale), 4 + int(23.5 * scale)]
    unknown = sheet[top + int(0.5 * scale), 4 + int(23.5 * scale)]
    assert near[2] > near[0]
    assert far[0] > far[2]
    drawn = color_depth(clip.depth(0), 50.0, 137.0)
    np.testing.assert_array_equal([near, far], [drawn[0, 0], drawn[15, 23]])
    assert unknown.tolist() == [0, 0, 0]


def test_coverage_counts_masks_beside_the_ignored_area(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip"), ClipOptions(ignore_rows=("8:16",)))
    seen = coverage(clip)
    assert seen.ignored == 0.5
    np.testing.assert_allclose(seen.instruments, np.array([24, 30, 36]) / (WIDTH * HEIGHT))
    assert seen.depth_known == pytest.approx(1 - 1 / (WIDTH * HEIGHT))


def test_the_command_line_reads_every_option():
    words = (
        "--start 1 --end 2.5 --stride 3 --max-size 64 --crop 1 2 30 40 --ignore-rows 5:6 --ignore-rows 8: clip.mp4 "
        "--ignore-mask m.png --mask-instrument-value 0 --focal 9 --fps 8 --depth-unit-mm 0.5 --pose-convention llff "
        "--mask-values instrument=1,2 unknown=255 --depth-is inverse --ignore-box 1,2,3,4"
    )
    options = ClipOptions(
        1.0,
        2.5,
        3,
        64,
        (1, 2, 30, 40),
        ("5:6", "8:"),
        Path("m.png"),
        0,
        9.0,
        8.0,
        0.5,
        pose_convention="llff",
        mask_values=("instrument=1,2", "unknown=255"),
        depth_is="inverse",
        ignore_box=("1,2,3,4",),
    )
    assert tyro.cli(Inspect, args=words.split()) == Inspect(Path("clip.mp4"), options)


def test_the_config_imports_without_heavy_libraries():
    code = (
        "import sys, endogs.clip.config, endogs.clip\n"
        "print(*sorted({'torch', 'cv2', 'av', 'numpy', 'rich.console'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "cv2", "av"} & set(done.stdout.split())


def test_inspect_shows_the_masks_that_would_be_used(in_folder, capsys):
    write_tool_clip(in_folder / "tool", 4)
    inspect(Inspect(in_folder / "tool", masks=True))
    words = " ".join(capsys.readouterr().out.split())
    assert "masks found, not given; they hide" in words
    assert "instruments were found in 4 of 4 frames" in words
    sheet = cv2.imread("tool-inspect.png").astype(int)
    assert ((sheet[..., 1] - sheet[..., 2] > 60) & (sheet[..., 1] > 120)).sum() > 1000, "tinted green"
    with av.open("tool-inspect.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 4
