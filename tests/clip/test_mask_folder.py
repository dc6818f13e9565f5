"""Masks in a folder of their own belong to the frames that they were drawn on, or are refused."""

import json

import cv2
import numpy as np
import pytest
from written_videos import HEIGHT, WIDTH, numbered, write

from endogs.clip import ClipOptions, load_clip
from endogs.clip.files.mask_folder import LIST, write_mask_folder
from endogs.errors import InputError

FRAMES = 8


def instrument(index):
    """A block that moves two pixels a frame."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:32, 10 + 2 * index : 22 + 2 * index] = True
    return mask


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write(tmp_path_factory.mktemp("video") / "lift.mp4", [numbered(i) for i in range(FRAMES)])


@pytest.fixture(scope="module")
def masks(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks") / "lift_masks"
    write_mask_folder(folder, load_clip(video, look=False), instrument, "a test")
    return folder


def read(path, **options):
    return load_clip(path, ClipOptions(**options), look=False)


@pytest.mark.parametrize(
    ("options", "frames"),
    [({}, range(8)), ({"stride": 3}, (0, 3, 6)), ({"start": 0.1, "end": 0.2}, (3, 4, 5))],
)
def test_every_part_of_a_video_finds_its_masks(video, masks, options, frames):
    clip = read(video, mask_folder=masks, **options)
    assert clip.masks_are_given
    assert len(clip) == len(frames)
    for index, frame in enumerate(frames):
        assert np.array_equal(clip.instrument(index), instrument(frame))


def test_masks_follow_a_crop_and_a_smaller_size(video, masks):
    clip = read(video, mask_folder=masks, crop=(8, 16, 40, 40), max_size=16)
    assert np.array_equal(clip.instrument(1), instrument(1)[17:40:2, 9:40:2])
    assert np.array_equal(clip.instrument(1), clip._framing.labels(instrument(1)))


def test_masks_of_small_frames_are_written_in_the_size_of_the_input(video, tmp_path):
    small = read(video, max_size=WIDTH // 2)
    write_mask_folder(tmp_path / "masks", small, lambda i: small._framing.labels(instrument(i)), "a test")
    back = read(video, mask_folder=tmp_path / "masks")
    assert (back.instrument(3) != instrument(3)).sum() <= 4  # the corners, which linear enlarging rounds
    assert np.unique(cv2.imread(str(tmp_path / "masks" / "000000.png"))).tolist() == [0, 255]


def test_masks_of_images_are_taken_as_their_masks_folder_too(tmp_path):
    folder = tmp_path / "clip" / "images"
    folder.mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(folder / f"frame-{index + 5:03d}.png"), numbered(index))
    write_mask_folder(tmp_path / "clip" / "masks", load_clip(folder, look=False), instrument, "a test")
    beside = load_clip(tmp_path / "clip", look=False)
    named = read(folder, mask_folder=tmp_path / "clip" / "masks", stride=2)
    assert np.array_equal(beside.instrument(2), instrument(2))
    assert np.array_equal(named.instrument(1), instrument(2))


def test_frames_without_a_mask_are_refused(video, tmp_path):
    write_mask_folder(tmp_path / "masks", read(video, stride=2), instrument, "a test")
    assert len(read(video, mask_folder=tmp_path / "masks", stride=4)) == 2
    with pytest.raises(InputError, match=r"masks of 4 frames, and none for 4 of the 8 that are read, such as 0.040 s"):
        read(video, mask_folder=tmp_path / "masks")
    with pytest.raises(InputError, match="--fps"):
        read(video, mask_folder=tmp_path / "masks", stride=2, fps=10)


def test_masks_of_another_clip_are_refused(masks, tmp_path):
    other = write(tmp_path / "other.mp4", [255 - numbered(i) for i in range(FRAMES)])
    with pytest.raises(InputError, match=r"frame 0 of .* is not the picture that its mask 000000.png was drawn on"):
        read(other, mask_folder=masks)
    larger = write(tmp_path / "larger.mp4", [numbered(i, 80, 64) for i in range(FRAMES)])
    with pytest.raises(InputError, match=r"for frames of size \[64, 48\]"):
        read(larger, mask_folder=masks)


def test_masks_of_other_programs_are_paired_in_order_and_said_to_be(video, masks, tmp_path):
    for index in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"m{index + 1}.png"), instrument(index).astype(np.uint8) * 255)
    clip = read(video, mask_folder=tmp_path)
    assert np.array_equal(clip.instrument(7), instrument(7))
    assert any("m1.png belongs to the frame at 0.000 s, m8.png to that at 0.280 s" in note for note in clip.notes)
    with pytest.raises(InputError, match="8 masks for 4 frames that are read"):
        read(video, mask_folder=tmp_path, stride=2)


def test_what_endogs_wrote_is_replaced_and_nothing_else(video, masks, tmp_path):
    clip, place = read(video), tmp_path / "masks"
    write_mask_folder(place, clip, instrument, "first")
    write_mask_folder(place, clip, lambda i: instrument(0), "second")
    assert json.loads((place / LIST).read_text())["made_by"] == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    place.with_name("masks.new").mkdir()  # as a save leaves it that is killed once the new masks are in place
    (place.with_name("masks.new") / LIST).write_bytes((place / LIST).read_bytes())
    write_mask_folder(place, clip, instrument, "after a kill")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    (place / "mine.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"such as mine.png: name a new folder with inspect --masks-out"):
        write_mask_folder(place, clip, instrument, "third")
    with pytest.raises(InputError, match="leave --crop away"):
        write_mask_folder(tmp_path / "new", read(video, crop=(0, 0, 32, 32)), instrument, "cropped")


def test_masks_of_frames_that_are_not_read_are_not_lost(video, masks):
    """A part of the clip, read with the masks of all of it, must not take the whole folder's place."""
    part = read(video, mask_folder=masks, stride=2)
    with pytest.raises(InputError, match=r"holds masks of 8 frames, and 4 are read.* read all frames, or name a new"):
        write_mask_folder(masks, part, instrument, "a part")
    assert len(json.loads((masks / LIST).read_text())["frames"]) == FRAMES


@pytest.mark.parametrize(("name", "value"), [("image", ["a"]), ("look", [1e300] * 16), ("look", [-1] * 16)])
def test_rows_of_other_kinds_are_refused(video, masks, tmp_path, name, value):
    content = json.loads((masks / LIST).read_text())
    content["frames"][0][name] = value
    cv2.imwrite(str(tmp_path / "0.png"), instrument(0).astype(np.uint8))
    (tmp_path / LIST).write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a list of masks"):
        read(video, mask_folder=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        *(
            {"format": "endogs-masks", "version": 1, "size": [64, 48], "frames": [row]}
            for row in (
                {"file": "../x.png", "time": 0, "look": [0] * 16},
                {"file": "", "time": 0, "look": [0] * 16},
                {"file": "0.png", "time": 0, "look": [0] * 16, "image": []},
                {"file": "0.png", "time": 0, "look": [1e300] * 16},
            )
        ),
    ],
)
def test_a_list_that_is_none_is_refused(video, masks, tmp_path, content):
    cv2.imwrite(str(tmp_path / "0.png"), instrument(0).astype(np.uint8))
    (tmp_path / LIST).write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a list of masks"):
        read(video, mask_folder=tmp_path)
    with pytest.raises(InputError, match="no folder with PNG files"):
        read(video, mask_folder=tmp_path / "none")
