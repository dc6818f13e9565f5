"""How well `endogs track` finds the cameras of clips whose poses are known, and what others find in the same frames.

    python benchmarks/track_cameras.py CLIP [CLIP ...] [--depth none stereo given] [--peers] [--end SECONDS]

A CLIP is any input with poses of its own, which the tracker never looks at, such as a phantom (docs/usage/PHANTOM.md)
or a calibrated folder with poses.tum. Each is tracked from one eye (none), and where it has them from right views
(stereo) and depth files (given). A row holds the root mean square error of the camera's place after alignment by SE(3),
or by Sim(3) from one eye, in percent of the path and as a ratio to what a camera that never moves scores; the same of
the poses as they were known when each frame came; the share of frames without a pose; and processor milliseconds a
frame. Frames that are held out by the standard split are tracked against the map and never change it.

A path in which breathing is found has a second row, in which it is left out, as `endogs track` does by itself. For
phantoms the error beside the tissue follows, whose motion as a whole, such as breathing, counts as the camera's:
one eye cannot tell the two. --pose-prior-mm and --pose-prior-deg add the same path joined with noisy poses, as of a
robot's joints: the true ones with independent normal errors of these standard deviations, drawn from each of --seeds;
and the noisy poses alone. --focal finds focal lengths instead, in parts of the true one.

--peers adds what a user would have without endogs, on the same undistorted frames: OpenCV's essential matrix from frame
to frame (one eye, every step as long as the true one, which it is given since it cannot know it) and OpenCV's RGB-D
odometry where there is depth, with an OpenCV that has it (5); and pycolmap, where it is installed, on all frames
together.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.splits import split_frames
from endogs.errors import InputError
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.geometry import invert_rigid, rigid
from endogs.pipeline.breathing import breathing_in, without_breathing
from endogs.pipeline.fused_path import fused
from endogs.pipeline.pose_prior import PosePrior
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.tracking.begun_again import track_by_light
from endogs.tracking.colmap_poses import colmap_clip
from endogs.tracking.focal_length import find_focal_length, with_focal_factor
from endogs.tracking.prior_fusion import Noise
from endogs.tracking.tracker import DepthSource
from endogs.tracking.trajectory import Trajectory

Array = NDArray[np.float64]
COLUMNS = (
    "clip",
    "frames",
    "method",
    "RMSE",
    "% of path",
    "of zero motion",
    "causal RMSE",
    "beside the tissue",
    "lost %",
    "ms a frame",
)
GREY_SIZE = 400
"""Longer side of the pictures that the peers see, as the tracker's own."""


def judged(clip: Clip, poses: Array, scaled: bool, true: Array | None = None) -> tuple[float, float, float]:
    """RMSE, percent of the path and ratio to zero motion of world-to-camera poses (F, 4, 4), NaN where lost, against
    `true` ones, by default the clip's."""
    true = clip.world_to_camera if true is None else true
    known = np.isfinite(poses[:, 0, 0])
    if known.sum() < 3:
        return float("nan"), float("nan"), float("nan")
    found = compare_paths(invert_rigid(poses[known]), invert_rigid(true[known]))
    one = found.absolute["sim3" if scaled else "se3"]
    return one.rmse, one.percent_of_path, one.ratio_to_zero_motion


def causal_poses(trajectory: Trajectory) -> Array:
    """(F, 4, 4) poses of the largest map as they were known when each frame came."""
    found = np.full((len(trajectory.causal), 4, 4), np.nan)
    for k, one in enumerate(trajectory.causal):
        if one.world_to_camera is not None and one.sub_map == trajectory.sub_map:
            found[k] = one.world_to_camera
    return found


def endogs_rows(clip: Clip, source: DepthSource, priors: list[PosePrior]) -> list[list[object]]:
    """One row: `endogs track` with this depth; another where breathing is found in the path, and one for each prior."""
    held_out = frozenset(split_frames(len(clip)).unseen)
    began = time.process_time()
    trajectory = track_by_light(clip, held_out, source)
    spent = 1000 * (time.process_time() - began) / len(clip)
    rows = [_endogs_row(clip, NAMES[source], trajectory, source == "none", spent)]
    began = time.process_time()
    rhythm = breathing_in(trajectory)
    if rhythm is not None:
        left = without_breathing(trajectory, rhythm)
        more = 1000 * (time.process_time() - began) / len(clip)
        rows.append(_endogs_row(clip, f"{NAMES[source]}, breathing left out", left, source == "none", spent + more))
    for prior in priors:
        began = time.process_time()
        joined = fused(clip, trajectory, prior, tuple(held_out))
        more = 1000 * (time.process_time() - began) / len(clip)
        rows.append(_endogs_row(clip, f"{NAMES[source]}, {prior.file}", joined, False, spent + more))
    return rows


def _endogs_row(clip: Clip, name: str, trajectory: Trajectory, scaled: bool, spent: float) -> list[object]:
    """A path, judged after a similarity where `scaled`."""
    poses = trajectory.world_to_camera
    rmse, percent, ratio = judged(clip, poses, scaled)
    causal = judged(clip, causal_poses(trajectory), scaled)[0]
    lost = 100 * float((~trajectory.found).mean())
    tissue = beside_tissue(clip)
    beside = float("nan") if tissue is None else judged(clip, poses, scaled, tissue)[0]
    return [clip.name, len(clip), f"endogs, {name}", rmse, percent, ratio, causal, beside, lost, spent]


def noisy_prior(clip: Clip, noise: Noise, seed: int) -> PosePrior:
    """The clip's true poses with independent normal errors in each coordinate."""
    random, poses = np.random.default_rng(seed), invert_rigid(clip.world_to_camera)
    turns = Rotation.from_rotvec(random.normal(0, noise.turn, (len(poses), 3))).as_matrix()
    poses[:, :3, :3] = poses[:, :3, :3] @ turns
    poses[:, :3, 3] += random.normal(0, noise.place, (len(poses), 3))
    name = f"poses off by {noise.place:g} mm and {np.degrees(noise.turn):g} degrees (seed {seed})"
    return PosePrior(Path(name), poses, noise)


def prior_row(clip: Clip, prior: PosePrior) -> list[object]:
    """One row: noisy poses alone."""
    scores = judged(clip, invert_rigid(prior.camera_to_world), False)
    return [clip.name, len(clip), f"{prior.file}, alone", *scores, *(float("nan"),) * 2, 0.0, float("nan")]


def beside_tissue(clip: Clip) -> Array | None:
    """World to camera (F, 4, 4) as the tissue sees it: what it does as a whole, by the phantom's true tracks, belongs
    to the camera. None where there are no true tracks.

    The tissue's motion is the rigid one of its points by least squares (W. Kabsch, 1976).
    """
    file = clip.source / "truth" / "tracks.npz"
    if not file.is_file():
        return None
    points = np.load(file)["positions"][: len(clip)].astype(np.float64)
    middle = points.mean(1, keepdims=True)
    poses = np.array(clip.world_to_camera)
    for k in range(len(clip)):
        turn, _ = Rotation.align_vectors(points[k] - middle[k], points[0] - middle[0])
        moved = rigid(turn.as_matrix(), middle[k, 0] - turn.apply(middle[0, 0]))
        poses[k] = clip.world_to_camera[k] @ moved
    return poses


def focal_row(clip: Clip, off: float) -> str:
    """What `find_focal_length` makes of a clip whose focal length is taken `off` times too long."""
    guessed = clip.with_intrinsics(with_focal_factor(clip.K, off))
    began = time.process_time()
    found = find_focal_length(guessed, split_frames(len(clip)).unseen)
    spent = time.process_time() - began
    if found is None:
        return f"| {clip.name} | {off:.3g} | nothing | | {spent:.0f} s |"
    verdict = "taken" if found.known else "not taken"
    left_open = f"{found.left_open(off * 100)} %, {verdict}"
    return f"| {clip.name} | {off:.3g} | {found.factor * off:.3f} | {left_open} | {spent:.0f} s |"


NAMES: dict[DepthSource, str] = {"none": "one eye", "stereo": "stereo", "given": "depth"}


def grey_of(clip: Clip, index: int) -> tuple[NDArray[np.uint8], float]:
    """A frame as a small grey picture, and its scale."""
    scale = min(1.0, GREY_SIZE / max(clip.width, clip.height))
    size = max(1, round(clip.width * scale)), max(1, round(clip.height * scale))
    small = cv2.resize(clip.image(index), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)), scale


def frame_to_frame(clip: Clip, name: str, scaled: bool, step: Callable[[int], Array | None]) -> list[object]:
    """One row: `step(i)` gives the motion (4, 4) from frame i - 1 to i, None where it fails, which is left out."""
    poses = np.tile(np.eye(4), (len(clip), 1, 1))
    began, failed = time.process_time(), 0
    for i in range(1, len(clip)):
        motion = step(i)
        failed += motion is None
        poses[i] = poses[i - 1] if motion is None else motion @ poses[i - 1]
    spent = 1000 * (time.process_time() - began) / len(clip)
    rmse, percent, ratio = judged(clip, poses, scaled)
    return [clip.name, len(clip), name, rmse, percent, ratio, rmse, float("nan"), 100 * failed / len(clip), spent]


def essential_row(clip: Clip) -> list[object]:
    """OpenCV: corners followed by flow, essential matrix, the true length of every step."""
    centres = invert_rigid(clip.world_to_camera)[:, :3, 3]
    before, scale = grey_of(clip, 0)

    def step(i: int) -> Array | None:
        nonlocal before
        earlier, (before, _) = before, grey_of(clip, i)
        corners = cv2.goodFeaturesToTrack(earlier, 800, 0.01, 6)
        if corners is None or len(corners) < 8:
            return None
        moved, ok, _ = cv2.calcOpticalFlowPyrLK(earlier, before, corners, np.zeros_like(corners))
        here, there = corners[ok.ravel() > 0, 0] / scale, moved[ok.ravel() > 0, 0] / scale
        K = clip.K[i]
        essential, inliers = cv2.findEssentialMat(here, there, K, cv2.RANSAC, 0.999, 1.0 / scale)
        if essential is None or essential.shape != (3, 3):
            return None
        _, turn, shift, _ = cv2.recoverPose(essential, here, there, K, mask=inliers)
        return rigid(turn, shift[:, 0] * np.linalg.norm(centres[i] - centres[i - 1]))

    return frame_to_frame(clip, "OpenCV essential matrix, true step lengths", True, step)


def odometry_row(clip: Clip) -> list[object]:
    """OpenCV's RGB-D odometry; its limits are those of rooms, so lengths are scaled until tissue is a metre away."""
    first = clip.depth(0)
    assert first is not None
    far = float(np.median(first[first > 0]))
    settings = cv2.OdometrySettings()
    settings.setCameraMatrix(clip.K[0].astype(np.float32))
    odometry = cv2.Odometry(cv2.OdometryType_RGB_DEPTH, settings, cv2.OdometryAlgoType_COMMON)

    def taken(i: int) -> cv2.OdometryFrame:
        depth = clip.depth(i)
        assert depth is not None
        metres = np.where(depth > 0, depth / far, np.nan).astype(np.float32)
        return cv2.OdometryFrame(metres, clip.image(i)[..., ::-1].copy())

    before = taken(0)

    def step(i: int) -> Array | None:
        nonlocal before
        earlier, before = before, taken(i)
        try:
            odometry.prepareFrames(earlier, before)
            good, motion = odometry.compute(earlier, before)
        except cv2.error:
            return None
        if not good or motion is None or not np.isfinite(motion).all():
            return None
        motion = np.array(motion, np.float64)
        motion[:3, 3] *= far
        return motion

    return frame_to_frame(clip, "OpenCV RGB-D odometry", False, step)


def colmap_row(clip: Clip) -> list[object]:
    """pycolmap over all frames together, by its defaults for a video."""
    began = time.perf_counter()
    try:
        trajectory, _ = colmap_clip(clip)
    except InputError as error:
        print(error, file=sys.stderr)
        return [clip.name, len(clip), "COLMAP", *(float("nan"),) * 5, 100.0, float("nan")]
    spent = 1000 * (time.perf_counter() - began) / len(clip)
    rmse, percent, ratio = judged(clip, trajectory.world_to_camera, True)
    lost = 100 * float((~trajectory.found).mean())
    return [clip.name, len(clip), "COLMAP (wall time)", rmse, percent, ratio, *(float("nan"),) * 2, lost, spent]


def posed_clip(path: Path, end: float | None) -> Clip:
    """The clip up to `end` seconds; leaves with a sentence where it has no path to compare with."""
    clip = load_clip(path, ClipOptions(end=end))
    if clip.static_camera:
        raise SystemExit(f"{path}: its poses are not known, or it stands still: there is nothing to compare with")
    return clip


def sources_of(clip: Clip, wanted: Sequence[str]) -> list[DepthSource]:
    """Those of the `wanted` sources of depth that a clip has."""
    there = {"none": True, "stereo": clip.has_right, "given": clip.has_depth}
    return [source for source in NAMES if source in wanted and there[source]]


def text(value: object) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Track, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--depth", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--end", type=float, help="seconds of each clip")
    parser.add_argument("--masks", default="auto", choices=["auto", "given", "found", "color", "none"])
    parser.add_argument("--focal", nargs="+", type=float, help="find the focal length, taken so many times too long")
    parser.add_argument("--pose-prior-mm", type=float, help="standard deviation of noisy poses, with --pose-prior-deg")
    parser.add_argument("--pose-prior-deg", type=float)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the noise")
    parser.add_argument("--csv", type=Path)
    chosen = parser.parse_args()
    if (chosen.pose_prior_mm is None) != (chosen.pose_prior_deg is None):
        parser.error("--pose-prior-mm and --pose-prior-deg go together")
    if chosen.focal:
        print("| clip | taken for | found | left open | time |\n|---|---|---|---|---|", flush=True)
        for path in chosen.clips:
            clip = with_instrument_masks(load_clip(path, ClipOptions(end=chosen.end)), chosen.masks)
            for off in chosen.focal:
                print(focal_row(clip, off), flush=True)
        return
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    rows = []
    for path in chosen.clips:
        clip = with_instrument_masks(posed_clip(path, chosen.end), chosen.masks)
        priors = []
        if chosen.pose_prior_mm is not None:
            noise = Noise(chosen.pose_prior_mm, float(np.radians(chosen.pose_prior_deg)))
            priors = [noisy_prior(clip, noise, seed) for seed in chosen.seeds]
        made = [prior_row(clip, prior) for prior in priors]
        for source in sources_of(clip, chosen.depth):
            made += endogs_rows(clip, source, priors)
        if chosen.peers:
            made += [essential_row(clip), *([colmap_row(clip)] if find_spec("pycolmap") else [])]
            made += [odometry_row(clip)] if clip.has_depth and hasattr(cv2, "Odometry") else []
        for row in made:
            print("| " + " | ".join(text(cell) for cell in row) + " |", flush=True)
        rows += made
    if chosen.csv is not None:
        with chosen.csv.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
