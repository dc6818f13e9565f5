"""Whether the poses of a moving camera fit its images: points are followed between frames and their positions compared.

A point that is still in the world moves along a line of the other image that the poses foretell (Hartley and Zisserman
2004, section 9.1), and along half of it when it is in front of the camera. Tissue that deforms moves off that line,
but not as far as wrong poses do, and not everywhere: the median over many points tells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.pose_conventions import CONVENTIONS, poses_in_file, read_as
from endogs.clip.recording import Recording

Array = NDArray[np.float64]

LARGEST_ERROR = 2.0
"""Median error in pixels that poses may have."""
CLEARLY_BETTER = 3.0
"""How many times smaller another convention's error must be to be believed when the error is acceptable."""
STARTS = 5
"""Places in the clip that are looked at."""
HOPS = (1, 1, 2, 4, 8, 16)
"""Frames between the images in which a point is followed on."""
ENOUGH_MOTION = 0.05
"""Median motion, over the image's width, at which following stops."""
LEAST_MOTION = 4.0
"""Pixels; less says little about poses."""
LEAST_POINTS = 25
"""Points that a pair of frames must share."""
LONGEST = 640
"""Pixels of the longer side at which points are followed."""
LEAST_TURN = np.radians(0.25)
"""Parallax from which a point's depth is known well enough to compare."""


@dataclass(frozen=True)
class Pair:
    """Points followed from one frame to another."""

    first: int
    """Index of the frame where they start."""
    second: int
    """Index of the frame where they end."""
    here: Array
    """(N, 2) pixels of the first frame."""
    there: Array
    """(N, 2) pixels of the second frame."""


@dataclass(frozen=True)
class PoseCheck:
    """How well poses fit, and whether others would fit better."""

    points: int
    """Points followed, over all pairs."""
    pairs: int
    """Pairs of frames."""
    error: float
    """Median distance in pixels from where the poses allow a point to be."""
    in_front: float
    """Share of points with parallax that these poses put in front of both cameras."""
    best: str | None
    """The convention that fits instead, None when these poses are fine or nothing fits."""
    closest: str
    """The other convention with the smallest error, which may fit no better."""
    best_error: float
    """Its median distance in pixels."""
    depth_ratio: float | None
    """Median depth that the poses give points over the depth in the files, None without either."""

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when all is well."""
        if self.best is not None:
            return [
                f"the poses do not fit the images: points miss their epipolar lines by {self.error:.1f} pixels, but by "
                f"{self.best_error:.1f} when the poses are taken as {self.best}: --pose-convention {self.best} does it."
            ]
        if self.error > LARGEST_ERROR:
            return [
                f"the poses do not fit the images: points miss their epipolar lines by {self.error:.1f} pixels (up to "
                f"{LARGEST_ERROR:g} is fine), and by {self.best_error:.1f} in the closest other convention, "
                f"{self.closest}: the tissue moves a lot, or the intrinsics or the times of the poses are off."
            ]
        if self.depth_ratio is not None and not 0.6 < self.depth_ratio < 1.7:
            return [
                f"the poses and the depth files disagree about lengths: by the poses' motion tissue is "
                f"{self.depth_ratio:.3g} times as far as the depth says; --depth-unit-mm sets the depth's unit."
            ]
        return []


def check_poses(clip: Clip, recording: Recording) -> PoseCheck | None:
    """Compare the clip's poses, and all other readings of those in the files of its `recording`, with its images.

    None for a camera that stands still, and when too little moves in
    the images or too few points can be followed to say anything.
    """
    if clip.static_camera:
        return None
    pairs = followed_pairs(clip)
    if not pairs:
        return None
    error = median_error(clip.K, clip.world_to_camera, pairs)
    convention = poses_in_file(recording)[1]
    others = {name: median_error(clip.K, read_as(recording, name), pairs) for name in CONVENTIONS if name != convention}
    # Conventions may agree on these frames: the plainest of those that are as good is named.
    smallest = min(others.values())
    best = next(name for name, found in others.items() if found <= 1.02 * smallest + 0.01)
    wrong = error > LARGEST_ERROR and others[best] < min(LARGEST_ERROR, 0.6 * error)
    wrong |= error > 1 and CLEARLY_BETTER * others[best] < error
    in_front, ratio = _depths(clip, pairs)
    return PoseCheck(
        sum(len(pair.here) for pair in pairs),
        len(pairs),
        error,
        in_front,
        best if wrong else None,
        best,
        others[best],
        ratio,
    )


def followed_pairs(clip: Clip) -> list[Pair]:
    """Points followed through the clip from a few places, each as far as the motion needs, by optical flow.

    Lucas and Kanade's method, forth and back; points that do not return to where they began are dropped.
    """
    import cv2

    scale = min(1.0, LONGEST / max(clip.width, clip.height))
    size = (max(1, round(clip.width * scale)), max(1, round(clip.height * scale)))
    stretch = np.array([clip.width / size[0], clip.height / size[1]])

    def gray(index: int) -> NDArray[np.uint8]:
        small = cv2.resize(clip.image(index), size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)

    pairs = []
    for start in sorted({round(i) for i in np.linspace(0, len(clip) - 2, STARTS)}) if len(clip) > 1 else []:
        image = gray(start)
        tissue = clip.tissue_mask(start).astype(np.uint8)
        # Highlights travel with the light, not with the tissue.
        dull = np.asarray(cv2.dilate(image, np.ones((5, 5), np.uint8))) < 245
        allowed = np.asarray(cv2.resize(tissue, size, interpolation=cv2.INTER_NEAREST)) * dull.astype(np.uint8)
        first = cv2.goodFeaturesToTrack(image, 400, 0.01, 6, mask=allowed)
        if first is None:
            continue
        here = there = np.asarray(first, np.float32).reshape(-1, 2)
        now = start
        moved = 0.0
        for hop in HOPS:
            if now + hop >= len(clip) or len(here) < LEAST_POINTS or moved > ENOUGH_MOTION * size[0]:
                break
            following = gray(now + hop)
            ahead, found = _flow(image, following, there)
            back, returned = _flow(following, image, ahead)
            kept = found & returned & (np.linalg.norm(back - there, axis=1) < 0.7)
            here, there, image, now = here[kept], ahead[kept], following, now + hop
            moved = float(np.median(np.linalg.norm(there - here, axis=1))) if len(here) else 0.0
        if len(here) >= LEAST_POINTS and moved >= LEAST_MOTION:
            # OpenCV puts pixel centres at integers.
            pairs.append(Pair(start, now, (here + 0.5) * stretch, (there + 0.5) * stretch))
    return pairs


def _flow(
    image: NDArray[np.uint8], following: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points (N, 2) of a gray image (H, W) are in the one that follows, and whether each was found."""
    import cv2

    to = np.zeros_like(points)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(image, following, points, to, winSize=(17, 17))
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(found).ravel() > 0


def median_error(K: Array, poses: Array, pairs: list[Pair]) -> float:
    """Median over all points of the distance in pixels to the half line where poses (F, 4, 4) allow them.

    A point must be in front of both cameras, at any distance. Each pair counts the same.
    """
    errors = []
    for pair in pairs:
        turned, moved, target, focal = _relative(K, poses, pair)
        depth = _inverse_depth(turned, moved, target)
        seen = turned + np.maximum(depth, 0)[:, None] * moved
        flat = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
        error = np.linalg.norm((flat - target) * focal, axis=1)
        errors.append(np.median(np.where(seen[:, 2] > 1e-6, error, np.inf)))
    return float(np.median(errors))


def _relative(K: Array, poses: Array, pair: Pair) -> tuple[Array, Array, Array, Array]:
    """Rays (N, 3) of the first frame turned to the second, the motion (3,), and the points there (N, 2) with z = 1."""
    first, second = K[pair.first], K[pair.second]
    focal = second[[0, 1], [0, 1]]
    motion = poses[pair.second] @ np.linalg.inv(poses[pair.first])
    rays = np.concatenate([(pair.here - first[:2, 2]) / first[[0, 1], [0, 1]], np.ones((len(pair.here), 1))], 1)
    return rays @ motion[:3, :3].T, motion[:3, 3], (pair.there - second[:2, 2]) / focal, focal


def _inverse_depth(turned: Array, moved: Array, target: Array) -> Array:
    """Inverse z-depth (N,) in the first frame that brings `turned` + w `moved` closest to `target`; may be negative."""
    along = moved[:2] - target * moved[2]
    beside = turned[:, :2] - target * turned[:, 2:]
    return -(along * beside).sum(1) / np.maximum((along * along).sum(1), 1e-30)


def _depths(clip: Clip, pairs: list[Pair]) -> tuple[float, float | None]:
    """The share of points with parallax in front of both cameras, and their depth by motion over the files' depth."""
    positive, ratios = [], []
    for pair in pairs:
        turned, moved, target, _ = _relative(clip.K, clip.world_to_camera, pair)
        away = np.concatenate([target, np.ones((len(target), 1))], 1)
        cosine = (away * turned).sum(1) / np.linalg.norm(away, axis=1) / np.linalg.norm(turned, axis=1)
        parallax = cosine < np.cos(LEAST_TURN)
        inverse = _inverse_depth(turned, moved, target)
        positive.append((inverse > 0)[parallax])
        files = clip.depth(pair.first)
        if files is not None:
            column, row = pair.here.astype(int).T
            known = files[row.clip(0, clip.height - 1), column.clip(0, clip.width - 1)]
            use = parallax & (inverse > 0) & (known > 0)
            ratios.append(1 / (inverse[use] * known[use]))
    share = np.concatenate(positive)
    all_ratios = np.concatenate(ratios) if ratios else np.zeros(0)
    return (
        float(share.mean()) if share.size else 1.0,
        float(np.median(all_ratios)) if len(all_ratios) >= LEAST_POINTS else None,
    )
