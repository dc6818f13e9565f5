"""A stranger's scene ends well or in one sentence: spoiled files, odd ones, pictures of any size, texts that would act.

ENDOGS_ATTACK=1 tries thousands, with the seed ENDOGS_ATTACK_SEED.
"""

import os
import resource
import shutil
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from strange_scenes import ESCAPE, mutate, odd_scenes, samples, small_scene

from endogs.cli import main
from endogs.errors import InputError
from endogs.live.config import View
from endogs.live.view_command import show
from endogs.scene.origin import Origin
from endogs.scene.scene_file import LONGEST_SIDE, load_scene, save_scene

ATTACK = os.environ.get("ENDOGS_ATTACK") == "1"
SEED = int(os.environ.get("ENDOGS_ATTACK_SEED", "1"))
MUTATIONS = 4000 if ATTACK else 250
MOST_BYTES = 500e6
"""By which the process may grow over all mutations of files of a few kilobytes."""


def uses(scene: Path, out: Path) -> list[list[str]]:
    """Every command that reads a scene and needs nothing else."""
    kinds = [["points", "--time", "all", "--out", "points"], ["points", "--min-frames", "1", "--out", "p.ply"]]
    kinds += [["points", "--outlier-deviations", "2", "--out", "p.pcd"]]
    kinds += [["splats", "--out", f"s.{ending}"] for ending in ("ply", "splat", "glb")]
    kinds += [["mesh", "--out", f"m.{ending}"] for ending in ("ply", "obj", "glb")]
    kinds += [["video", "--what", what, "--out", f"{what}.mp4"] for what in ("render", "depth", "orbit")]
    kinds += [["depth", "--format", name, "--out", name] for name in ("png", "exr", "npy")]
    kinds += [["cameras", "--format", "tum", "--out", "c.tum"], ["cameras", "--format", "colmap", "--out", "colmap"]]
    kinds += [["cameras", "--format", "nerfstudio", "--out", "t.json"]]
    kinds += [["tracks", "--out", "t.csv"], ["tracks", "--out", "t.npz"], ["html", "--out", "h.html"]]
    found = [["export", kind, str(scene), *options[:-1], str(out / options[-1])] for kind, *options in kinds]
    return [*found, ["render", str(scene), "--what", "side-by-side", "--out", str(out / "r")]]


def tried(command: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Runs a command; what it said must be text, and what it refused one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy's overflows are wrong numbers without a word
        code = main(command)
    said = capsys.readouterr()
    assert code in (0, 2)
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err), ascii(said)
    if code == 2:
        last = said.err.splitlines()[-1]
        assert last.startswith("endogs: "), said.err
        assert all(line.startswith("note: ") for line in said.err.splitlines()[:-1]), said.err
        assert len(last) < 1200
    return code


def test_spoiled_files_are_refused_in_a_sentence_or_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, parts, path, out = (
        np.random.default_rng(SEED),
        samples(tmp_path),
        tmp_path / "scene.safetensors",
        tmp_path / "o",
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: Counter[str] = Counter()
    for number in range(MUTATIONS):
        done = mutate(parts[int(rng.integers(len(parts)))], rng, path)
        command = uses(path, out)[int(rng.integers(len(uses(path, out))))]
        refusal = ""
        try:
            load_scene(path)
        except InputError as error:
            refusal = str(error)
        except Exception as error:
            raise AssertionError(f"mutation {number}, {done}, was not refused but raised") from error
        if refusal:
            counts["refused when loaded"] += 1
            assert len(refusal) < 1000, (number, done)
            assert refusal.isprintable(), (number, done)
            continue
        out.mkdir()
        try:
            counts["worked" if tried(command, capsys) == 0 else "refused when used"] += 1
        except BaseException as error:
            raise AssertionError(f"mutation {number}, {done}: endogs {' '.join(command)}") from error
        shutil.rmtree(out)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(f"{MUTATIONS} spoiled scenes: {dict(counts)}, the process grew by {grown / 1e6:.0f} MB")
    assert grown < MOST_BYTES
    assert counts["refused when loaded"] > MUTATIONS / 3
    assert counts["worked"] > MUTATIONS / 20


@pytest.mark.parametrize("name", odd_scenes())
def test_odd_scenes_end_well_or_in_a_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scene.safetensors"
    save_scene(odd_scenes()[name], path)
    commands = uses(path, tmp_path)
    chosen = commands if ATTACK else [commands[(sum(map(ord, name)) + step * 7) % len(commands)] for step in range(3)]
    for command in chosen:
        tried(command, capsys)


@pytest.mark.skipif(not ATTACK, reason="a server for each")
@pytest.mark.parametrize("name", odd_scenes())
def test_odd_scenes_are_viewed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_scene(odd_scenes()[name], tmp_path / "scene.safetensors")
    with suppress(InputError):
        show(View(tmp_path / "scene.safetensors", port=0), lambda: None)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MB can be had."""
    monkeypatch.setattr("endogs.memory_budget.available_bytes", lambda: 100e6)


@pytest.mark.usefixtures("little_memory")
def test_pictures_that_do_not_fit_are_refused_before_they_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = replace(small_scene(), masks=None, visibility=None, width=LONGEST_SIDE, height=LONGEST_SIDE)
    save_scene(scene, tmp_path / "scene.safetensors")
    drawn: list[int] = []
    for module in ("endogs.render.native", "endogs.render.backends"):
        for name in ("rasterize_native", "rasterize_reference"):
            monkeypatch.setattr(f"{module}.{name}", lambda *given, **more: drawn.append(1), raising=False)
    for command in uses(tmp_path / "scene.safetensors", tmp_path):
        if command[1] in ("mesh", "video", "depth", "tracks", "html") or command[0] == "render":
            before = sorted(tmp_path.iterdir())
            assert main(command) == 2, command
            said = capsys.readouterr().err
            assert "of memory and 0.1 GB can be had" in said.splitlines()[-1], command
            assert sorted(tmp_path.iterdir()) == before, "nothing is left half-written"
    assert drawn == []


@pytest.mark.usefixtures("little_memory")
def test_a_scene_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    scene = small_scene("none")
    large = replace(scene, base=scene.base[:1].expand(2_000_000, 14), visibility=None)
    save_scene(large, tmp_path / "scene.safetensors")
    with pytest.raises(InputError, match=r"the scene needs 0\.1 GB of memory"):
        load_scene(tmp_path / "scene.safetensors")


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("width", 10**9, "beyond 16384 pixels a side"),
        ("height", LONGEST_SIDE + 1, "beyond 16384 pixels a side"),
        ("times", [0.0] * (10**6 + 1), "frames are more than 1000000"),
        ("times", [0.0, 1e12], "beyond 1e\\+09"),
    ],
)
def test_sizes_beyond_the_stated_limits_are_refused(tmp_path: Path, entry: str, value: object, told: str) -> None:
    parts = samples(tmp_path)[0]
    parts.metadata[entry] = value
    parts.write(tmp_path / "scene.safetensors")
    with pytest.raises(InputError, match=told):
        load_scene(tmp_path / "scene.safetensors")


def test_more_gaussians_than_stated_are_refused_from_the_header(tmp_path: Path) -> None:
    parts = samples(tmp_path)[1]
    parts.tensors["base"] = torch.zeros(0, 14)
    path = tmp_path / "scene.safetensors"
    parts.write(path)
    data = path.read_bytes()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    count = 100_000_001
    old = b'"base":{"dtype":"F32","shape":[0,14],"data_offsets":'
    where = header.index(old)
    end = int(header[where + len(old) :].split(b"[")[1].split(b",")[0])
    new = old.replace(b"[0,14]", f"[{count},14]".encode()) + f"[{end},{end + count * 56}]".encode()
    rest = header[header.index(b"}", where) :]
    changed = header[:where] + new + rest
    with path.open("wb") as file:
        file.write(len(changed).to_bytes(8, "little") + changed + data[8 + len(header) :])
        file.truncate(8 + len(changed) + end + count * 56)  # a sparse file: nothing of it is on the disk
    with pytest.raises(InputError, match=r"100000001 Gaussians are more than 100000000|not a whole scene"):
        load_scene(path)


@pytest.mark.parametrize("place", ["fifo", "device", "folder in the way"])
def test_what_is_no_file_is_told_and_nothing_waits(tmp_path: Path, place: str) -> None:
    path = tmp_path / "scene.safetensors"
    if place == "fifo":
        os.mkfifo(path)
    elif place == "device":
        path.symlink_to("/dev/zero")
    else:
        (path / "scene.safetensors").mkdir(parents=True)
    with pytest.raises(InputError, match=r"not a regular|folder without"):
        load_scene(path)


def test_texts_of_a_scene_and_of_names_are_shown_and_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b]0;b\x07\nc\udcff"
    scene = replace(small_scene(), masks=None, visibility=None, origin=Origin(clip=ESCAPE, clip_name=ESCAPE))
    save_scene(scene, folder / "scene.safetensors")
    for command in [*uses(folder, folder), ["evaluate", str(folder)]]:
        tried(command, capsys)
    show(View(folder / "scene.safetensors", port=0), lambda: None)
    said = capsys.readouterr()
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)


@pytest.mark.parametrize("title", ["<!--", "</title><script>alert(1)</script>", ESCAPE, "{{scene}}", "x" * 9000])
def test_a_title_stays_a_title(tmp_path: Path, title: str) -> None:
    save_scene(small_scene(), tmp_path / "scene.safetensors")
    assert main(["export", "html", str(tmp_path), "--title", title, "--out", str(tmp_path / "page.html")]) == 0
    plain = main(["export", "html", str(tmp_path), "--title", "plain", "--out", str(tmp_path / "plain.html")])
    assert plain == 0
    page, other = ((tmp_path / name).read_text("utf-8") for name in ("page.html", "plain.html"))
    for mark in ("<script", "</script", "<!--", "-->", "</title>", "<h1", "\x1b", "\u202e"):
        assert page.count(mark) == other.count(mark), mark


def test_pictures_larger_than_h264_holds_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_scene(
        replace(small_scene(), masks=None, visibility=None, width=9000, height=1), tmp_path / "scene.safetensors"
    )
    assert main(["export", "video", str(tmp_path), "--scale", "2", "--out", str(tmp_path / "v.mp4")]) == 2
    assert "of which H.264 holds 16384 a side" in capsys.readouterr().err
    assert not (tmp_path / "v.mp4").exists()
