"""How much of a moving camera's scene is meant: the whole map, or what one camera sees."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.errors import InputError
from endogs.export.map_cameras import spread_frames
from endogs.export.selection import Selection
from endogs.pictures.scene_frames import SURE
from endogs.render import rasterize_packed
from endogs.render.blending import blending_weights
from endogs.scene import Scene
from endogs.scene.chain import SceneChain
from endogs.scene.visibility import DRAWN

GLANCES, GLANCE = 8, 160
"""Frames whose cameras look whether the map is where it was seen, and the longest side of their pictures, pixels."""
LEAST_KEPT = 0.7
"""Share of a camera's picture that a map must fill; tissue that breathes uncovers less than the rest."""


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


@torch.no_grad()
def carried_note(selection: Selection, scene: Scene, times: Sequence[float | None]) -> str | None:
    """A sentence where the map at the first of `times` (seconds; None: canonical) is not what the clip's cameras saw.

    Each camera of a few frames spread over the clip looks at the map of that time and at that of its own: a free
    deformation may have carried the Gaussians along with the camera, and then they are missing where they were seen.
    """
    time = times[0]
    if time is None or scene.static_camera or selection.view_only or isinstance(scene, SceneChain):
        return None
    held, shares = scene.packed_at(time), []
    for frame in spread_frames(scene, GLANCES):
        camera = scene.camera(int(frame))
        camera = camera.scaled(min(1.0, GLANCE / max(camera.width, camera.height)))
        own = rasterize_packed(scene.packed_at(float(scene.times[frame])), camera).alpha >= SURE
        still = rasterize_packed(held, camera).alpha >= SURE
        shares.append(float((own & still).sum() / own.sum().clamp_min(1)))
    if min(shares) >= LEAST_KEPT:
        return None
    return (
        f"at {time:g} s the map fills only {100 * min(shares):.0f} to {100 * max(shares):.0f} % of what the cameras of "
        f"{len(shares)} frames saw at their own times: the deformation carries tissue along with the camera, so that "
        "what lies elsewhere is not where it was seen; a fit that deforms less, such as with --deformation none of "
        "reconstruct, has a truer map"
    )


def in_view(scene: Scene, time: float | None, packed: Tensor) -> NDArray[np.bool_]:
    """(N,) whether the clip's camera sees each of the Gaussians (N, 14) at `time`, seconds.

    Raises InputError for the canonical Gaussians (None), which no camera saw.
    """
    if time is None:
        raise InputError("--view-only shows what a camera sees at a time, and canonical is none; give --time first.")
    camera = scene.camera(scene.nearest_frame(time)).to("cpu")
    return np.asarray((blending_weights(packed, camera)[:, 1] >= DRAWN).numpy())
