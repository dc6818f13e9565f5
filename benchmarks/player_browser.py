"""The exported page in Chromium: distances against a phantom's truth, and the time of a frame without a graphics card.

    python benchmarks/player_browser.py CLIP SCENE

CLIP is the folder of a still-camera phantom (`endogs phantom`), SCENE its reconstruction.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from endogs.export.html import export_html
from endogs.scene.scene_file import load_scene

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from samples.chromium import Chromium

PAIRS = 20
TIMED = """(() => {{
  const view = endoscopeView(p.header, 1, [{width}, {height}]), gl = p.renderer.gl;
  const pixel = new Uint8Array(4), times = [];
  for (let n = 0; n < 7; n++) {{
    const start = performance.now();
    p.renderer.draw(view, 1, p.look(view));
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    times.push(performance.now() - start);
  }}
  return times.sort((a, b) => a - b)[3];
}})()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("scene", type=Path)
    options = parser.parse_args()
    scene = load_scene(options.scene)
    truth = np.load(options.clip / "truth" / "tracks.npz")
    positions = truth["positions"].astype(float)
    always = np.flatnonzero(truth["visible"].all(0))
    points = positions[:, np.random.default_rng(0).choice(always, 2 * PAIRS, replace=False)]
    pose = scene.world_to_camera[0]
    seen = (points[0] @ pose[:3, :3].T + pose[:3, 3]) @ scene.K[0].T
    pixels = json.dumps((seen[:, :2] / seen[:, 2:]).tolist())

    with tempfile.TemporaryDirectory() as folder:
        page = export_html(scene, Path(folder) / "page.html", "benchmark", 200_000)
        browser = Chromium(700, 620)
        try:
            browser.open(page.path.as_uri())
            browser.run("endogsPlayer.then((player) => { window.p = player; p.adaptive = false; return p.settled(); })")
            size = f"[{scene.width}, {scene.height}]"
            picked = f"{pixels}.map(([x, y]) => pick(p.scene, endoscopeView(p.header, 0, {size}), 0, x, y))"
            followed = f"((points) => p.header.times.map((t) => points.map((q) => follow(p.scene, q, t))))({picked})"
            found = np.array(browser.run(followed), float)
            for width, height in ((64, 51), (scene.width, scene.height)):
                milliseconds = browser.run(TIMED.format(width=width, height=height))
                print(f"a frame of {width} x {height}, {page.gaussians} Gaussians: {milliseconds:.0f} ms (median)")
        finally:
            browser.close()

    errors = np.linalg.norm(found - points, axis=-1)
    print(f"points: median error {np.median(errors):.3f}, 90 % below {np.percentile(errors, 90):.3f} {scene.units}")
    lengths = [np.linalg.norm(each[:, :PAIRS] - each[:, PAIRS:], axis=-1) for each in (found, points)]
    relative = np.abs(lengths[0] / lengths[1] - 1)
    print(f"distances: median error {np.median(relative):.2%}, 90 % below {np.percentile(relative, 90):.2%}")


if __name__ == "__main__":
    main()
