"""Where a scene comes from: read with its types, opened with care, and never a reason to run a model."""

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from samples.sliding_clip import InstrumentOnTheLeft, write_sliding_clip
from samples.stored_scenes import make_scene, rewrite

import endogs
from endogs.cli import main
from endogs.errors import InputError
from endogs.pictures.source_clip import clip_options, judged_masks, load_source_clip
from endogs.scene.origin import Origin
from endogs.scene.scene_file import load_scene, save_scene
from endogs.scene.stored_masks import StoredMasks

FULL = Origin(
    clip="clips/a:b.mp4",
    clip_name="a",
    clip_fingerprint="c0ffee",
    clip_from_scene="../clips/a:b.mp4",
    clip_options={"fps": 25.0, "crop": (0, 0, 64, 40), "borders": "keep", "start": None},
    time_offset=1.5,
    split="gap",
    training_frames=(0, 1, 3),
    masks="sam2",
    depth_kind="disparity",
    iterations=900,
    seed=-3,
    versions={"endogs": "1"},
)


def masks_of(frames=4, width=64, height=40):
    found = np.random.default_rng(3).random((frames, height, width)) < 0.5
    found[2] = True
    return found


def test_an_origin_and_its_masks_come_back_from_the_file(tmp_path):
    masks = masks_of()
    stored = StoredMasks.of(lambda i: masks[i], 4, 64, 40)
    save_scene(replace(make_scene(), origin=FULL, masks=stored), tmp_path / "s.safetensors")
    loaded = load_scene(tmp_path / "s.safetensors")
    assert loaded.origin == FULL
    assert loaded.masks is not None
    assert len(loaded.masks) == 4
    for frame in range(4):
        assert (loaded.masks.tissue_mask(frame) == masks[frame]).all()
    save_scene(loaded, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "s.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("clip", ["a"]),
        ("clip", "a" * 5000),
        ("clip_options", "--fps 3"),
        ("clip_options", {"crop": {"x": 1}}),
        ("clip_options", {str(i): i for i in range(1000)}),
        ("time_offset", "soon"),
        ("time_offset", 1e300),
        ("time_offset", True),
        ("training_frames", [0.5]),
        ("training_frames", [-1]),
        ("training_frames", [0, 9]),
        ("training_frames", {"0": 0}),
        ("masks", "sam3"),
        ("depth_kind", 3),
        ("seed", 1.5),
        ("seed", True),
        ("versions", {"endogs": 1}),
    ],
)
def test_an_entry_of_another_kind_is_told_in_one_sentence(tmp_path, entry, value):
    path = tmp_path / "scene.safetensors"
    save_scene(make_scene(), path)
    rewrite(path, lambda tensors, metadata: metadata["origin"].__setitem__(entry, value))
    with pytest.raises(InputError, match="not a valid scene, its origin") as caught:
        load_scene(path)
    assert len(str(caught.value)) < 400


def test_entries_that_are_not_known_are_left_out(tmp_path):
    path = tmp_path / "scene.safetensors"
    save_scene(make_scene(), path)
    rewrite(path, lambda tensors, metadata: metadata["origin"].update(weather={"rain": [1]}, seed=None))
    assert load_scene(path).origin == Origin()


@pytest.mark.parametrize(
    "options",
    [{"stride": "2"}, {"stride": 2.5}, {"crop": (1, 2, 3)}, {"borders": "open"}, {"fps": True}, {"fps": (1,)}],
)
def test_reader_options_of_another_kind_are_told(tmp_path, options):
    with pytest.raises(InputError, match=f"read with {next(iter(options))} = "):
        clip_options(Origin(clip_options=options), tmp_path)


@pytest.mark.parametrize(
    "named",
    [
        "/etc/passwd",
        "http://127.0.0.1:9/clip.mp4",
        "rtsp://127.0.0.1/clip.mp4",
        "pipe:0",
        "concat:a.mp4|b.mp4",
        "\\\\host\\share\\clip.mp4",
        "//host/share/clip.mp4",
        "/dev/zero",
        "/dev/video0.mp4",
        "/proc/self/fd/0",
        "queue.mp4",
        "zero.mp4",
        "notes.txt",
        "clip\x00.mp4",
        "a" * 3000 + ".mp4",
        "~nobody-of-this-name/clip.mp4",
        "loop.mp4",
    ],
)
def test_what_is_no_video_file_is_never_opened(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("queue.mp4")
    Path("zero.mp4").symlink_to("/dev/zero")
    Path("loop.mp4").symlink_to("loop.mp4")
    Path("notes.txt").write_text("mine")
    opened = []
    monkeypatch.setattr("endogs.pictures.source_clip.load_clip", lambda *given: opened.append(given))
    scene = replace(make_scene(), origin=Origin(clip=named))
    with pytest.raises(InputError, match="is not there any more as a folder or a video"):
        load_source_clip(scene, tmp_path / "scene.safetensors")
    assert opened == []


def test_a_name_that_looks_like_a_protocol_is_opened_as_the_file_that_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pipe:0.mp4").touch()
    opened = []
    monkeypatch.setattr("endogs.pictures.source_clip.load_clip", lambda path, options, look: opened.append(path))
    monkeypatch.setattr("endogs.pictures.source_clip.check_frames", lambda scene, clip: None)
    load_source_clip(replace(make_scene(), origin=Origin(clip="pipe:0.mp4")), Path("scene.safetensors"))
    assert opened == [Path("pipe:0.mp4")]  # which the reader of videos opens as a file, not as a protocol


def test_files_of_reader_options_are_looked_for_like_the_clip(tmp_path):
    for value in ("/etc/passwd", "http://a/b.png", "mask.txt"):
        with pytest.raises(InputError, match=r"ignore mask .* is not there as a file"):
            clip_options(Origin(clip_options={"ignore_mask": value}), tmp_path)


class NoClip:
    """A clip that says what it has, and shows nothing."""

    source, has_masks = Path("clip"), False
    ignored = np.zeros((40, 64), bool)


def test_no_model_is_run_for_a_scene(monkeypatch):
    def forbidden(*given):
        raise AssertionError("a model was asked for")

    monkeypatch.setattr("endogs.priors.instruments.sam2.load_model", forbidden)
    scene = replace(make_scene(), origin=Origin(masks="sam2", clip_options={"sam2_model": "someone/else"}))
    with pytest.raises(InputError, match="no model is run for a scene; give --masks given"):
        judged_masks(scene, NoClip())
    assert judged_masks(scene, NoClip(), "none")(0).all()
    masks = masks_of()
    held = replace(scene, masks=StoredMasks.of(lambda i: masks[i], 4, 64, 40))
    assert (judged_masks(held, NoClip())(1) == masks[1]).all(), "those that it holds"


@pytest.mark.parametrize(
    "stream",
    [b"nothing", zlib.compress(b"short"), zlib.compress(bytes(10**7)), zlib.compress(bytes(320))[:-6]],
    ids=["foreign", "short", "bomb", "cut"],
)
def test_a_damaged_mask_is_told_and_a_bomb_is_not_unpacked(stream):
    masks = StoredMasks(64, 40, np.frombuffer(stream, np.uint8), np.array([len(stream)], np.int64))
    with pytest.raises(ValueError, match="mask of frame 0"):
        masks.tissue_mask(0)


@pytest.mark.parametrize("ends", [[5, 5, 10, 20], [5, 4, 10, 20], [-1, 5, 10, 20], [1, 2, 3, 4], [1, 2, 3, 2**62]])
def test_streams_that_do_not_divide_are_told(tmp_path, ends):
    path = tmp_path / "scene.safetensors"
    masks = masks_of()
    save_scene(replace(make_scene(), masks=StoredMasks.of(lambda i: masks[i], 4, 64, 40)), path)

    def spoil(tensors, metadata):
        tensors["masks.packed"] = tensors["masks.packed"][:20].clone()
        tensors["masks.ends"] = torch.tensor(ends)

    rewrite(path, spoil)
    with pytest.raises(InputError, match="ends do not divide 20 bytes"):
        load_scene(path)


def test_a_reconstruction_stores_its_masks_and_evaluate_uses_them(masked_reconstruction, capsys, monkeypatch):
    out = masked_reconstruction
    scene = load_scene(out)
    assert scene.masks is not None
    assert scene.origin.masks == "given"
    assert scene.origin.training_frames == (0, 2, 3, 4)
    assert scene.masks.tissue_mask(3).mean() == pytest.approx(34 / 48)
    asked = []
    monkeypatch.setattr("endogs.pictures.source_clip.with_instrument_masks", lambda *given: asked.append(given))
    assert main(["evaluate", str(out), "--measures", "psnr"]) == 0, capsys.readouterr().err
    assert asked == []


@pytest.fixture
def masked_reconstruction(tmp_path):
    write_sliding_clip(tmp_path / "clip", 5)
    (tmp_path / "clip" / "masks").mkdir()
    mask = np.where(InstrumentOnTheLeft().read(0), 0, 255).astype(np.uint8)
    for frame in range(5):
        cv2.imwrite(str(tmp_path / "clip" / "masks" / f"{frame:03d}.png"), mask)
    options = {"preset": "fast", "iterations": 2, "gaussians": 100}
    return endogs.reconstruct(tmp_path / "clip", out=tmp_path / "out", masks="given", **options).out


def test_a_scene_with_a_tensor_of_no_memory_is_told(tmp_path):
    header = {"base": {"dtype": "F32", "shape": [2**63, 0], "data_offsets": [0, 0]}, "__metadata__": {"endogs": "{}"}}
    text = json.dumps(header).encode()
    (tmp_path / "s.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(InputError, match=r"not a (valid|whole) scene"):
        load_scene(tmp_path / "s.safetensors")
    save_file({}, tmp_path / "s.safetensors")
    with pytest.raises(InputError, match="not a scene"):
        load_scene(tmp_path / "s.safetensors")


@pytest.fixture
def two_patients(tmp_path, monkeypatch):
    """A folder per patient with a clip of the same name, length and size, and a scene fitted in the first."""
    for number, patient in enumerate(("first", "second")):
        write_sliding_clip(tmp_path / patient / "clip", frames=4)
        for file in (tmp_path / patient / "clip" / "images").iterdir():
            image = cv2.imread(str(file))
            cv2.imwrite(str(file), cv2.flip(image, number))
    monkeypatch.chdir(tmp_path / "first")
    assert main(["reconstruct", "clip", "--out", "scene", "--iterations", "2", "--gaussians", "100"]) == 0
    return tmp_path


def test_a_scene_finds_its_own_clip_from_any_folder(two_patients, monkeypatch):
    monkeypatch.chdir(two_patients / "second")  # where another clip of that name lies
    scene = load_scene("../first/scene")
    clip = load_source_clip(scene, Path("../first/scene"))
    assert clip.source.resolve() == two_patients / "first" / "clip"
    (two_patients / "first").rename(two_patients / "moved")
    clip = load_source_clip(scene, two_patients / "moved" / "scene")
    assert clip.source.resolve() == two_patients / "moved" / "clip"


def test_another_clip_of_the_same_name_is_refused_and_a_named_one_is_noted(two_patients, monkeypatch, capsys):
    (two_patients / "first" / "clip").rename(two_patients / "elsewhere")
    monkeypatch.chdir(two_patients / "second")
    capsys.readouterr()
    assert main(["evaluate", "../first/scene"]) == 2
    said = capsys.readouterr().err
    assert "shows other pictures" in said
    assert "--clip" in said
    assert main(["evaluate", "../first/scene", "--clip", str(two_patients / "elsewhere")]) == 0
    assert "same pictures" not in capsys.readouterr().err
    assert main(["evaluate", "../first/scene", "--clip", "clip"]) == 0
    assert "does not show the same pictures" in capsys.readouterr().err
