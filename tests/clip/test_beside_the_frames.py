"""Pictures and videos in two places of one folder: one is read, and the other is said or asked about."""

import shutil

import pytest
from drawn_frames import save, series, tissue

from endogs.clip import load_clip
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(6)]


def test_a_film_beside_snapshots_is_named(tmp_path):
    series(tmp_path, "snapshot_{}.png", FRAMES[:3])
    assert not any("video" in note for note in load_clip(tmp_path, look=False).notes)
    (tmp_path / "operation.mp4").write_bytes(b"film")
    notes = load_clip(tmp_path, look=False).notes
    assert any(
        note.startswith("the 3 pictures are read, and not the video beside them, operation.mp4") for note in notes
    )


def test_frames_beside_a_fuller_images_folder_are_counted(tmp_path):
    series(tmp_path / "images", "{}.png", FRAMES)
    assert not any("beside images/" in note for note in load_clip(tmp_path, look=False).notes)
    save(tmp_path / "figure.png", FRAMES[0])
    clip = load_clip(tmp_path, look=False)
    assert "1 pictures beside images/, such as figure.png, are not read." in clip.notes
    assert len(clip) == 6


def test_more_frames_beside_images_than_in_it_are_asked_about_and_both_answers_work(tmp_path):
    series(tmp_path, "frame_{}.png", FRAMES)
    series(tmp_path / "images", "figure_{}.png", FRAMES[:2])
    with pytest.raises(InputError, match=r"holds 6 pictures, such as frame_0.png, and 2 more in images/"):
        load_clip(tmp_path)
    assert len(load_clip(tmp_path / "images", look=False)) == 2
    shutil.move(tmp_path / "images", tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert len(load_clip(tmp_path, look=False)) == 6


@pytest.mark.parametrize("mark", [" - Copy", " (1)", " - Kopie (2)", " copy", "_copy"])
def test_copies_of_frames_are_no_frames(tmp_path, mark):
    series(tmp_path, "frame{}.png", FRAMES)
    for i in (1, 4):
        shutil.copy(tmp_path / f"frame{i}.png", tmp_path / f"frame{i}{mark}.png")
    clip = load_clip(tmp_path, look=False)
    assert len(clip) == 6
    assert any(f"such as frame1{mark}.png, and are left out" in note for note in clip.notes)


def test_numbers_in_brackets_alone_number_frames(tmp_path):
    """Windows numbers so what is renamed together; a first one without brackets is another picture."""
    series(tmp_path, "frame ({}).png", FRAMES)
    assert len(load_clip(tmp_path, look=False)) == 6
    save(tmp_path / "frame.png", tissue(0, seed=4))
    assert len(load_clip(tmp_path, look=False)) >= 6
    assert not any("copies" in note for note in load_clip(tmp_path, look=False).notes)
