"""What refusals and notes about frames, time and places advise is done, and works."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from advised import names, option_in, read, said, sentence, the_one
from clip.drawn_frames import HEIGHT, WIDTH, mask, save, series, tissue
from clip.written_videos import numbered, write
from layouts import corner
from layouts.stereo_video import write_packed
from samples.clip_samples import write_calibrated, write_endonerf

from endogs.clip import Clip

TEN = [tissue(i) for i in range(10)]


@dataclass(frozen=True)
class Case:
    """An input that a sentence is said about, the option that the sentence names, and what is right with it."""

    about: str
    """Part of the sentence."""
    make: Callable[[Path], Path]
    options: list[str]
    """Options that the sentence must give with a value."""
    right: Callable[[Clip], bool]


def two_kinds(folder: Path) -> Path:
    series(folder, "left_{}.png", TEN[:5])
    return series(folder, "right_{}.png", TEN[5:])


def with_masks_beside(folder: Path) -> Path:
    series(folder, "frame_{}.png", TEN)
    return series(folder, "frame_{}_mask.png", [mask(i) for i in range(10)])


def paused(folder: Path) -> Path:
    stamps = [40 * i for i in range(5)] + [60_000 + 40 * i for i in range(7)]
    return write(folder / "paused.mkv", [numbered(i) for i in range(12)], stamps)


def joined(folder: Path) -> Path:
    """A stream that changes its size after six frames."""
    first = write(folder / "a.ts", [numbered(i) for i in range(6)])
    second = write(folder / "b.ts", [numbered(i, 80, 64) for i in range(6)], start=240)
    both = folder / "joined.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    return both


def with_card(folder: Path) -> Path:
    """A white card before ten moving frames."""
    moving = [tissue(i, 160, 128, seed=3) for i in range(12)]
    return write(folder / "card.mp4", [np.full_like(moving[0], 255)] * 8 + moving)


def twice(folder: Path) -> Path:
    moving = [tissue(i, 160, 128, seed=3) for i in range(12)]
    return write(folder / "twice.mp4", [frame for frame in moving for _ in range(2)])


def packed(folder: Path) -> Path:
    return write_packed(folder / "packed.mp4", "side-by-side")


def frames(folder: Path) -> Path:
    return series(folder / "frames", "{}.png", TEN)


CASES = {
    "kinds of pictures": Case("of 2 kinds", two_kinds, ["--images"], lambda c: len(c) == 5),
    "part before a pause": Case("pauses", paused, ["--end"], lambda c: len(c) == 5),
    "part after a pause": Case("pauses", paused, ["--start"], lambda c: len(c) == 7),
    "size changes": Case("but the first is", joined, ["--end"], lambda c: len(c) == 6 and c.width == 64),
    "card before": Case("not one shot", with_card, ["--start"], lambda c: len(c) == 12),
    "every frame twice": Case("comes 2 times", twice, ["--stride"], lambda c: len(c) == 12),
    "two views": Case("two views", packed, ["--stereo"], lambda c: c.width == corner.WIDTH),
}


@pytest.mark.parametrize("name", CASES)
def test_the_option_that_is_named_works(name, tmp_path):
    case = CASES[name]
    path = case.make(tmp_path)
    told = sentence(path, case.about)
    words = [word for option in case.options for word in option_in(told, option)]
    clip = read(path, *words)
    assert case.right(clip)
    assert not [text for text in clip.notes if case.about in text]


def test_pictures_that_were_left_out_can_be_chosen(tmp_path):
    told = sentence(with_masks_beside(tmp_path), "are left out")
    left_out = re.search(r"left out: 10 like (\S+\.png)", told)
    assert left_out, told
    chosen = read(tmp_path, names(told, "--images"), left_out[1])
    assert len(chosen) == 10
    assert set(np.unique(chosen.image(0))) == {0, 255}


def test_a_pattern_that_nothing_is_like_is_told_what_there_is(tmp_path):
    told = sentence(two_kinds(tmp_path), "no picture is like", "--images", "x_#.png")
    patterns = re.findall(r"5 like (\S+?)[,.]?(?: |$)", told)
    assert len(patterns) == 2
    assert [len(read(tmp_path, names(told, "--images"), pattern)) for pattern in patterns] == [5, 5]


@pytest.mark.parametrize(("rows", "first", "count"), [("47:40", -1, 1), ("7", -1, 1)])
def test_rows_that_are_no_range(rows, first, count, tmp_path):
    told = sentence(frames(tmp_path), "not a range of rows", "--ignore-rows", rows)
    example = re.search(r"such as (\d+:\d+)", told)
    assert example
    ignored = read(tmp_path / "frames", "--ignore-rows", example[1]).ignored
    assert ignored[first].all()
    assert ignored.sum() == count * WIDTH


def test_a_crop_outside_is_told_what_fits(tmp_path):
    told = sentence(frames(tmp_path), "does not fit", "--crop", "0", "0", "500", "20")
    bounds = re.search(r"X1 <= (\d+) and 0 <= Y0 < Y1 <= (\d+)", told)
    assert bounds
    clip = read(tmp_path / "frames", names(told, "--crop"), "0", "0", *bounds.groups())
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("fps", ["30", "25", "29.97", "7"])
def test_the_last_frame_is_where_it_is_said_to_be(fps, tmp_path):
    told = sentence(frames(tmp_path), "no frame", "--start", "900", "--fps", fps)
    last = re.search(r"last frame is at ([\d.]+) s", told)
    assert last
    clip = read(tmp_path / "frames", "--fps", fps, names(told, "--start"), last[1])
    assert len(clip) == 1
    assert (clip.image(0) == TEN[9]).all()


def test_an_end_before_the_start_is_told_what_to_give(tmp_path):
    told = sentence(frames(tmp_path), "comes before", "--start", "0.1", "--end", "0.01")
    later = re.search(r"after ([\d.]*\d)", told)
    assert later
    assert len(read(tmp_path / "frames", "--start", "0.1", names(told, "--end"), later[1])) > 0


def test_what_is_guessed_can_be_set(tmp_path):
    folder, told = frames(tmp_path), said(tmp_path / "frames")
    fps, focal = names(the_one(told, "frame rate"), "--fps"), names(the_one(told, "focal length guessed"), "--focal")
    clip = read(folder, fps, "10", focal, "77")
    np.testing.assert_allclose(np.diff(clip.times), 0.1)
    assert clip.K[0, 0, 0] == 77
    assert not [text for text in clip.notes if "frame rate" in text or "guessed" in text]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("--calibration", "calibration.json"), write_calibrated),
        (("--stereo", "top-bottom"), lambda folder: write_endonerf(folder, 3)),
        (("--images", "#.png"), lambda folder: write(folder / "v.mp4", [numbered(i) for i in range(4)])),
    ],
    ids=["calibration", "stereo", "images"],
)
def test_an_option_for_other_inputs_is_left_out(words, path, tmp_path):
    input = path(tmp_path)
    told = sentence(input, f"{words[0]} is for", *words)
    assert told.endswith(": leave it out.")
    assert len(read(input)) >= 3


def test_an_ignore_mask_is_drawn_on_an_original_frame(tmp_path):
    drawn = save(tmp_path / "ignore.png", np.full((20, 24), 255, np.uint8))
    told = sentence(frames(tmp_path), "draw it on an original frame", "--ignore-mask", str(drawn))
    size = re.search(r"frames are (\d+) x (\d+)", told)
    assert size
    whole = np.zeros((int(size[2]), int(size[1])), np.uint8)
    whole[:, :3] = 255
    ignored = read(tmp_path / "frames", "--ignore-mask", str(save(drawn, whole))).ignored
    assert ignored[:, :3].all()
    assert ignored.sum() == 3 * HEIGHT


def test_the_path_that_is_meant_is_a_clip(tmp_path):
    """Of a folder of a video, of a data set one and two folders down, and of folders of frames."""
    (tmp_path / "one").mkdir()
    write(tmp_path / "one" / "clip.mp4", [numbered(i) for i in range(4)])
    (tmp_path / "one" / "notes.txt").write_text("")
    write_endonerf(tmp_path / "two" / "set", 3)
    write_endonerf(tmp_path / "three" / "deep" / "set", 3)
    series(tmp_path / "four" / "frames", "{}.png", TEN)
    for name, count in {"one": 4, "two": 3, "three": 3, "four": 10}.items():
        told = sentence(tmp_path / name, "perhaps you mean")
        meant = re.search(r"perhaps you mean (?:the video |the frames in )?(/\S+?)(?:;| \()", told)
        assert meant, told
        assert len(read(Path(meant[1]))) == count


def test_folders_of_parts_archives_and_unread_pictures_say_what_to_give(tmp_path):
    for name in ("GX010042.MP4", "GX020042.MP4"):
        (tmp_path / "parts").mkdir(exist_ok=True)
        write(tmp_path / "parts" / name, [numbered(i) for i in range(4)])
    told = sentence(tmp_path / "parts", "perhaps you mean one of its 2 videos")
    meant = re.search(r"such as (/\S+)", told)
    assert meant, told
    assert len(read(Path(meant[1]))) == 4
    series(tmp_path / "frames", "{}.ppm", TEN[:3])
    sentence(tmp_path / "frames", "its 3 PPM files are not read: save them as PNG or JPEG")
    packed = Path(shutil.make_archive(str(tmp_path / "clip"), "zip", tmp_path / "frames"))
    sentence(packed, "by its name an archive: unpack it and give its folder")
    for file in (tmp_path / "frames").iterdir():
        save(file.with_suffix(".png"), TEN[int(file.stem)])
    assert len(read(tmp_path / "frames")) == 3


def test_files_that_a_cloud_or_git_has_not_fetched_are_told(tmp_path):
    series(tmp_path, "{}.png", TEN[:3])
    (tmp_path / "1.png").write_bytes(b"")
    sentence(tmp_path, "1.png: is empty: copy it again")
    (tmp_path / "1.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n")
    sentence(tmp_path, "Git LFS has not fetched: run git lfs pull")
    save(tmp_path / "1.png", TEN[1])
    assert len(read(tmp_path)) == 3


def test_half_a_data_set_is_completed_or_read_for_its_frames(tmp_path):
    whole = write_calibrated(tmp_path / "whole")
    half = shutil.copytree(whole, tmp_path / "half")
    (half / "images").rename(half / "pictures")
    told = sentence(half, "complete it, or give a folder with nothing but the frames")
    lacks = re.search(r"calibrated-folder: (\w+)/ holds no images", told)
    assert lacks, told
    alone = shutil.copytree(half / "pictures", tmp_path / "alone")
    assert len(read(alone)) == 3
    (half / "pictures").rename(half / lacks[1])
    assert len(read(half)) == 3


def test_pictures_that_are_not_read_are_saved_under_the_same_names(tmp_path):
    series(tmp_path, "img_{}.png", TEN[:3])
    for i in range(3, 10):
        (tmp_path / f"img_{i}.heic").write_bytes(b"\0\0\0\x18ftypheic")
    told = sentence(tmp_path, "save them as PNG or JPEG under the same names")
    assert "7 of its 10 pictures are HEIC files" in told
    for file in tmp_path.glob("*.heic"):
        save(file.with_suffix(".png"), TEN[int(file.stem[4:])])
        file.unlink()
    clip = read(tmp_path)
    assert all((clip.image(i) == TEN[i]).all() for i in range(10))


def test_a_stack_among_frames_is_given_alone(tmp_path):
    series(tmp_path / "mixed", "{}.tif", TEN[:4])
    assert cv2.imwritemulti(str(tmp_path / "mixed" / "4.tif"), [image[..., ::-1] for image in TEN])
    told = sentence(tmp_path / "mixed", "give the file itself, or a folder that holds nothing else")
    stack = Path(told.split(": ")[0])
    assert len(read(stack)) == 10
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(stack, alone)
    assert len(read(alone)) == 10


def test_deep_pictures_are_saved_with_16_bits(tmp_path):
    for i, image in enumerate(TEN[:3]):
        cv2.imwrite(str(tmp_path / f"{i}.tif"), image[..., ::-1].astype(np.float32) * 7 - 300)
    assert "save them with 8 or 16 bits" in said(tmp_path)[0]
    for i, image in enumerate(TEN[:3]):
        cv2.imwrite(str(tmp_path / f"{i}.tif"), image[..., ::-1].astype(np.uint16) * 257)
    clip = read(tmp_path)
    assert (clip.image(2) == TEN[2]).all()


def test_frames_of_one_size(tmp_path):
    folder = frames(tmp_path)
    odd = save(folder / "4.png", tissue(4, 60, 50))
    told = sentence(folder, "all frames of a clip must have one size")
    assert str(odd) in told
    save(odd, TEN[4])
    assert len(read(folder)) == 10
