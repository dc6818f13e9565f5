"""Sound inputs for every door: clips in every layout, scenes of every kind, a checkpoint, and files beside them."""

import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from layouts import stereo_video
from layouts.c3vd import write_c3vd
from layouts.colmap import write_colmap
from layouts.dvrk import write_dvrk
from layouts.endomapper import write_frames, write_sequence
from layouts.endoslam import write_high_camera, write_tracker, write_unity
from layouts.hamlyn import write_hamlyn
from layouts.nerfstudio import write_nerfstudio
from layouts.scared import write_scared, write_scared_video
from layouts.stereomis import write_stereomis, write_stereomis_frames
from layouts.tum_rgbd import write_tum
from samples.clip_samples import write_calibrated, write_endonerf, write_images, write_masks, write_video

FRAMES = 5
SMALL_FIT = ("--iterations", "3", "--gaussians", "120")
INTERRUPTED_FIT = ("--iterations", "12", "--gaussians", "120")


def _plain_video(root: Path) -> None:
    root.mkdir()
    write_video(root / "clip.mp4", [0, 40, 80, 130, 160, 200])


def _images(root: Path) -> None:
    write_images(root, 4, "{:03d}.png")


def _images_and_masks(root: Path) -> None:
    write_images(root / "images", 4)
    write_masks(root / "masks", 4)


def _posed_with_depth(root: Path) -> None:
    write_calibrated(root, 4)
    times, still = np.arange(4) / 25.0, [0, 0, 0, 0, 0, 0, 1]
    rows = [[time, *(0.01 * i * np.array(still) if i else still)] for i, time in enumerate(times)]
    for row in rows:
        row[-1] = 1.0
    (root / "poses.tum").write_text("\n".join(" ".join(f"{value:g}" for value in row) for row in rows) + "\n")


def _stereo_folder(root: Path) -> None:
    root.mkdir()
    left, right = stereo_video.views(rectified=False)
    stereo_video.write_video(root / "left.mp4", left)
    stereo_video.write_video(root / "right.mp4", right)
    stereo_video.write_calibration(root / "calibration.json", rectified=False)


def _packed_stereo(root: Path) -> None:
    root.mkdir()
    stereo_video.write_packed(root / "both.mp4", "side-by-side")
    stereo_video.write_calibration(root / "calibration.json")


CLIPS: dict[str, tuple[Callable[[Path], object], str, tuple[str, ...]]] = {
    "video": (_plain_video, "clip.mp4", ()),
    "images": (_images, "", ()),
    "images-and-masks": (_images_and_masks, "", ()),
    "endonerf": (lambda root: write_endonerf(root, FRAMES), "", ()),
    "calibrated": (lambda root: write_calibrated(root, 4), "", ()),
    "posed": (_posed_with_depth, "", ()),
    "c3vd": (write_c3vd, "", ()),
    "c3vd-2": (lambda root: write_c3vd(root, second_version=True), "", ()),
    "colmap": (write_colmap, "", ()),
    "colmap-text": (lambda root: write_colmap(root, "OPENCV", binary=False), "", ()),
    "dvrk": (write_dvrk, "", ()),
    "endomapper": (write_frames, "", ()),
    "endomapper-sequence": (write_sequence, "Sequences/Seq_007", ()),
    "endoslam-unity": (write_unity, "UnityCam/Colon", ()),
    "endoslam-high": (write_high_camera, "Cameras/HighCam/Colon-IV/TumorfreeTrajectory_1", ()),
    "endoslam-tracker": (write_tracker, "Cameras/MiroCam/Colon-III(L-shaped)/TumorfreeTrajectory_1", ()),
    "hamlyn": (write_hamlyn, "", ()),
    "nerfstudio": (lambda root: write_nerfstudio(root, depth=True, masks=True), "", ()),
    "scared": (write_scared, "", ()),
    "scared-video": (write_scared_video, "", ()),
    "stereomis": (write_stereomis, "", ()),
    "stereomis-frames": (write_stereomis_frames, "", ()),
    "tum": (write_tum, "", ()),
    "stereo-folder": (_stereo_folder, "", ()),
    "packed": (_packed_stereo, "both.mp4", ("--stereo", "side-by-side", "--calibration", "{root}/calibration.json")),
}
"""By name: what writes it, where below its root the clip begins ("" is the root), and the options it is read with."""

SCENES: dict[str, tuple[str, ...]] = {
    "spline": (),
    "none": ("--deformation", "none"),
    "bases": ("--deformation", "bases"),
    "hexplane": ("--deformation", "hexplane"),
    "mlp": ("--deformation", "mlp"),
    "lowrank": ("--deformation", "lowrank"),
    "lit": ("--colors", "lit", "--exposure"),
    "sh": ("--colors", "sh"),
}
"""Options of the fits that the sound scenes come from; each is a folder with `clip` and `out`."""


class Samples:
    """Sound inputs in a folder, each made when it is first asked for, by a process that ends afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: str) -> Path:
        """The folder of that name: a clip's, `scene-KIND`, `cached` (with guessed depth), `checkpoint` or `files`."""
        place = self.root / name
        if place.exists():
            return place
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self._make(name, place)
                code = 0
            except BaseException as error:
                os.write(2, f"the sample {name} cannot be made: {error!r}\n".encode())
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status or not place.exists():
            raise RuntimeError(f"the sample {name} cannot be made")
        return place

    def _make(self, name: str, place: Path) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".") as made:
            root = Path(made) / name
            if name in CLIPS:
                CLIPS[name][0](root)
            elif name == "cached":
                _fitted(root, (), keep_priors=True)
            elif name == "checkpoint":
                _interrupted(root)
            elif name == "files":
                _files(root)
            else:
                _fitted(root, SCENES[name.removeprefix("scene-")])
            try:
                root.rename(place)
            except OSError:
                if not place.exists():
                    raise


def clip_at(name: str, root: Path) -> tuple[Path, tuple[str, ...]]:
    """Where a clip's copy at `root` begins, and its options."""
    _, inner, options = CLIPS[name]
    return root / inner if inner else root, tuple(option.format(root=root) for option in options)


def _fitted(root: Path, options: tuple[str, ...], keep_priors: bool = False) -> None:
    """A clip and what a short fit of it leaves; with `keep_priors` the clip has no depth, so that it was guessed."""
    from endogs.cli import main

    root.mkdir()
    os.chdir(root)
    if keep_priors:
        write_endonerf(root / "clip", FRAMES)
    else:
        write_calibrated(root / "clip", FRAMES)
    code = main(["reconstruct", "clip", "--out", "out", *SMALL_FIT, *options])
    if code:
        raise RuntimeError(f"reconstruct {options} ended with {code}")
    if keep_priors and not list((root / "out").glob("priors/*/*")):
        raise RuntimeError("the fit kept no guessed depth")


def _interrupted(root: Path) -> None:
    """A clip and what a fit leaves that Ctrl-C stopped at step 5."""
    from endogs.cli import Verb, parse
    from endogs.pipeline.reconstruct import run

    root.mkdir()
    os.chdir(root)
    write_calibrated(root / "clip", FRAMES)

    class Stopper:
        def begin(self, *_: object) -> None:
            pass

        def on_step(self, fit: object) -> None:
            if getattr(fit, "step", 0) == 5:
                os.kill(os.getpid(), signal.SIGINT)

        def finished(self, *_: object) -> None:
            pass

    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without
    with contextlib.suppress(SystemExit):
        run(parse(["reconstruct", "clip", "--out", "out", *INTERRUPTED_FIT], Verb), Stopper())
    if not list(root.glob("*/checkpoints/*.safetensors")):
        raise RuntimeError("the interrupted fit left no checkpoint")


RECIPE = """title = "A data set"
layouts = ["endonerf"]
get = "from https://example.org"
licence = "CC-BY"
citation = "Somebody, 2024"
folder = "the folder of a sequence"
units = "relative"

[options]
preset = "fast"
iterations = 3
gaussians = 120
split = "gap"
stride = 1
ignore_rows = ["14:16"]
"""


AXES = "".join(f"property float {axis}\n" for axis in "xyz")
PLY_HEADER = f"ply\nformat ascii 1.0\nelement vertex 40\n{AXES}end_header"


def _files(root: Path) -> None:
    """A recipe, a trajectory, tracks, a calibration, masks, depth, a workbook, and folders that look like models."""
    root.mkdir()
    write_endonerf(root / "clip", FRAMES)
    (root / "recipe.toml").write_text(RECIPE)
    rows = [f"{i / 30:.6f} {0.1 * i * i:.3f} {0.1 * i:.2f} 0 0 0 0 1" for i in range(FRAMES)]
    for name in ("trajectory.tum", "reference.tum"):
        (root / name).write_text("\n".join(rows) + "\n")
    points = np.random.default_rng(0).uniform([-4, -3, 40], [4, 3, 41], (40, 3))
    frame, point = np.divmod(np.arange(40 * FRAMES), 40)
    np.savez(root / "points.npz", points=points, frame=frame, point=point)
    np.savetxt(root / "cloud.ply", points, "%.3f", header=PLY_HEADER, comments="")
    positions = np.full((FRAMES, 3, 3), [0.0, 0.0, 40.0])
    np.savez(root / "tracks.npz", positions=positions, visible=np.ones((FRAMES, 3), bool), times=np.arange(FRAMES) / 30)
    (root / "camera.json").write_text(json.dumps({"fx": 21.0, "fy": 22.0, "cx": 11.5, "cy": 8.25, "fps": 25.0}))
    (root / "cameras.txt").write_text("# one camera\n1 OPENCV 24 16 21 22 11.5 8.25 -0.1 0.01 0 0\n")
    matrix = '<camera_matrix type_id="opencv-matrix"><data>21 0 11 0 22 7.75 0 0 1</data></camera_matrix>'
    (root / "camera.xml").write_text(f'<?xml version="1.0"?>\n<opencv_storage>{matrix}</opencv_storage>\n')
    from endogs.clip.files.mask_folder import write_mask_folder
    from endogs.clip.load import load_clip

    mask = np.zeros((16, 24), np.uint8)
    mask[:4, :6] = 255
    cv2.imwrite(str(root / "mask.png"), mask)
    write_images(root / "frames", 3, "{:03d}.png")
    write_mask_folder(root / "given", load_clip(root / "frames", look=False), lambda index: mask > 0, "a sample")
    click = {"frame": 1, "x": 12, "y": 8, "does": "add", "brush": 3}
    clicks = {"format": "endogs-clicks", "version": 1, "size": [24, 16], "clicks": [click]}
    (root / "clicks.json").write_text(json.dumps(clicks))
    model = root / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "depth_anything", "architectures": ["DepthAnything"]}))
    (model / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
