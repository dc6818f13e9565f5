"""The clip a scene was fitted to, found again from what `Scene.origin` remembers.

A scene may come from a stranger. Its clip is opened only where a plain file or folder is: no address of a network, no
protocol of FFmpeg's, no device or pipe, and a file only when its name ends as a video's does. No model is ever run for
it, and nothing is downloaded.
"""

import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.files.image_files import IMAGE_SUFFIXES
from endogs.clip.fingerprint import clip_fingerprint
from endogs.clip.load import VIDEO_SUFFIXES
from endogs.clip.splits import SplitName
from endogs.errors import InputError
from endogs.options import as_option
from endogs.plain_text import plain
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.instruments.config import MaskChoice
from endogs.scene.chain import SceneChain
from endogs.scene.origin import FittedMasks, OptionValue, Origin
from endogs.scene.scene import Scene

JudgedMasks = Literal["fitted", "given", "found", "color", "none"]
"""Where a scene's instruments are looked up: its own masks, the clip's files, the pictures, by colour, or nowhere."""
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://|[\\/]{2}")
"""How an address begins (RFC 3986, section 3.1), or a share of another machine."""
_NO_FILES = ("/dev/", "/proc/", "/sys/")
"""Where the system keeps what looks like a file and is none."""


def load_source_clip(
    scene: Scene, scene_path: Path, clip: Path | None = None, remedy: str = "name it with --clip"
) -> Clip:
    """The clip at `clip`, or the one that the scene names, read with the options of the fit.

    It is looked for where it lay beside the scene, under the name that was given, from the current folder, and under
    that name from the scene's folder; of these the first that shows what the scene was fitted to is taken. Raises
    InputError, with what the user can do about it as its `remedy`, when there is none, when the scene names none or
    something that is no clip on this machine, and when pictures or frames are not those of the fit. A `clip` with other
    pictures, as after another encoding, is taken with a note on standard error.
    """
    folder = scene_path if scene_path.is_dir() else scene_path.parent
    options = clip_options(scene.origin, folder)
    if clip is not None:
        loaded = _read(clip, options)
        check_frames(scene, loaded)
        if not _shows_the_same(scene, loaded):
            print(
                f"note: {plain(clip)} does not show the same pictures as the clip that the scene was fitted to; "
                "numbers beside it are only right if it is another encoding of that clip",
                file=sys.stderr,
            )
        return loaded
    if not scene.origin.clip:
        raise InputError(f"{scene_path}: the scene does not say which clip it comes from; {remedy}")
    places = _named_files(scene.origin.clip, folder, VIDEO_SUFFIXES)
    if scene.origin.clip_from_scene:
        places = [*_named_files(str(folder / scene.origin.clip_from_scene), folder, VIDEO_SUFFIXES)[:1], *places]
    if not places:
        raise InputError(
            f"{scene_path}: its clip {plain(scene.origin.clip)} is not there any more as a folder or a video; {remedy}"
        )
    for place in places:
        try:
            loaded = _read(place, options)
            check_frames(scene, loaded)
        except InputError:
            if place == places[-1]:
                raise
            continue
        if _shows_the_same(scene, loaded):
            return loaded
    raise InputError(
        f"{scene_path}: {plain(places[-1])} has the name of its clip and shows other pictures, so the scene's own clip "
        f"is not there; {remedy}"
    )


def _read(path: Path, options: ClipOptions) -> Clip:
    """The clip, not looked at; options that a refusal advises are those of reconstruct, and it says so."""
    try:
        return load_clip(path, options, look=False)
    except InputError as error:
        if "--" not in str(error):
            raise
        raise InputError(
            f"{str(error).rstrip('.')}; these are options of reconstruct, as a scene's clip is read in the way of its "
            "fit: give the clip as it was then, or fit it again"
        ) from error


def _shows_the_same(scene: Scene, clip: Clip) -> bool:
    """Whether the clip shows what the scene was fitted to, as far as the scene knows."""
    known = scene.origin.clip_fingerprint
    return known is None or known == clip_fingerprint(clip)


def clip_options(origin: Origin, folder: Path) -> ClipOptions:
    """Reader options of the fit; names that are not known are left out, so that newer scenes can be read.

    `folder` is the scene's, where files of the options are looked for too. Raises InputError for values that the
    options do not have.
    """
    known: dict[str, Any] = {}
    for name, kind in get_type_hints(ClipOptions).items():
        if name not in origin.clip_options:
            continue
        value: Any = origin.clip_options[name]
        if not _fits(value, kind):
            raise InputError(
                f"the scene says that its clip was read with {name} = {plain(value, 100)}, which that option does not "
                "take; fit the scene again"
            )
        if value is not None and name == "mask_folder":
            # The scene keeps its masks itself, so that nothing is lost with a folder that has gone.
            value = next((place for place in _named_files(str(value), folder, ()) if place.is_dir()), None)
        elif value is not None and Path in get_args(kind):
            value = _option_file(name, str(value), folder)
        known[name] = value
    return ClipOptions(**known)


def options_as_json(options: ClipOptions) -> dict[str, OptionValue]:
    """The inverse of `clip_options`: an origin's entry, defaults too, which may be others one day."""
    values = {entry.name: getattr(options, entry.name) for entry in fields(options)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def path_from(clip: Path, folder: Path) -> str | None:
    """The path of `clip` from the scene's `folder`, with `/`; None where no relative path leads there."""
    try:
        return Path(os.path.relpath(clip.expanduser().resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return None


def masks_in_use(clip: Clip, asked: MaskChoice) -> FittedMasks:
    """What an origin says of the masks of `clip`, for which `asked` was given; a search may have found none."""
    if not clip.has_masks or asked == "none":
        return "none"
    if asked == "auto":
        return "given" if clip.masks_are_given else "found"
    return asked


def check_frames(scene: Scene, clip: Clip) -> None:
    """Raises InputError when the clip's frames differ from the scene's in number or size."""
    if len(clip) != len(scene.times):
        # A run that was interrupted leaves a chain of its first segments.
        or_finish = ", or finish an interrupted run by reconstruct --resume" if isinstance(scene, SceneChain) else ""
        raise InputError(
            f"{clip.source}: {len(clip)} frames, but the scene was fitted to {len(scene.times)}; give the clip "
            f"that it was fitted to{or_finish}"
        )
    if (clip.width, clip.height) != (scene.width, scene.height):
        raise InputError(
            f"{clip.source}: frames of {clip.width} x {clip.height}, but the scene was fitted to "
            f"{scene.width} x {scene.height}; give the clip that it was fitted to"
        )
    if not np.allclose(clip.times, scene.times, rtol=0, atol=1e-3):
        raise InputError(
            f"{clip.source}: its frames have other times than those the scene was fitted to; give the clip that it was "
            "fitted to"
        )


def judged_masks(
    scene: Scene,
    clip: Clip,
    masks: JudgedMasks = "fitted",
    remedy: str = "give --masks given for masks beside the clip, --masks found or --masks none",
) -> Callable[[int], NDArray[np.bool_]]:
    """Tissue masks (H, W) by clip frame, not eroded: those that the scene holds, or what `masks` says instead.

    A scene that holds none has them looked up as its fit did, in the clip's files or in its pictures. Raises
    InputError, with what the user can do about it as its `remedy`, for masks that SAM 2 made and the scene does not
    hold: a scene's word loads no model from outside.
    """
    if masks == "fitted" and scene.masks is not None:
        return scene.tissue_mask
    kind = scene.origin.masks if masks == "fitted" else masks
    if kind is None:
        kind = "given" if clip.has_masks else "none"
    if kind == "none":
        return lambda i: ~clip.ignored
    if kind == "sam2":
        raise InputError(
            f"{clip.source}: the scene was fitted with masks by SAM 2, which it does not hold, and no model is run for "
            f"a scene; {remedy}"
        )
    return with_instrument_masks(clip, kind).tissue_mask


def fitted_split(scene: Scene) -> SplitName | None:
    """Name of the split the scene was fitted with; None when it does not say, or one that is not known here."""
    name = scene.origin.split
    return cast(SplitName, name) if name in get_args(SplitName) else None


def _named_files(named: str, folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The folders, or files with one of `endings`, that a scene in `folder` may mean: from the current folder, and its.

    Empty for addresses, and for what is none of the user's files.
    """
    if _ADDRESS.match(named) or not named.isprintable():
        return []
    found = []
    for beside_scene in (False, True):
        try:
            path = folder / named if beside_scene else Path(named).expanduser()
            if path.resolve().as_posix().startswith(_NO_FILES) or not path.exists():
                continue
            kind = path.stat().st_mode
        except (OSError, ValueError, RuntimeError):  # names that are too long, loops of links, homes of nobody
            continue
        if stat.S_ISDIR(kind) or (stat.S_ISREG(kind) and path.suffix.lower() in endings):
            found.append(path)
    return found


def _option_file(name: str, named: str, folder: Path) -> Path:
    endings = (".json", ".yaml", ".yml", ".txt", ".m") if name == "calibration" else IMAGE_SUFFIXES
    found = next(iter(_named_files(named, folder, endings)), None)
    if found is None or found.is_dir():
        raise InputError(
            f"the scene says that its clip was read with the {name.replace('_', ' ')} {plain(named)}, which is not "
            f"there as a file in {' or '.join(endings)}; put it there again"
        )
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value, with tuples for lists, is of an option's type; a file's name stands for its path."""
    if value is None:
        return type(None) in get_args(kind)
    try:
        as_option(value, kind)
    except TypeError:
        return False
    return True
