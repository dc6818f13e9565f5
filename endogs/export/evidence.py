"""How well the clip supports each Gaussian: training frames that show it, confidence, and whether it is filled in."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.pictures.find_visibility import find_visibility
from endogs.pictures.source_clip import judged_masks, load_source_clip
from endogs.plain_text import plain
from endogs.scene import Scene
from endogs.scene.chain import SceneChain


@dataclass(frozen=True)
class Evidence:
    """What the training frames say about N Gaussians; docs/usage/EXPORT.md defines the words."""

    frames: NDArray[np.uint16]
    """(N,) training frames that show it."""
    confidence: NDArray[np.float32]
    """(N,) in [0, 1]: of the training frames that draw it, the share in which no instrument stands before it."""
    seen: NDArray[np.bool_]
    """(N,) whether any training frame shows it; what is not seen is filled in."""


def evidence(scene: Scene) -> Evidence | None:
    """The evidence for a scene's Gaussians; None for a scene that does not know its visibility."""
    if scene.visibility is None:
        return None
    frames = training_frames(scene)
    drawn = scene.visibility.frames_drawn(len(scene.times))[:, frames].sum(1)
    seen = scene.visibility.frames_seen(len(scene.times))[:, frames].sum(1)
    return Evidence(seen.astype(np.uint16), (seen / np.maximum(drawn, 1)).astype(np.float32), seen > 0)


def training_frames(scene: Scene) -> NDArray[np.int64]:
    """The frames that the scene was fitted to; all of them where it does not say."""
    return np.array(scene.origin.training_frames or range(len(scene.times)), np.int64)


def with_visibility(scene: Scene, scene_path: Path, needed_for: str | None = None) -> Scene:
    """The scene with its visibility: the stored one, else what its clip's masks say.

    Where the clip is not there either, raises InputError if `needed_for` names an option that cannot do without, and
    otherwise says on standard error what the export will lack, and returns the scene as it is.
    """
    if scene.visibility is not None or isinstance(scene, SceneChain):  # a chain's segments know it
        return scene
    without = f"leave out {needed_for}" if needed_for else "a new fit would say it"
    again = "put it there again" + (f", or leave out {needed_for}" if needed_for else "")
    remedy = again if scene.origin.clip else without
    try:
        masks = judged_masks(scene, load_source_clip(scene, scene_path, remedy=remedy), remedy=without)
    except InputError as error:
        if needed_for is not None:
            raise InputError(
                f"{needed_for} needs to know which frames show what, and neither the scene nor its clip says: {error}"
            ) from error
        print(f"note: no confidence and no seen / filled-in labels: {plain(error)}", file=sys.stderr)
        return scene
    return replace(scene, visibility=find_visibility(scene, masks))
