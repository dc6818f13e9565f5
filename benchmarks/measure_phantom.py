"""How well the viewer's two-point distances and trajectories follow the tissue, where the truth is known.

    endogs phantom CLIP --frames 30 && endogs reconstruct CLIP --out SCENE --preset fast
    python benchmarks/measure_phantom.py CLIP SCENE

Points of the phantom that are never hidden are named by where they are at the first frame, followed through the scene,
and compared with where they really go.
"""

import argparse
from pathlib import Path

import numpy as np

from endogs.live.material import MaterialPoint
from endogs.live.measurement import measure
from endogs.scene.scene_file import load_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    options = parser.parse_args()
    truth = np.load(options.clip / "truth" / "tracks.npz")
    scene = load_scene(options.scene)
    seen = np.flatnonzero(truth["visible"].all(0))
    chosen = np.random.default_rng(0).choice(seen, (options.pairs, 2))
    chosen = chosen[chosen[:, 0] != chosen[:, 1]]
    positions = truth["positions"].astype(float)
    drift, distance, stretch = [], [], []
    for pair in chosen:
        true = positions[:, pair]  # (F, 2, 3)
        points = [MaterialPoint(tuple(true[0, end]), 0.0) for end in (0, 1)]
        found = measure(scene, *points, reference_time=0.0)
        drift += [np.linalg.norm(found.first - true[:, 0], axis=1), np.linalg.norm(found.second - true[:, 1], axis=1)]
        real = np.linalg.norm(true[:, 0] - true[:, 1], axis=1)
        distance.append(np.abs(found.distances - real) / real)
        stretch.append(np.abs(found.stretch - real / real[0]))
    moved = np.linalg.norm(positions[:, chosen.ravel()] - positions[:1, chosen.ravel()], axis=2).max(0)
    print(f"{len(chosen)} pairs, {len(scene.times)} frames; the points move up to {np.median(moved):.1f} mm (median)")
    print("| | median | 95 % below |\n|---|---|---|")
    for name, errors, unit, factor in (
        ("position", drift, "mm", 1),
        ("distance", distance, "%", 100),
        ("stretch", stretch, "", 1),
    ):
        values = factor * np.concatenate(errors)
        print(f"| {name} | {np.median(values):.3f} {unit} | {np.percentile(values, 95):.3f} {unit} |")


if __name__ == "__main__":
    main()
