"""How much of a moving camera's scene is meant: the whole map, or what one camera sees."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from endogs.errors import InputError
from endogs.export.selection import Selection
from endogs.render.blending import blending_weights
from endogs.scene import Scene
from endogs.scene.chain import SceneChain
from endogs.scene.visibility import DRAWN


def decided(selection: Selection, scene: Scene) -> Selection:
    """The selection with `show` decided: the map of a moving camera is what its training frames show, where the scene
    knows that; else all.

    Raises InputError where `view_only` is asked of a still camera.
    """
    if selection.view_only and scene.static_camera:
        raise InputError("--view-only is not used by a scene of a still camera, which has one view; leave it out.")
    if selection.show is not None:
        return selection
    whole_map = not scene.static_camera and not selection.view_only
    return replace(selection, show="seen" if whole_map and knows(scene) else "all")


def knows(scene: Scene) -> bool:
    """Whether a scene knows which frames show its Gaussians, or the segments of a chain do."""
    return scene.visibility is not None or isinstance(scene, SceneChain)


def extent_note(selection: Selection, scene: Scene) -> str | None:
    """A sentence where a whole map holds what no frame shows, because the scene does not know which that is."""
    if scene.static_camera or selection.view_only or selection.show is not None or knows(scene):
        return None
    return "the scene does not know which frames show what, so that its map also holds what none shows"


def in_view(scene: Scene, time: float | None, packed: Tensor) -> NDArray[np.bool_]:
    """(N,) whether the clip's camera sees each of the Gaussians (N, 14) at `time`, seconds.

    Raises InputError for the canonical Gaussians (None), which no camera saw.
    """
    if time is None:
        raise InputError("--view-only shows what a camera sees at a time, and canonical is none; give --time first.")
    camera = scene.camera(scene.nearest_frame(time)).to("cpu")
    return np.asarray((blending_weights(packed, camera)[:, 1] >= DRAWN).numpy())
