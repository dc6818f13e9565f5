"""Damaged clips of every layout: each is read or refused in one sentence; nothing hangs or ends in a traceback.

ENDOGS_ATTACK=1 tries thousands, with the seed ENDOGS_ATTACK_SEED.
"""

import json
import os
import resource
import shutil
import signal
import struct
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts.c3vd import write_c3vd
from layouts.colmap import write_colmap
from layouts.dvrk import write_dvrk, write_yaml
from layouts.endomapper import write_frames, write_sequence
from layouts.endoslam import write_high_camera, write_tracker, write_unity
from layouts.exr import write_exr
from layouts.hamlyn import write_hamlyn
from layouts.nerfstudio import write_nerfstudio
from layouts.scared import write_scared, write_scared_video
from layouts.stereo_video import views, write_calibration
from layouts.stereo_video import write_video as write_view
from layouts.stereomis import write_stereomis, write_stereomis_frames
from layouts.tum_rgbd import write_tum
from mutations import mutate_folder
from samples.clip_samples import write_calibrated, write_depth, write_endonerf, write_images, write_masks, write_video

from endogs.bounded_arrays import read_npz
from endogs.clip import ClipOptions, load_clip
from endogs.clip.cameras.colmap_model import read_points
from endogs.clip.inspect import describe
from endogs.clip.view.coverage import coverage
from endogs.errors import InputError
from endogs.evaluate.ply_points import read_ply_points
from endogs.evaluate.tum_file import read_tum
from endogs.phantom.config import Phantom
from endogs.phantom.visibility import PhantomTruth
from endogs.pipeline.recipe import load_recipe, scenes_folder
from endogs.priors.depth.learned_input import read_preprocessing
from endogs.priors.depth.model_licence import read_licence

ATTACK = os.environ.get("ENDOGS_ATTACK") == "1"
SEED = int(os.environ.get("ENDOGS_ATTACK_SEED", "1"))
CASES = 170 if ATTACK else 12
LONGEST = 60
"""Seconds for one clip of a few frames; more is a hang. A video with 12 GB of nothing takes half of it."""
ROOM = 3 << 30
"""Bytes that reading may take; more is a MemoryError."""


def _folder(write: Callable[[Path], object]) -> Callable[[Path], Path]:
    """What writes into a folder that it does not return."""

    def written(root: Path) -> Path:
        write(root)
        return root

    return written


def _mixed(root: Path) -> Path:
    """A plain folder with frames, masks and depth of many formats, each read by another decoder."""
    write_images(root / "images", 4, "{:06d}.png")
    for i, suffix in enumerate((".jpg", ".bmp", ".tiff", ".webp"), 4):
        cv2.imwrite(str(root / "images" / f"{i:06d}{suffix}"), np.full((16, 24, 3), 90 + i, np.uint8))
    write_masks(root / "masks", 8, name="{:06d}.png")
    write_depth(root / "depth", 4, name="{:06d}.png")
    depth = np.linspace(20, 90, 16 * 24, dtype=np.float32).reshape(16, 24)
    np.save(root / "depth" / "000004.npy", depth)
    cv2.imwrite(str(root / "depth" / "000005.tiff"), depth)
    for i, compression in ((6, 0), (7, 3)):
        write_exr(root / "depth" / f"{i:06d}.exr", {"Z": depth}, compression)
    return root


def _stereo(root: Path) -> Path:
    root.mkdir()
    for name, frames in zip(("left.mp4", "right.mp4"), views(rectified=False), strict=True):
        write_view(root / name, frames)
    write_calibration(root / "calibration.json", rectified=False)
    return root


def _lens(model: str) -> Callable[[Path], Path]:
    """A calibrated folder whose single views are bent."""

    def written(root: Path) -> Path:
        bent = {"distortion": [0.01, -0.02, 0.001, 0.0005], "model": model, "baseline_mm": None}
        more: dict[str, object] = {"omnidir": {"xi": 0.8, "skew": 0.01}}.get(model, {})
        if model == "scaramuzza":
            more = {"polynomial": [20.0, 0.0, -0.01], "stretch": [[1.0, 0.01], [0.01, 1.0]]}
        write_calibrated(root, **bent, **more)
        shutil.rmtree(root / "images_right")
        (root / "poses.tum").write_text("".join(f"{i} {i} 0 0 0 0 0 1\n" for i in range(3)))
        return root

    return written


def _dvrk(stamp: str, yaml: bool) -> Callable[[Path], Path]:
    def written(root: Path) -> Path:
        write_dvrk(root, stamp=stamp)
        if yaml:
            write_yaml(root)
        return root

    return written


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "video": lambda root: write_video(root.with_suffix(".mp4"), [0, 40, 80, 120, 160]),
    "video-avi": lambda root: write_video(root.with_suffix(".avi"), [0, 40, 80, 120, 160]),
    "video-mkv": lambda root: write_video(root.with_suffix(".mkv"), [0, 40, 80, 120, 160]),
    "image-folder": _mixed,
    "calibrated-folder": write_calibrated,
    "calibrated-pair": lambda root: write_calibrated(root, baseline_mm=None, translation_mm=[-4.5, 0.1, 0.2]),
    **{f"calibrated-{model}": _lens(model) for model in ("pinhole", "fisheye", "omnidir", "scaramuzza")},
    "endonerf": write_endonerf,
    "scared": lambda root: write_scared(root, 2),
    "scared-video": lambda root: write_scared_video(root, 2),
    "stereomis": lambda root: write_stereomis(root, 3),
    "stereomis-frames": lambda root: write_stereomis_frames(root, 2),
    "hamlyn": lambda root: write_hamlyn(root, 2),
    "c3vd": lambda root: write_c3vd(root, 2),
    "tum-rgbd": lambda root: write_tum(root, 3),
    "nerfstudio": _folder(lambda root: write_nerfstudio(root, "OPENCV", 3, depth=True, masks=True)),
    "colmap-binary": _folder(lambda root: write_colmap(root, "OPENCV", count=3)),
    "colmap-text": _folder(lambda root: write_colmap(root, "RADIAL", binary=False, count=3)),
    "endomapper-frames": _folder(write_frames),
    "endomapper": write_sequence,
    "endoslam-unity": lambda root: write_unity(root, 3)[0],
    "endoslam-workbook": lambda root: write_high_camera(root, 5)[0],
    "endoslam-tracker": lambda root: write_tracker(root, 3)[0],
    "dvrk": _dvrk("header", yaml=True),
    "stereo-video": _stereo,
}


def _one(name: str, text: str) -> Callable[[Path], Path]:
    """A single file, named by its suffix or, with a whole name, in a folder of its own."""

    def written(root: Path) -> Path:
        file = root.with_suffix(name) if name.startswith(".") else root / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file if name.startswith(".") else root

    return written


def _tracks(root: Path) -> Path:
    positions = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    file = root.with_suffix(".npz")
    np.savez_compressed(file, positions=positions, visible=positions[..., 0] > 3, times=np.array([0.0, 0.1]))
    return file


def _phantom(root: Path) -> Path:
    options = {name: value for name, value in asdict(Phantom(root)).items() if name != "out"}
    options.update(width=24, height=16, frames=1)
    (root / "truth" / "depth_without_instruments").mkdir(parents=True)
    (root / "truth" / "phantom.json").write_text(json.dumps(options))
    np.savez(root / "truth" / "tracks.npz", positions=np.zeros((1, 5, 3)), visible=np.ones((1, 5), bool))
    write_masks(root / "masks", 1, name="{:06d}.png")
    write_depth(root / "truth" / "depth_without_instruments", 1, name="{:06d}.png")
    return root


def _truth(folder: Path) -> object:
    truth = PhantomTruth.read(folder)
    return truth.tissue_depth(0), truth.instrument(0), truth.tracks(), truth.K


def _ignoring(mask: Path) -> None:
    """A whole clip with a damaged mask of what to ignore."""
    clip = write_endonerf(mask.parent / "clip") if not (mask.parent / "clip").exists() else mask.parent / "clip"
    if look_through(clip, ClipOptions(ignore_mask=mask)) == "refused":
        raise InputError("refused")


def _ignore_mask(root: Path) -> Path:
    mask = np.zeros((16, 24), np.uint8)
    mask[:3] = 255
    file = root.with_suffix(".png")
    cv2.imwrite(str(file), mask)
    return file


CLOUD = "ply\nformat ascii 1.0\nelement vertex 3\n" + "".join(f"property float {x}\n" for x in "xyz")
CLOUD += "end_header\n1 2 3.5\n0 -1 2\n9 8 7e2\n"


def _colmap_points(root: Path) -> Path:
    root.mkdir()
    points = [struct.pack("<Q3d3BdQ4I", i, 1.5, -2, 9, 1, 2, 3, 0.5, 2, 4, 0, 5, 1) for i in range(3)]
    (root / "points3D.bin").write_bytes(struct.pack("<Q", 3) + b"".join(points))
    return root


POSES = "# time_offset 0.5\n" + "".join(f"{0.1 * i:.2f} {i} 0.5 -2 0 0 0 1\n" for i in range(4))
RECIPE = (scenes_folder() / "scared.toml").read_text()
PREPROCESSOR = {
    "do_resize": True,
    "size": {"height": 518, "width": 518},
    "ensure_multiple_of": 14,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
CARD = "---\nlicense: other\nlicense_name: cc-by-nc-4.0\n---\n\n# A model\n"
OTHERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "trajectory": (_one(".txt", POSES), read_tum),
    "points": (_one(".ply", CLOUD), read_ply_points),
    "COLMAP points": (_colmap_points, read_points),
    "tracks": (_tracks, lambda path: read_npz(path, ("positions", "visible", "times"))),
    "recipe": (_one(".toml", RECIPE), load_recipe),
    "phantom": (_phantom, _truth),
    "preprocessing": (_one("preprocessor_config.json", json.dumps(PREPROCESSOR)), read_preprocessing),
    "model card": (_one("README.md", CARD), read_licence),
    "ignore mask": (_ignore_mask, _ignoring),
}


class Hang(Exception):
    """A case that took LONGEST."""


@pytest.fixture(autouse=True)
def within_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def within_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang(f"still reading after {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def look_through(path: Path, options: ClipOptions | None = None) -> str:
    """How reading a clip, its first and its last frame, and what `inspect` says of it, ends."""

    def look() -> None:
        clip = load_clip(path, options)
        for i in (0, len(clip) - 1):
            assert clip.image(i).shape == (clip.height, clip.width, 3)
            assert clip.tissue_mask(i).shape == (clip.height, clip.width)
            depth = clip.depth(i)
            assert depth is None or (depth >= 0).all()
            right = clip.right_image(i)
            assert right is None or right.shape == clip.image(i).shape
        describe(clip, coverage(clip))

    return ending(look)


def ending(read: Callable[[], object]) -> str:
    """ "read", or "refused" for what ends in an InputError of one sentence; other exceptions pass."""
    try:
        with within_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            read()
    except InputError as error:
        said = str(error)
        assert len(said) < 5000, said[:200]
        return "refused"
    return "read"


def attack(name: str, whole: Path, place: Path, open_it: Callable[[Path], str]) -> None:
    """Damage copies of `whole`, a file or folder in a folder of its own, CASES times; every one is read or refused."""
    assert open_it(whole) == "read"
    counts, faults = {"read": 0, "refused": 0}, []
    for case in range(CASES):
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode()), case])
        copy = place / f"case-{case}"
        shutil.copytree(whole.parent, copy)
        how = mutate_folder(copy / whole.name, rng)
        try:
            counts[open_it(copy / whole.name)] += 1
        except Exception as fault:  # every kind is what is looked for
            faults.append(f"{name} case {case} ({how}): {type(fault).__name__} {traceback.format_exc()}")
        shutil.rmtree(copy, ignore_errors=True)
    if ATTACK:
        hangs = sum("): Hang " in fault for fault in faults)
        print(f"\n{name}: tried {CASES}, {counts}, traceback {len(faults) - hangs}, hang {hangs}", flush=True)
    assert not faults, "\n\n".join(faults[:5])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_clip_is_read_or_refused(layout, tmp_path):
    (tmp_path / "whole").mkdir()
    clip = LAYOUTS[layout](tmp_path / "whole" / "clip")
    inside = clip.relative_to(tmp_path / "whole")  # a few layouts keep a calibration above the clip
    attack(
        layout,
        tmp_path / "whole" / inside.parts[0],
        tmp_path,
        lambda damaged: look_through(damaged.parent / inside),
    )


@pytest.mark.parametrize("kind", OTHERS)
def test_other_damaged_files_are_read_or_refused(kind, tmp_path):
    write, read = OTHERS[kind]
    (tmp_path / "whole").mkdir()
    whole = write(tmp_path / "whole" / "given")
    attack(kind, whole, tmp_path, lambda damaged: ending(lambda: read(damaged)))
