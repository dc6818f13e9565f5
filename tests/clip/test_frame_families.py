"""Which pictures of a folder are frames: the one family that is certain, all else said with counts or refused."""

import cv2
import numpy as np
import pytest
from drawn_frames import HEIGHT, WIDTH, mask, save, series, tissue

from endogs.clip import ClipOptions, load_clip
from endogs.clip.files.frame_families import families
from endogs.clip.files.picture_kinds import kind_of
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(6)]
OTHER_EYE = [tissue(i, seed=3) for i in range(6)]
MASKS = [mask(i) for i in range(6)]
DEPTHS = [np.full((HEIGHT, WIDTH), 900 + i, np.uint16) + np.arange(WIDTH, dtype=np.uint16) for i in range(6)]
SMALL = [cv2.resize(frame, (24, 20), interpolation=cv2.INTER_AREA) for frame in FRAMES]


def note_of(clip, word="left out"):
    return next(note for note in clip.notes if word in note)


def assert_reads_the_frames(folder, **options):
    clip = load_clip(folder, ClipOptions(borders="keep", **options))
    assert len(clip) == len(FRAMES)
    for index, frame in enumerate(FRAMES):
        assert np.abs(clip.image(index).astype(int) - frame).mean() < 12
    return clip


@pytest.mark.parametrize(
    ("frames", "others", "name", "what"),
    [
        ("frame_{}_endo.png", MASKS, "frame_{}_endo_mask.png", "6 like frame_#_endo_mask.png (labels)"),
        ("{:04d}.png", MASKS, "{:04d}_m.png", "6 like #_m.png (labels)"),
        ("{:04d}.jpg", MASKS, "{:04d}.png", "6 like #.png (labels)"),
        ("{:04d}.jpg", MASKS, "a{:04d}.jpg", "6 like a#.jpg (labels)"),
        ("Shot_{}.png", DEPTHS, "Depth_{}.png", "6 like depth_#.png (numbers)"),
        ("{:04d}_color.png", OTHER_EYE, "{:04d}_normals.png", "6 like #_normals.png (pictures)"),
        ("{:04d}.jpg", SMALL, "t_{:04d}.jpg", "6 like t_#.jpg (the same pictures again)"),
        ("{:04d}.png", FRAMES, "{:04d}.jpg", "6 like #.jpg (the same pictures again)"),
        ("{:04d}.png", MASKS[:2], "{:04d}_seg.png", "2 like #_seg.png (labels)"),
    ],
)
def test_what_belongs_to_frames_is_no_frame(tmp_path, frames, others, name, what):
    series(tmp_path, frames, FRAMES)
    series(tmp_path, name, others)
    note = note_of(assert_reads_the_frames(tmp_path))
    assert what in note
    assert "6 pictures like" in note


def test_a_single_file_that_fits_no_pattern_is_left_out(tmp_path):
    series(tmp_path, "{:08d}.jpg", FRAMES)
    save(tmp_path / "undistorted_mask.bmp", np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert "1 beside them is left out: undistorted_mask.bmp" in note_of(assert_reads_the_frames(tmp_path))


def test_the_many_pictures_of_cholecseg8k(tmp_path):
    series(tmp_path, "frame_{}_endo.png", FRAMES)
    for kind in ("mask", "color_mask", "watershed_mask"):
        series(tmp_path, "frame_{}_endo_" + kind + ".png", MASKS)
    assert "18 beside them are left out" in note_of(assert_reads_the_frames(tmp_path))


@pytest.mark.parametrize(
    ("left", "right"),
    [("{:06d}l.png", "{:06d}r.png"), ("left_{}.png", "right_{}.png"), ("cam0_{}.png", "cam1_{}.png")],
)
def test_two_eyes_are_asked_about_and_the_advice_works(tmp_path, left, right):
    series(tmp_path, left, FRAMES)
    series(tmp_path, right, OTHER_EYE)
    with pytest.raises(InputError, match=r"2 kinds.*6 like .*6 like .*--images") as error:
        load_clip(tmp_path)
    pattern = str(error.value).split('--images "')[1].split('"')[0]
    clip = assert_reads_the_frames(tmp_path, images=pattern)
    assert "leaves out 6 of the 12" in note_of(clip, "--images")


def test_left_and_right_are_no_film(tmp_path):
    save(tmp_path / "left.png", FRAMES[0])
    save(tmp_path / "right.png", OTHER_EYE[0])
    with pytest.raises(InputError, match=r"left\.png, right\.png"):
        load_clip(tmp_path)


def test_a_choice_that_fits_nothing_names_what_is_there(tmp_path):
    series(tmp_path, "{:04d}.png", FRAMES)
    with pytest.raises(InputError, match=r"no picture is like --images .*6 like #\.png"):
        load_clip(tmp_path, ClipOptions(images="frame_#.png"))


def test_a_choice_where_there_is_none_is_refused(tmp_path):
    from written_videos import numbered, write

    with pytest.raises(InputError, match="--images is for folders"):
        load_clip(write(tmp_path / "a.mp4", [numbered(0)]), ClipOptions(images="#.png"))


@pytest.mark.parametrize(
    "names", [["one", "two", "three", "four", "five", "six"], ["0a3f", "1b2c", "2c9d", "3d0e", "4e77", "5f1a"]]
)
def test_names_without_a_pattern_are_read_in_order(tmp_path, names):
    for name, frame in zip(sorted(names), FRAMES, strict=True):
        save(tmp_path / f"{name}.png", frame)
    assert len(load_clip(tmp_path)) == 6


def test_endings_may_change_from_frame_to_frame(tmp_path):
    for index, (frame, ending) in enumerate(zip(FRAMES, ("png", "jpg", "JPEG", "bmp", "tif", "PNG"), strict=True)):
        save(tmp_path / f"{index:04d}.{ending}", frame)
    clip = assert_reads_the_frames(tmp_path)
    assert not any("left out" in note for note in clip.notes)


def test_series_one_after_the_other_are_said(tmp_path):
    for index, frame in enumerate(FRAMES):
        save(tmp_path / f"{'ab'[index > 2]}_{index}.png", frame)
    assert "3 like a_#.png, 3 like b_#.png" in note_of(assert_reads_the_frames(tmp_path), "2 kinds")


def test_pictures_of_a_kind_that_is_not_read(tmp_path):
    """Two of eight pictures would be a clip with a hole of six; saved as the refusal says, all eight are read."""
    for index in range(8):
        if index in (2, 5):
            save(tmp_path / f"IMG_{index:04d}.JPG", FRAMES[index])
        else:
            (tmp_path / f"IMG_{index:04d}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(InputError, match=r"6 of its 8 pictures are HEIC files .*save them as PNG or JPEG"):
        load_clip(tmp_path)
    for file in tmp_path.glob("*.HEIC"):
        save(file.with_suffix(".png"), tissue(int(file.stem[4:])))
        file.rename(tmp_path.parent / file.name)
    assert len(load_clip(tmp_path)) == 8
    (tmp_path / "IMG_0002.HEIC").touch()
    assert any("1 HEIC files" in note for note in load_clip(tmp_path).notes)


def test_numbers_that_jump_are_said(tmp_path):
    for number, frame in zip((1, 2, 3, 9, 10, 11), FRAMES, strict=True):
        save(tmp_path / f"Op 1 frame {number}.png", frame)
    assert "jump 1 times (3 to 9)" in note_of(assert_reads_the_frames(tmp_path), "jump")
    for folder, step in (("a", 1), ("b", 5)):
        for index, frame in enumerate(FRAMES):
            save(tmp_path / folder / f"{step * index}.png", frame)
        assert not any("jump" in note for note in load_clip(tmp_path / folder).notes)


def test_masks_given_as_frames_are_wondered_at(tmp_path):
    series(tmp_path, "{}.png", MASKS)
    assert any("are they masks" in note for note in load_clip(tmp_path, ClipOptions(borders="keep")).notes)


def test_files_that_mac_and_windows_leave_are_no_frames(tmp_path):
    series(tmp_path, "{:04d}.png", FRAMES)
    for name in ("._0000.png", ".DS_Store", "Thumbs.db", "desktop.ini", "README.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert not any("left out" in note for note in assert_reads_the_frames(tmp_path).notes)


def test_a_model_that_lists_its_images_needs_no_families(tmp_path):
    """COLMAP's images.txt names the frames, whatever their names look like."""
    from endogs.clip.layouts.colmap import read as read_colmap

    series(tmp_path / "images", "l{}.png", FRAMES[:2])
    series(tmp_path / "images", "r{}.png", OTHER_EYE[:2])
    model = tmp_path / "sparse" / "0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 50 50 24 20\n")
    rows = [f"{i + 1} 1 0 0 0 {i} 0 0 1 {name}\n\n" for i, name in enumerate(("l0.png", "l1.png", "r0.png", "r1.png"))]
    (model / "images.txt").write_text("".join(rows))
    (model / "points3D.txt").write_text("")
    assert len(read_colmap(tmp_path, ClipOptions()).times) == 4


def test_families_of_names(tmp_path):
    names = ["a1.png", "a2.png", "a10.png", "a1_mask.png", "b1.jpg", "b1.png"]
    found = {family.pattern: len(family.paths) for family in families([tmp_path / name for name in names])}
    assert found == {"a#.png": 3, "a#_mask.png": 1, "b#.jpg": 1, "b#.png": 1}


def test_kinds_of_pixels():
    jpeg = cv2.imdecode(cv2.imencode(".jpg", mask(3), [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_UNCHANGED)
    assert len(np.unique(jpeg)) > 2
    assert [kind_of(image) for image in (tissue(0), mask(0), jpeg, DEPTHS[0], DEPTHS[0] / 7)] == [
        "pictures", "labels", "labels", "numbers", "numbers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right"),
    [("left_{}.png", "right_{}.png"), ("{:04d}l.png", "{:04d}r.png"), ("Left_Image.png", "Right_Image.png")],
)
def test_two_eyes_in_one_folder_are_told_where_they_belong(tmp_path, left, right):
    """With their depth maps too, as SCARED's toolkit writes them; what the sentence advises is then read."""
    series(tmp_path, left, FRAMES)
    series(tmp_path, right, OTHER_EYE)
    series(tmp_path, f"depth_{left}", DEPTHS)
    with pytest.raises(InputError, match=r"images/ and images_right/ \(and depth into depth/\)") as error:
        load_clip(tmp_path)
    assert '--images "' in str(error.value)
    moved = tmp_path / "sorted"
    series(moved / "images", left, FRAMES)
    series(moved / "images_right", right, OTHER_EYE)
    series(moved / "depth", f"depth_{left}", DEPTHS)
    (moved / "calibration.json").write_text(
        '{"fx": 60, "fy": 60, "cx": 24, "cy": 20, "baseline_mm": 4, "depth_unit_mm": 0.1}'
    )
    clip = load_clip(moved)
    assert clip.has_right
    assert clip.has_depth


def test_kinds_that_are_no_two_eyes_are_not_called_so(tmp_path):
    series(tmp_path, "a_{}.png", FRAMES)
    series(tmp_path, "b_{}.png", OTHER_EYE)
    with pytest.raises(InputError, match="not certain") as error:
        load_clip(tmp_path)
    assert "images_right" not in str(error.value)
