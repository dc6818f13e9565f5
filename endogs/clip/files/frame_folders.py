"""Frames in folders side by side: images/, masks/, depth/, images_right/."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import DEPTH_SUFFIXES, DepthFiles, depth_files
from endogs.clip.files.frame_families import frames_of
from endogs.clip.files.frame_images import ImageFiles, image_files
from endogs.clip.files.image_files import IMAGE_SUFFIXES, check_sizes, image_size, list_images
from endogs.clip.files.image_turns import turn_of
from endogs.clip.files.mask_files import mask_files
from endogs.clip.files.pairing import pair_with_images
from endogs.clip.files.selection import Selection
from endogs.clip.files.transparency import without_transparent
from endogs.clip.files.whole_jpegs import check_whole
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

DEFAULT_FPS = 30.0
MASK_FOLDERS = ("masks", "gt_masks")
DEPTH_FOLDERS = ("depth", "gt_depth", "depths")
"""The last two are ForPlane's (EndoNeRF's folders with depth of other sources) and OneSLAM's."""


@dataclass(frozen=True)
class FrameFolders:
    """The chosen frames of the folders of one clip."""

    total: int
    """Frames on disk, before --start, --end and --stride."""
    kept: list[int]
    """Indices of the chosen frames among all."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    times: NDArray[np.float64]
    """(F,) seconds since the first frame on disk."""
    images: ImageFiles
    """The frames themselves."""
    masks: FrameReader | None
    """Instrument masks, with what is transparent; bool (height, width), True = tissue seen."""
    mask_instrument_value: int
    """The value that means instrument in them."""
    depths: DepthFiles | None
    """Depth maps."""
    right_images: ImageFiles | None
    """Right views."""
    depth_is_quantized: bool
    """True when depth comes in 8 bits."""
    outside: NDArray[np.bool_] | None
    """(height, width) True where every picture is transparent; only where it was asked for."""
    notes: list[str] = field(default_factory=list)
    """Sentences a user should read."""

    def recording(
        self, source: Path, kind: str, K: NDArray[np.float64], world_to_camera: NDArray[np.float64]
    ) -> Recording:
        """The frames with their depth, and with the cameras that a reader found: `K` (3, 3) or (F, 3, 3), poses
        (F, 4, 4). What else it found, masks and right views included, is for the reader to add.
        """
        return Recording(
            source=source,
            kind=kind,
            width=self.width,
            height=self.height,
            times=self.times,
            K=K if K.ndim == 3 else K[None].repeat(len(self.kept), 0),
            world_to_camera=world_to_camera,
            images=self.images,
            depths=self.depths,
            depth_is_quantized=self.depth_is_quantized,
            notes=self.notes,
        )


def read_frame_folders(
    root: Path,
    image_folder: Path,
    options: ClipOptions,
    fps: float | None,
    times: NDArray[np.float64] | None = None,
    usable: NDArray[np.bool_] | None = None,
    instrument_value: int = 255,
    keep_outside: bool = False,
    known: list[Path] | None = None,
    inside: str = ".",
) -> FrameFolders:
    """The frames in `image_folder` and what lies beside them in `root`; `frames_of` finds them if they are not `known`.

    `fps` is the frame rate that the data set states, `times` (F_total,) its timestamps; --fps goes before both, and
    without any of them it is 30 with a note. `instrument_value` is the layout's own. Of the chosen frames only the
    `usable` (F_total,) are kept. With `keep_outside` what is transparent in all pictures is `outside`, and else no
    tissue in the masks. Masks and depth lie in the subfolder `inside` of their folders where that is there. Raises
    InputError for pictures of several kinds, for mixed sizes, for masks, depth or right views that do not match the
    images, and for the options of selection.
    """
    family_notes: list[str] = []
    paths = frames_of(image_folder, options.images, family_notes) if known is None else known
    if not paths:
        raise InputError(f"{image_folder}: no PNG, JPEG, BMP, TIFF or WebP files: put the frames there.")
    depth_folders = [root / name for name in DEPTH_FOLDERS if list_images(_within(root / name, inside), DEPTH_SUFFIXES)]
    mask_folders = [root / name for name in MASK_FOLDERS if list_images(_within(root / name, inside))]
    frames = read_frame_files(
        root,
        paths,
        options,
        fps,
        times,
        masks=list_images(_within(mask_folders[0], inside)) if mask_folders else (),
        depths=list_images(_within(depth_folders[0], inside), DEPTH_SUFFIXES) if depth_folders else (),
        right_images=list_images(root / "images_right"),
        usable=usable,
        instrument_value=instrument_value,
        keep_outside=keep_outside,
    )
    frames.notes.extend(family_notes)
    frames.notes.extend(
        f"{folder.name}/ is not used, {len(list_images(folder))} files: {mask_folders[0].name}/ holds masks too."
        for folder in mask_folders[1:]
    )
    frames.notes.extend(
        f"{folder.name}/ is not used, {len(list_images(folder, DEPTH_SUFFIXES))} files: {depth_folders[0].name}/ holds "
        "depth too."
        for folder in depth_folders[1:]
    )
    for name in ("images_right", *DEPTH_FOLDERS, *MASK_FOLDERS):
        suffixes = DEPTH_SUFFIXES if name in DEPTH_FOLDERS else IMAGE_SUFFIXES
        if (root / name).is_dir() and not list_images(_within(root / name, inside), suffixes):
            frames.notes.append(f"{name}/ holds no readable files and is not used.")
    return frames


def _within(folder: Path, inside: str) -> Path:
    return folder / inside if (folder / inside).is_dir() else folder


def read_frame_files(
    root: Path,
    images: Sequence[Path],
    options: ClipOptions,
    fps: float | None,
    times: NDArray[np.float64] | None = None,
    masks: Sequence[Path] = (),
    depths: Sequence[Path] = (),
    right_images: Sequence[Path] = (),
    instrument_value: int = 255,
    usable: NDArray[np.bool_] | None = None,
    keep_outside: bool = False,
) -> FrameFolders:
    """The frames in `images`, in order, with the masks, depth maps and right views that belong to them, of clip `root`.

    `instrument_value` is the data set's own; the options go before it. `fps`, `times`, `usable`, `keep_outside` and
    errors are those of `read_frame_folders`.
    """
    paths, notes = list(images), []
    rate = options.fps or fps
    if options.fps is None and times is not None:
        seconds = times - times[0]
    else:
        seconds = np.arange(len(paths)) / (rate or DEFAULT_FPS)
        if rate is None:
            notes.append(f"the frame rate is unknown and taken as {DEFAULT_FPS:g} per second; --fps sets it.")
    kept = Selection(options).indices(seconds.tolist(), root)
    if usable is not None:
        kept = [i for i in kept if usable[i]]
        if not kept:
            raise InputError(f"{root}: none of the frames that --start, --end and --stride choose has a camera pose.")

    width, height = image_size(paths[0])
    check_sizes(paths, width, height, paths[0])
    chosen = [paths[i] for i in kept]
    turn = turn_of(chosen, (width, height), [*masks[:1], *depths[:1], *right_images[:1]], notes)
    colours = image_files(chosen, notes, turn)
    width, height = turn.size(width, height)
    value = instrument_value if options.mask_instrument_value is None else options.mask_instrument_value

    mask_reader = None
    if masks:
        paired = pair_with_images(paths, list(masks), notes)
        mask_reader = mask_files([paired[i] for i in kept], (width, height), value, notes, named=options.mask_values)
    depth_reader, quantized = None, False
    if depths:
        paired = pair_with_images(paths, list(depths), notes)
        depth_reader, quantized = depth_files([paired[i] for i in kept], (width, height), notes, options.depth_is)
    right = None
    if right_images:
        paired = pair_with_images(paths, list(right_images), notes)
        check_sizes(paired, width, height, paths[0])
        check_whole([paired[i] for i in kept], notes, are_a_series=True)
        right = ImageFiles([paired[i] for i in kept], colours.white)
    tissue, outside = (
        without_transparent(chosen, mask_reader, notes, keep_outside) if turn.is_none else (mask_reader, None)
    )
    return FrameFolders(
        total=len(paths),
        kept=kept,
        width=width,
        height=height,
        times=seconds[kept],
        images=colours,
        masks=tissue,
        mask_instrument_value=value,
        depths=depth_reader,
        right_images=right,
        depth_is_quantized=quantized,
        outside=outside,
        notes=notes,
    )
