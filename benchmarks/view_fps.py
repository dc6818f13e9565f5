"""How fast the viewer draws, and what watching costs a fit.

    python benchmarks/view_fps.py

First: frames per second through the endoscope at 640x512 with 50 000 Gaussians, playing, so that every frame is at
another time: deformation, rasterization, and the JPEG that is sent; and pictures per second that a client receives.
Then, with --fit CLIP: what a fit costs alone and while a browser looks on that never stops turning the view; runs with
and without take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from endogs import native
from endogs.gaussians import CHANNELS
from endogs.live.layers import layers_of
from endogs.live.material import MaterialPoint
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.viewer_gui import ViewerGui
from endogs.scene import Knots, Scene, SplineDeformation

WIDTH, HEIGHT, FRAMES, COUNT, FOCAL = 640, 512, 60, 50_000, 560.0


def bumpy_sheet() -> Scene:
    """50 000 opaque, overlapping Gaussians over the whole picture, each with a spline of its own."""
    generator = torch.Generator().manual_seed(0)
    base = torch.zeros(COUNT, CHANNELS)
    pixels = torch.rand(COUNT, 2, generator=generator) * torch.tensor([WIDTH * 1.1, HEIGHT * 1.1])
    depth = 70 + 5 * torch.sin(pixels[:, 0] / 60) + 4 * torch.cos(pixels[:, 1] / 45)
    base[:, 0] = (pixels[:, 0] - WIDTH * 0.55) / FOCAL * depth
    base[:, 1] = (pixels[:, 1] - HEIGHT * 0.55) / FOCAL * depth
    base[:, 2], base[:, 3] = depth, 1
    spacing = (WIDTH * HEIGHT * 1.21 / COUNT) ** 0.5
    base[:, 7:10] = torch.log(0.6 * spacing * depth / FOCAL)[:, None]
    base[:, 10] = 1.4
    base[:, 11:] = torch.rand(COUNT, 3, generator=generator)
    times = np.arange(FRAMES) / 15
    knots = Knots.over(0.0, float(times[-1]), 2 / 15)
    control = torch.zeros(knots.count, COUNT, CHANNELS)
    control[:, :, :3] = 0.5 * torch.randn(knots.count, 1, 3, generator=generator)
    control[:, :, 11:] = 0.03 * torch.randn(knots.count, COUNT, 3, generator=generator)
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cameras = np.repeat(K[None], FRAMES, 0), np.repeat(np.eye(4)[None], FRAMES, 0)
    return Scene(base, SplineDeformation(control, knots), times, *cameras, WIDTH, HEIGHT, "mm")


@native.cores_for_kernels()
def draw(frames: int) -> None:
    studio = Studio(bumpy_sheet())
    print("| layer | picture ms | JPEG ms | frames/s |\n|---|---|---|---|")
    points = False
    for layer in (*layers_of(None), "Colour, 5 trajectories"):
        if layer not in layers_of(None):
            points = True
            for x in range(5):
                studio.session.add_trail(MaterialPoint((float(4 * x - 8), 0.0, 70.0), 0.0))
        studio.session.choose_layer("Colour" if points else layer)
        pictures, encodings = [], []
        for frame in range(frames + 3):
            studio.session.timeline.seek(frame * 0.0371 % studio.session.timeline.last)
            begin = time.perf_counter()
            image = studio.picture(None, (WIDTH, HEIGHT), final=False).image
            drawn = time.perf_counter()
            cv2.imencode(".jpeg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 75])
            pictures.append(drawn - begin)
            encodings.append(time.perf_counter() - drawn)
        picture, encoding = statistics.median(pictures[3:]), statistics.median(encodings[3:])
        print(f"| {layer} | {1e3 * picture:.1f} | {1e3 * encoding:.1f} | {1 / (picture + encoding):.0f} |")


COUNTER = """
import sys, time
sys.path.insert(0, "tests")
from samples.live_client import LookingClient
client = LookingClient(sys.argv[1])
client.look((0.0, 0.0, 0.0), (640, 512))
picture = lambda: client.wait_for("BackgroundImageMessage", lambda message: message["rgb_data"])
for _ in range(20):
    picture()
begin = time.monotonic()
for count in range(1, 151):
    picture()
print(count / (time.monotonic() - begin))
"""


def deliver() -> None:
    """Pictures per second that arrive at a client of the real server while the scene plays."""
    studio = Studio(bumpy_sheet())
    server = LiveServer("127.0.0.1", 0)
    ViewerGui(server.viser, studio, "benchmark")
    playback = Playback(studio)
    studio.session.timeline.play()
    counted = subprocess.run([sys.executable, "-c", COUNTER, server.url], capture_output=True, text=True, check=True)
    playback.stop()
    server.stop()
    print(f"playing, received by a client: {float(counted.stdout):.1f} frames/s (30 are sent at most)")


LOOKER = """
import sys, threading, time
sys.path.insert(0, "tests")
from samples.live_client import LookingClient
client = LookingClient(sys.argv[1])
threading.Thread(target=lambda: [client.messages(600) for _ in iter(int, 1)], daemon=True).start()
while True:  # somebody who never stops turning the view: the worst case
    client.look((3 * (time.time() % 1), 0.0, 0.0), (1000, 800))
    time.sleep(0.05)
"""


RUNNER = """
import json, sys, time
import endogs.pipeline.reconstruct as pipeline
from endogs.cli import main
run_fit = pipeline.run_fit
def measured(fit, *arguments, **options):
    watch = getattr(options.get("on_step"), "__self__", None)
    cpu, wall = time.process_time(), time.monotonic()
    run_fit(fit, *arguments, **options)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    spent = watch.budget.spent if watch is not None else 0.0
    open(sys.argv[1], "w").write(json.dumps({"cpu": cpu, "wall": wall, "spent": spent}))
    raise SystemExit
pipeline.run_fit = measured
main(sys.argv[2:])
"""


def fit_seconds(clip: Path, preset: str, watched: bool) -> dict[str, float]:
    """Seconds of the fit: CPU of the whole process, wall clock, and those that the view spent between steps."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-c", RUNNER, str(result), "reconstruct", str(clip), "--preset", preset]
        command += ["--out", str(Path(folder) / "out"), *(("--live", "--port", "0") if watched else ())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        looker = None
        if watched:
            url = next(line for line in process.stdout if "http" in line).split()[-1]
            looker = subprocess.Popen([sys.executable, "-c", LOOKER, url], stderr=subprocess.DEVNULL)
        process.stdout.read()
        process.wait()
        if looker is not None:
            looker.kill()
            looker.wait()
        return dict(json.loads(result.read_text()))


def watch(clip: Path, preset: str, turns: int) -> None:
    runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for turn in range(turns):
        for watched in (False, True) if turn % 2 == 0 else (True, False):
            runs[watched].append(fit_seconds(clip, preset, watched))
    print("| fit | CPU s | wall s | between steps s |\n|---|---|---|---|")
    for watched, name in ((False, "alone"), (True, "watched")):
        cells = [statistics.median(run[key] for run in runs[watched]) for key in ("cpu", "wall", "spent")]
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    shares = [100 * run["spent"] / run["wall"] for run in runs[True]]
    print(f"share of the wall clock between steps: {statistics.median(shares):.1f} % (at most {max(shares):.1f} %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--fit", type=Path, help="a clip: measure what watching costs a fit")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    draw(options.frames)
    deliver()
    if options.fit is not None:
        watch(options.fit, options.preset, options.turns)


if __name__ == "__main__":
    main()
