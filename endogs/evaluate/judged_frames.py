"""The frames of a split that are judged: what should be seen, where, and what needs no scene to predict it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.clip.splits import Split
from endogs.errors import InputError
from endogs.evaluate.baselines import TEMPORAL, temporal_baselines
from endogs.evaluate.right_view import predict_right_view
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene

MaskOf = Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class JudgedFrame:
    """One image that a scene is held against."""

    frame: int
    """Index into the clip."""
    time: float
    """Seconds."""
    camera: Camera
    """The clip's; `camera_of` is a scene's."""
    right: bool
    """Whether the right camera took it, of a frame whose left view the scene may have learned from."""
    target: NDArray[np.uint8]
    """(H, W, 3) what the camera saw."""
    tissue_mask: NDArray[np.bool_]
    """(H, W) True where it is judged."""
    depth: NDArray[np.float32] | None
    """(H, W) the clip's z-depth, 0 = unknown; None where the clip has none, and for right views."""
    guesses: dict[str, NDArray[np.uint8]]
    """(H, W, 3) by name: predictions that need no scene."""


def check_split(clip: Clip, split: Split) -> None:
    """Raises InputError for a split without test frames, and for novel views of a clip without right views or depth."""
    if not split.test:
        raise InputError(f"{clip.source}: too few frames for --split {split.name}; use --split all")
    if split.test_view == "right" and not (clip.has_right and clip.has_depth):
        raise InputError(f"{clip.source}: --split novel-view needs right views and depth; use --split standard")


def judged_frames(clip: Clip, split: Split, masks: MaskOf, flows: ClipFlows) -> Iterator[JudgedFrame]:
    """The split's test frames in order; `masks(i)` is the tissue mask (H, W) of the left frame i, not eroded.

    On the novel-view split the right camera's image is judged where the left view shows tissue of known depth.
    """
    for i in split.test:
        time, mask = float(clip.times[i]), masks(i)
        if split.test_view == "right":
            yield _right_frame(clip, i, mask)
            continue
        guesses = temporal_baselines(clip, flows, split.train, i, split.name) if split.name in TEMPORAL else {}
        yield JudgedFrame(i, time, clip.camera(i), False, clip.image(i), mask, clip.depth(i), guesses)


def _right_frame(clip: Clip, i: int, tissue_mask: NDArray[np.bool_]) -> JudgedFrame:
    target, depth = clip.right_image(i), clip.depth(i)
    assert target is not None
    assert depth is not None
    assert clip.baseline is not None
    view = predict_right_view(clip.image(i), depth, tissue_mask, float(clip.K[i, 0, 0]), clip.baseline)
    guesses = {"left_shifted": view.left_shifted, "depth_warp": view.depth_warp}
    mask = view.tissue_mask & ~clip.ignored
    return JudgedFrame(i, float(clip.times[i]), clip.right_camera(i), True, target, mask, None, guesses)


def camera_of(scene: Scene, clip: Clip, judged: JudgedFrame) -> Camera:
    """The camera that a scene is judged with: its own, whose pose the fit may have refined."""
    pose = np.array(scene.world_to_camera[judged.frame], np.float64)
    if judged.right and clip.baseline is not None:
        pose[0, 3] -= clip.baseline
    return Camera.from_numpy(scene.K[judged.frame], pose, scene.width, scene.height)
