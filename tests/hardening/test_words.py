"""What is said: short, of letters that the stream has, and never of a damaged file's own length."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from samples.clip_samples import write_calibrated
from strange_scenes import small_scene

from endogs.cli import LONGEST_SENTENCE, main, shown
from endogs.clip.cameras.focal_lengths import check_focal_lengths
from endogs.errors import InputError
from endogs.scene.scene_file import load_scene, save_scene


def test_long_quotations_lose_their_middle_and_keep_name_and_advice():
    said = shown(InputError(f"clip/transforms.json: p2 is {[0] * 30_000}, which is no number: correct it."))
    assert len(said) <= LONGEST_SENTENCE
    assert said.startswith("clip/transforms.json: p2 is [0, 0")
    assert said.endswith("which is no number: correct it.")
    assert shown(InputError("short")) == "short"


@pytest.mark.parametrize(
    ("fx", "fy", "possible"),
    [
        (570.0, 570.0, True),
        (570.0, 285.0, True),
        (40.0, 40.0, True),
        (1.2, 1.2, False),
        (9e18, 500.0, False),
        (500.0, 1e-300, False),
        (-500.0, 500.0, False),
        (float("nan"), 500.0, False),
        (0.0, 0.0, False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_focal_lengths_of_no_camera_are_refused(fx, fy, possible):
    K = np.diag([fx, fy, 1.0])[None]
    if possible:
        check_focal_lengths(K, 640, 512, "clip")
        return
    with pytest.raises(InputError, match="clip: "):
        check_focal_lengths(np.concatenate([np.diag([500.0, 500.0, 1.0])[None], K]), 640, 512, "clip")


def test_focal_lengths_in_widths_of_the_image_are_refused_by_name(tmp_path, capsys):
    folder = write_calibrated(tmp_path, fx=1.1, fy=1.1, cx=0.5, cy=0.5)
    assert main(["inspect", str(folder), "--out", str(tmp_path / "sheet.png")]) == 2
    said = capsys.readouterr().err
    assert str(folder) in said
    assert "in pixels of these images" in said


def test_a_damaged_mask_is_told_with_the_scenes_name(tmp_path):
    scene = small_scene("spline")
    assert scene.masks is not None
    packed = scene.masks.packed.copy()
    packed[3:] ^= 255
    save_scene(replace(scene, masks=replace(scene.masks, packed=packed)), tmp_path / "scene.safetensors")
    with pytest.raises(InputError, match=r"scene\.safetensors: its mask of frame 0 .*; copy it or fit it again"):
        load_scene(tmp_path / "scene.safetensors").tissue_mask(0)


def test_a_narrow_stream_gets_escapes_and_has_its_own_manners_back(tmp_path, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), "cp1252", errors="strict", write_through=True)
    monkeypatch.setattr(sys, "stdout", narrow)
    assert main(["phantom", str(tmp_path / "\U0001fac0"), "--frames", "2", "--width", "48", "--height", "40"]) == 0
    assert narrow.errors == "strict"
    assert b"U0001fac0" in narrow.buffer.getvalue()


def test_a_folders_name_is_no_markup_and_steers_nothing(tmp_path, capsys):
    name = "[red]\x7f[/red]"
    assert main(["phantom", str(tmp_path / name), "--frames", "2", "--width", "48", "--height", "40"]) == 0
    assert r"[red]\x7f[/red]: 2 frames" in capsys.readouterr().out.replace("\n", " ")
