"""A frame found again among the keyframes by what it looks like, after the camera was lost.

Descriptors by D. Lowe, "Distinctive image features from scale-invariant keypoints", 2004. A keyframe's features take
their depth from the map's points around them, which is good enough for a pose that following then refines.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from endogs.tracking.landmarks import SparseMap
from endogs.tracking.luma import Look
from endogs.tracking.projection import seen_from
from endogs.tracking.resection import Sightings, consensus
from endogs.tracking.two_view import rays

Array = NDArray[np.float64]
FEATURES = 800
CONTRAST = 0.005
"""Least contrast of a feature; tissue has little."""
NEWEST, OLDER = 8, 16
"""Keyframes that a lost frame is compared with: the newest, and so many spread over all others."""
RATIO = 0.8
"""Distance of a match by that of the second best, at most (Lowe)."""
MATCHES, AGREE = 15, 12
"""Matches with a keyframe, and those that agree on a pose, at least."""
TRIED = 3
"""Keyframes with the most matches that are tried."""
KEPT = 2 * (NEWEST + OLDER)
"""Keyframes whose features are kept: those of one take 0.4 MB."""
ERROR = 4.0
"""Pixels within which a match agrees with a pose: depths are rough."""


class Recognizer:
    """Compares frames with a map's keyframes, whose features are computed when they are first needed."""

    def __init__(self) -> None:
        self._features: dict[int, tuple[Array, NDArray[np.float32]]] = {}

    def find(self, look: Look, world: SparseMap) -> tuple[int, Array] | None:
        """The keyframe that a frame looks like, and about where the frame was taken (4, 4); None if like none."""
        pixels, descriptors = features(look)
        if len(pixels) < MATCHES:
            return None
        candidates = []
        for number in self._candidates(len(world.keyframes)):
            self._remember(number, world)
            here, there = matches(descriptors, self._features[number][1])
            if len(here) >= MATCHES:
                candidates.append((len(here), number, here, there))
        candidates.sort(key=lambda one: -one[0])
        for _, number, here, there in candidates[:TRIED]:
            points = self._points(number, world)
            known = np.isfinite(points[there, 0])
            nothing = np.zeros(int(known.sum()))
            sightings = Sightings(points[there][known], pixels[here][known], nothing, nothing, nothing + 1)
            pose = consensus(sightings, look.K, ERROR)
            if pose is None:
                continue
            seen = seen_from(pose, sightings.points)
            drawn = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6) * look.K[[0, 1], [0, 1]] + look.K[:2, 2]
            if (np.linalg.norm(drawn - sightings.pixels, axis=1) < ERROR).sum() >= AGREE:
                return number, pose
        return None

    def _remember(self, number: int, world: SparseMap) -> None:
        """Have the features of a keyframe at hand, and forget those that were not asked for the longest time."""
        known = self._features.pop(number, None)
        self._features[number] = features(world.keyframes[number].look) if known is None else known
        while len(self._features) > KEPT:
            del self._features[next(iter(self._features))]

    @staticmethod
    def _candidates(count: int) -> list[int]:
        newest = range(max(0, count - NEWEST), count)
        older = np.linspace(0, max(0, count - NEWEST - 1), OLDER).astype(int)
        return sorted({*newest, *(int(k) for k in older if k < count)})

    def _points(self, number: int, world: SparseMap) -> Array:
        """(n, 3) world points of a keyframe's features, by the inverse depths of its three nearest points."""
        keyframe = world.keyframes[number]
        pixels = self._features[number][0]
        placed = world.placed(keyframe.seen.ids)
        if placed.sum() < 3:
            return np.full((len(pixels), 3), np.nan)
        depth = seen_from(keyframe.world_to_camera, world.positions[keyframe.seen.ids[placed]])[:, 2]
        distance, near = cKDTree(keyframe.seen.pixels[placed]).query(pixels, k=3)
        weight = 1 / np.maximum(distance, 1.0)
        inverse = (weight / np.maximum(depth[near], 1e-9)).sum(1) / weight.sum(1)
        there = rays(pixels, keyframe.look.K) / inverse[:, None]
        pose = keyframe.world_to_camera
        return np.asarray((there - pose[:3, 3]) @ pose[:3, :3])


def features(look: Look) -> tuple[Array, NDArray[np.float32]]:
    """Places (n, 2), centres at +0.5, and descriptors (n, 128) of a picture's features on usable tissue."""
    points, descriptors = cv2.SIFT.create(FEATURES, contrastThreshold=CONTRAST).detectAndCompute(look.luma, look.usable)
    if descriptors is None or not len(points):
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    places = np.array([point.pt for point in points], np.float64) + 0.5
    # Roots of shares compare histograms better than their values do (Arandjelovic and Zisserman, CVPR 2012).
    shares = descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return places, np.sqrt(shares).astype(np.float32)


def matches(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of descriptors (n, d) and (m, d) that are each other's nearest, and clearly so."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    squared = np.maximum(2 - 2 * (a @ b.T), 0)
    best = squared.argmin(1)
    two = np.partition(squared, 1, axis=1)[:, :2]
    mutual = squared.argmin(0)[best] == np.arange(len(a))
    good = mutual & (two[:, 0] < RATIO**2 * two[:, 1])
    return np.flatnonzero(good), best[good]
