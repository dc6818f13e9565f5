"""How true a scene is where only a phantom knows: behind instruments, along tracks, in the viewer's measurements.

    endogs phantom CLIP --frames 30 && endogs reconstruct CLIP --out SCENE --preset fast
    python benchmarks/measure_phantom.py CLIP SCENE

The first table judges depth by what the training frames show of the tissue, tracks, floaters and flicker
(`endogs.phantom.judge`). For the second, points that are never hidden are named by where they are at the first frame,
followed through the scene as the viewer does, and compared with where they really go.
"""

import argparse
from pathlib import Path

import numpy as np

from endogs.clip.splits import split_frames
from endogs.live.material import MaterialPoint
from endogs.live.measurement import measure
from endogs.phantom.judge import PhantomErrors, judge_phantom
from endogs.phantom.visibility import PhantomTruth
from endogs.pictures.source_clip import fitted_split
from endogs.scene.scene_file import load_scene


def print_errors(errors: PhantomErrors) -> None:
    print("| depth error, mm | median | mean | 95 % below | pixels | drawn |\n|---|---|---|---|---|---|")
    for name, error in (
        ("tissue that all training frames show", errors.always_visible),
        ("tissue that the frame shows", errors.visible),
        ("behind an instrument, seen at other times", errors.behind_seen),
        ("behind an instrument, never seen", errors.never_seen),
    ):
        row = f"| {name} | {error.median:.3f} | {error.mean:.3f} | {error.percentile_95:.2f} "
        print(row + f"| {error.pixels} | {100 * error.drawn:.1f} % |")
    print(f"\nbehind over always visible: mean {errors.hidden_ratio:.1f}")
    print(
        f"tracks, median: visible {errors.track_visible_mm:.3f} mm, behind instruments {errors.track_hidden_mm:.3f} mm"
    )
    print(
        f"floaters: {errors.floaters:.1f} per frame, {100 * errors.floater_share:.3f} % of the opaque Gaussians; "
        f"{errors.floaters_shown:.1f} of them in front of tissue that the frame shows"
    )
    print(
        f"flicker along tracks: colour {errors.flicker_visible:.4f} visible, {errors.flicker_hidden:.4f} hidden; "
        f"depth {errors.depth_flicker_hidden_mm:.3f} mm hidden\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    options = parser.parse_args()
    truth = np.load(options.clip / "truth" / "tracks.npz")
    scene = load_scene(options.scene)
    split = fitted_split(scene) or "standard"
    phantom = PhantomTruth.read(options.clip)
    print_errors(judge_phantom(scene, phantom, split_frames(len(phantom), split).train))
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
