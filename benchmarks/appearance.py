"""What colours that depend on the camera, the light or the exposure are worth, on phantoms that have each of them.

    python benchmarks/appearance.py FOLDER [--seeds 1] [--width 320] [--frames 40] [--iterations 600]

Each row is a fit by `endogs reconstruct` of one phantom: test PSNR, training PSNR, processor seconds of the fit over
those of the plain row above it. Then what the light says: how the fitted albedo and the plain colours vary with the
distance from the lamp, and pictures relit by a lamp that was moved, against the phantom under that lamp. FOLDER keeps
clips, scenes and relit_N.png: the phantom, the relit scene and the unchanged one side by side.
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.evaluate.metrics.metrics import psnr_masked
from endogs.gaussians import COLORS, MEANS, OPACITY
from endogs.geometry import invert_rigid
from endogs.phantom.config import Phantom
from endogs.phantom.light import Lamp
from endogs.phantom.render import Studio
from endogs.phantom.writer import write_phantom
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.reconstruct import execute
from endogs.pipeline.run_record import StageClock
from endogs.render import rasterize
from endogs.scene import Scene
from endogs.scene.appearance import Light
from endogs.scene.appearance.color_space import srgb_to_linear
from endogs.scene.relight import relit
from endogs.scene.scene_file import load_scene

LAMP_OFFSETS = ((15.0, 0.0, 0.0), (0.0, -12.0, 20.0))
"""Where the lamp is moved, mm in camera axes: to the right; up and ahead."""
ROWS = {
    "moving": (("plain", {}), ("sh 1", {"colors": "sh", "sh_degree": 1}), ("sh 2", {"colors": "sh"}),
               ("sh 3", {"colors": "sh", "sh_degree": 3}), ("lit", {"colors": "lit"})),
    "rigid": (("plain", {"deformation": "none"}), ("sh 2", {"deformation": "none", "colors": "sh"}),
              ("lit", {"deformation": "none", "colors": "lit"})),
    "flicker": (("plain", {}), ("exposure", {"exposure": True})),
}  # fmt: skip


class ProcessorClock(StageClock):
    """Stages in seconds of the process's own computing, which other programs on the machine do not lengthen."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the computing inside to a stage."""
        begin = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.process_time() - begin


class MovedLamp(Studio):
    """The same phantom under a lamp that is not at the lens."""

    def __init__(self, config: Phantom, offset: tuple[float, float, float]) -> None:
        self.offset = np.zeros(3)
        super().__init__(config)
        self.offset = np.array(offset)

    def lamp_at(self, world_to_camera: NDArray[np.float64]) -> Lamp:
        """The lamp at its offset from the camera."""
        at_lens, rotation = super().lamp_at(world_to_camera), invert_rigid(world_to_camera)[:3, :3]
        return Lamp(at_lens.position + rotation @ self.offset, at_lens.intensity, at_lens.reference_distance)


def exposure_gains(frames: int) -> NDArray[np.float64]:
    """Gains (F,) of linear light, as of an automatic exposure: two slow swings and a step in the middle."""
    t = np.arange(frames)
    stops = 0.5 * np.sin(2 * np.pi * t / 23) + 0.25 * np.sin(2 * np.pi * t / 9 + 1) - 0.3 * (t >= frames // 2)
    return 2.0 ** (stops - stops.mean())


def make_flicker(source: Path, target: Path) -> NDArray[np.float64]:
    """Copy a phantom with other exposures; returns their gains (F,)."""
    shutil.copytree(source, target)
    files = sorted((target / "images").glob("*.png"))
    gains = exposure_gains(len(files))
    for file, gain in zip(files, gains, strict=True):
        srgb = cv2.imread(str(file)).astype(np.float64) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4) * gain
        again = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        cv2.imwrite(str(file), np.rint(np.clip(again, 0, 1) * 255).astype(np.uint8))
    return gains


def slope_with_distance(scene: Scene, colors: torch.Tensor) -> float:
    """d log(linear green) / d log(distance to the first camera's lamp) over opaque Gaussians: -2 for light alone."""
    packed, eye = scene.packed_at(0.0), invert_rigid(scene.world_to_camera[0])[:3, 3]
    distance = (packed[:, MEANS] - torch.tensor(eye).float()).norm(dim=1)
    green = srgb_to_linear(colors[:, 1])
    seen = (torch.sigmoid(packed[:, OPACITY]) > 0.5) & (green > 0.005)
    return float(np.polyfit(distance[seen].log().numpy(), green[seen].log().numpy(), 1)[0])


def relighting(scene: Scene, config: Phantom, frames: list[int], folder: Path) -> list[tuple[str, float, float]]:
    """For each moved lamp: its place, and PSNR of the relit and of the unchanged rendering against the phantom."""
    rows = []
    for number, offset in enumerate(LAMP_OFFSETS):
        studio, errors, pictures = MovedLamp(config, offset), [], []
        for frame in frames:
            truth = studio._frame(frame).left.image
            shown = []
            for version in (relit(scene, Light(offset), folder), scene):
                camera = version.camera(frame)
                image = rasterize(version.gaussians_at(float(scene.times[frame]), camera), camera).color
                shown.append(np.rint(image.clamp(0, 1).numpy() * 255).astype(np.uint8))
            errors.append([psnr_masked(image, truth, np.ones(truth.shape[:2], bool)) for image in shown])
            pictures.append(np.hstack([truth, *shown]))
        cv2.imwrite(str(folder / f"relit_{number}.png"), np.vstack(pictures)[..., ::-1])
        rows.append((str(offset), *(float(v) for v in np.mean(errors, 0))))
    return rows


def print_recovery(folder: Path) -> None:
    """How far the fitted exposures are from the true ones: levels of mid grey (sRGB .45) at the training frames."""
    exposure = load_scene(folder / "flicker_exposure_0").appearance.exposure
    assert exposure is not None
    times = np.loadtxt(folder / "flicker" / "poses.tum")[:, 0]
    frames = np.searchsorted(times, exposure.times - 1e-6)
    gain, bias = exposure.values[:, 0].exp().mean(1).numpy(), exposure.values[:, 1].mean(1).numpy()
    # Light times k is sRGB + .055 times k^(1/2.4), above the toe.
    truth = exposure_gains(len(times))[frames] ** (1 / 2.4) * (0.45 + 0.055) - 0.055
    level = gain * 0.45 + bias
    error = level * truth.mean() / level.mean() - truth
    print(f"level of mid grey: true spread {truth.std():.4f}, error of the fitted one {error.std():.4f}")


def main() -> None:
    """Make what is missing in the folder, fit, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, value in (("seeds", 1), ("width", 320), ("frames", 40), ("iterations", 600), ("gaussians", 15000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--wetness", type=float, default=1.0)
    parser.add_argument("--split", default="standard")
    parser.add_argument("--rows", nargs="*", help="only these rows")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    size = {"frames": args.frames, "width": args.width, "height": args.width * 4 // 5, "fps": 8.0, "instruments": 0}
    clips = {name: args.folder / name for name in ROWS}
    moving = Phantom(clips["moving"], camera="moving", pull=0.0, wetness=args.wetness, **size)
    if not clips["moving"].exists():
        write_phantom(moving)
    if not clips["rigid"].exists():
        write_phantom(replace(moving, out=clips["rigid"], breathing=0.0, peristalsis=0.0))
    if not clips["flicker"].exists():
        still = args.folder / "still"
        write_phantom(Phantom(still, pull=6.0, **size))
        make_flicker(still, clips["flicker"])

    for clip, rows in ROWS.items():
        plain = None
        for name, options in rows:
            if args.rows and f"{clip}/{name}" not in args.rows:
                continue
            found = []
            for seed in range(args.seeds):
                out = args.folder / f"{clip}_{name.replace(' ', '')}_{seed}"
                config = Reconstruct(
                    clips[clip], out=out, preset="fast", split=args.split, iterations=args.iterations,
                    gaussians=args.gaussians, seed=seed, **options,
                )  # fmt: skip
                result = execute(config, ProcessorClock())
                last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
                found.append((result.metrics["mean"]["psnr"], last["psnr"], result.record["seconds"]["fit"]))
            test, train, seconds = np.mean(found, 0)
            plain = plain or seconds
            spread = np.std([row[0] for row in found])
            print(
                f"{clip:8} {name:9} test {test:.2f} +- {spread:.2f}  training {train:.2f}  time x{seconds / plain:.2f}"
            )

    lit, plain_scene = load_scene(args.folder / "moving_lit_0"), load_scene(args.folder / "moving_plain_0")
    slopes = [slope_with_distance(scene, scene.base[:, COLORS]) for scene in (plain_scene, lit)]
    print(f"slope of log green with log distance: colours {slopes[0]:.2f}, albedo {slopes[1]:.2f}")
    print_recovery(args.folder)
    spot, ambient = lit.appearance.tensors()["colors.lamp"]
    print(f"lamp: spot exponent {torch.nn.functional.softplus(spot):.2f}, ambient {torch.sigmoid(ambient):.2f}")
    for place, ours, unchanged in relighting(lit, moving, [0, args.frames // 3, args.frames - 2], args.folder):
        print(f"lamp at {place}: relit {ours:.2f} dB, not relit {unchanged:.2f} dB")


if __name__ == "__main__":
    main()
