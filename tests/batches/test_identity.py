"""When a clip is the same as before, and when it is not."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.clip_samples import write_images

from endogs.batches.identity import Identity, files_signature, identity_of, sizes_of
from endogs.clip.config import ClipOptions
from endogs.clip.load import load_clip


def identity(place: Path) -> Identity:
    return identity_of(load_clip(place, ClipOptions(), look=False), place, "options")


@pytest.fixture
def clip(tmp_path) -> Path:
    """More frames than a fingerprint looks at."""
    write_images(tmp_path / "case", 20)
    return tmp_path / "case"


def test_a_frame_that_no_fingerprint_sees_is_seen_when_it_was_edited(clip):
    before = identity(clip)
    frame = sorted(clip.rglob("*.png"))[2]
    noise = np.random.default_rng(1).integers(0, 255, cv2.imread(str(frame)).shape, np.uint8)
    cv2.imwrite(str(frame), noise)
    after = identity(clip)
    assert after.pictures == before.pictures, "or the test shows nothing"
    assert after != before


def test_what_was_moved_or_touched_or_has_a_note_beside_is_the_same(clip):
    before, signature = identity(clip), files_signature(clip)
    for frame in clip.rglob("*.png"):
        os.utime(frame, ns=(1, 1))
    (clip / "notes.txt").write_text("mine")
    assert files_signature(clip) != signature, "it is opened, at least"
    moved = shutil.move(clip, clip.parent / "elsewhere")
    assert identity(Path(moved)) == before


def test_of_a_video_its_size_counts_and_its_name_does_not(tmp_path):
    film, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    film.write_bytes(b"1234")
    other.write_bytes(b"4321")
    assert sizes_of(film) == sizes_of(other)
    other.write_bytes(b"12345")
    assert sizes_of(film) != sizes_of(other)
    assert sizes_of(tmp_path / "none") == ""
    assert files_signature(tmp_path / "none") is None
    assert files_signature(film, [tmp_path / "none"]) is None
