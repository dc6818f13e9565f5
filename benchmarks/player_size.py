"""Size of the shareable page, and what its coding costs on the clip's test frames.

    python benchmarks/player_size.py SCENE [SCENE ...] [--copies 20]

Each scene is exported and unpacked again; both are evaluated against the clip that the scene remembers. `--copies`
splits every Gaussian into that many first, for a scene that has to be reduced.
"""

import argparse
import base64
import math
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from endogs.evaluate.evaluate import evaluate_scene
from endogs.export.html import export_html
from endogs.export.html.payload import unpack_scene
from endogs.gaussians import LOG_SCALES, MEANS, QUATS
from endogs.render.projection import rotation_matrices
from endogs.scene import Scene
from endogs.scene.scene_file import load_scene
from endogs.scene.source_clip import fitted_split, load_source_clip


def split_up(scene: Scene, copies: int) -> Scene:
    """Every Gaussian as `copies` of a third of its size, scattered over it."""
    rows = torch.arange(len(scene)).repeat_interleave(copies)
    many = scene.kept(rows)
    turn = rotation_matrices(many.base[:, QUATS])
    offsets = torch.randn(len(rows), 3, generator=torch.Generator().manual_seed(0)) * many.base[:, LOG_SCALES].exp()
    many.base[:, MEANS] += (turn @ (0.9 * offsets)[:, :, None])[:, :, 0]
    many.base[:, LOG_SCALES] -= math.log(3)
    return many


def measure(path: Path, copies: int, max_gaussians: int) -> str:
    """One row of the table."""
    scene = load_scene(path)
    if copies > 1:
        scene = split_up(scene, copies)
    clip = load_source_clip(scene, path)
    split = fitted_split(scene) or "standard"
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        page = export_html(scene, Path(folder) / "page.html", path.name, max_gaussians)
        seconds = time.process_time() - start
        payload = re.search(r'id="scene">([^<]*)<', page.path.read_text())
        assert payload is not None
        coded = replace(unpack_scene(base64.b64decode(payload[1]))[0], origin=scene.origin)
    before, after = (evaluate_scene(one, clip, split).mean["psnr"] for one in (scene, coded))
    assert before is not None
    assert after is not None
    loss = before - after
    raw = scene.base.numel() * 4 + sum(value.numel() * 4 for value in scene.deformation.tensors().values())
    return (
        f"| {path.name} | {page.gaussians} of {page.original_gaussians} | {len(scene.times)} | {raw / 1e6:.1f} | "
        f"{page.size / 1e6:.2f} | {page.fidelity:.1f} | {before:.2f} | {after:.2f} | {loss:+.3f} | {seconds:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--max-gaussians", type=int, default=200_000)
    options = parser.parse_args()
    names = ("scene", "Gaussians", "frames", "float MB", "page MB", "coded vs float dB", "float PSNR", "coded PSNR")
    names += ("loss dB", "CPU s")
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for path in options.scenes:
        print(measure(path, options.copies, options.max_gaussians), flush=True)


if __name__ == "__main__":
    main()
