"""A clip is known by what it shows, wherever it lies."""

import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from samples.sliding_clip import sliding_clip

from endogs.clip import load_clip
from endogs.clip.fingerprint import clip_fingerprint


@pytest.fixture
def clip(tmp_path):
    return sliding_clip(tmp_path / "clip", 6)


def test_a_copy_elsewhere_is_the_same_clip(clip, tmp_path):
    copied = tmp_path / "elsewhere" / "other name"
    shutil.copytree(clip.source, copied)
    for file in copied.rglob("*.png"):
        os.utime(file, ns=(1, 1))
    assert clip_fingerprint(load_clip(copied, clip.options)) == clip_fingerprint(clip)
    assert len(clip_fingerprint(clip)) == 32


@pytest.mark.parametrize("frame", [0, 3, 5])
def test_one_pixel_tells_clips_apart(clip, frame):
    before = clip_fingerprint(clip)
    file = sorted(clip.source.rglob("*.png"))[frame]
    image = cv2.imread(str(file))
    image[3, 4] ^= 1
    cv2.imwrite(str(file), image)
    assert clip_fingerprint(load_clip(clip.source, clip.options)) != before


def test_times_and_size_count(clip):
    before = clip_fingerprint(clip)
    assert clip_fingerprint(load_clip(clip.source, replace(clip.options, fps=12.5))) != before
    assert clip_fingerprint(load_clip(clip.source, replace(clip.options, max_size=20))) != before
    assert clip_fingerprint(load_clip(clip.source, replace(clip.options, stride=2))) != before


def test_masks_do_not_count(clip):
    class Nothing:
        def read(self, index):
            return np.zeros((clip.height, clip.width), bool)

    assert clip_fingerprint(clip.with_masks(Nothing())) == clip_fingerprint(clip)


def test_of_large_frames_rows_are_left_out(clip, monkeypatch):
    before = clip_fingerprint(clip)
    monkeypatch.setattr("endogs.clip.fingerprint.MOST_BYTES", 4000)
    assert clip_fingerprint(clip) != before
