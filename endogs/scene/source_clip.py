"""The clip a scene was fitted to, found again from what the scene file remembers.

`Scene.metadata["config"]` holds the fields of `endogs.fit.config.Reconstruct` as JSON, of which `input` (as the user
gave it), `clip` (fields of ClipOptions), `split` and `masks` are used here. Other scenes may lack any of them.
"""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.splits import SplitName
from endogs.errors import InputError
from endogs.home_folder import with_home
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.instruments.config import Sam2Options
from endogs.scene import Scene


def load_source_clip(scene: Scene, scene_path: Path, clip: Path | None = None) -> Clip:
    """The clip at `clip`, or the one that the scene names, read with the options of the fit.

    A relative name is looked for from the current folder, then from the scene's. Raises InputError when neither exists,
    when the scene names none, and when the frames found are not those of the fit.
    """
    config = _config(scene)
    if clip is None:
        source = config.get("input")
        if not source:
            raise InputError(f"{scene_path}: the scene does not say which clip it comes from; name it with --clip")
        folder = scene_path if scene_path.is_dir() else scene_path.parent
        found = [path for path in (with_home(source), folder / source) if path.exists()]
        if not found:
            raise InputError(f"{scene_path}: its clip {source} is not there any more; name it with --clip")
        clip = found[0]
    loaded = load_clip(clip, options_from_json(config.get("clip") or {}))
    check_frames(scene, loaded)
    return loaded


def options_from_json(values: dict[str, Any]) -> ClipOptions:
    """Reader options from the JSON form of their fields; unknown names are left out, so newer scenes can be read."""
    known: dict[str, Any] = {}
    if "calibration" not in values and values.get("pose_convention") == "opengl":
        # Older scenes say so for every layout, when it concerned poses_bounds.npy only.
        values = {**values, "pose_convention": "auto"}
    if "field_of_view" in values:
        # The name of --borders before it was confused with the phantom's angle.
        values = {"borders": "keep" if values["field_of_view"] == "full" else "auto", **values}
    for entry in fields(ClipOptions):
        if entry.name in values:
            value = values[entry.name]
            if isinstance(value, list):
                value = tuple(value)
            known[entry.name] = Path(value) if value is not None and Path in get_args(entry.type) else value
    return ClipOptions(**known)


def check_frames(scene: Scene, clip: Clip) -> None:
    """Raises InputError when the clip's frames differ from the scene's in number or size."""
    if len(clip) != len(scene.times):
        raise InputError(
            f"{clip.source}: {len(clip)} frames, but the scene was fitted to {len(scene.times)}; give the clip and the "
            "reading options of the fit"
        )
    if (clip.width, clip.height) != (scene.width, scene.height):
        raise InputError(
            f"{clip.source}: frames of {clip.width} x {clip.height}, but the scene was fitted to "
            f"{scene.width} x {scene.height}; give the clip and the reading options of the fit"
        )
    if not np.allclose(clip.times, scene.times, rtol=0, atol=1e-3):
        raise InputError(
            f"{clip.source}: its frames have other times than those the scene was fitted to; give the clip and the "
            "reading options of the fit"
        )


def judged_masks(scene: Scene, clip: Clip) -> Callable[[int], NDArray[np.bool_]]:
    """Tissue masks (H, W) by clip frame, not eroded: those of the fit, found again where it found them itself."""
    config = _config(scene)
    if config.get("masks", "none" if not clip.has_masks else "given") == "none":
        return lambda i: ~clip.ignored
    values = config.get("sam2") or {}
    known: dict[str, Any] = {f.name: values[f.name] for f in fields(Sam2Options) if f.name in values}
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    sam2 = Sam2Options(**known)
    return with_instrument_masks(clip, config.get("masks", "given"), sam2).tissue_mask


def fitted_split(scene: Scene) -> SplitName | None:
    """Name of the split the scene was fitted with; None when it does not say."""
    name = _config(scene).get("split")
    return cast(SplitName, name) if name in get_args(SplitName) else None


def _config(scene: Scene) -> dict[str, Any]:
    found = scene.metadata.get("config")
    return found if isinstance(found, dict) else {}
