"""Frames in folders side by side: images/, masks/, depth/, images_right/."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.depth_files import DEPTH_SUFFIXES, DepthFiles, depth_files
from endogs.clip.image_files import check_sizes, image_size, list_images, read_color
from endogs.clip.mask_files import MaskFiles, mask_files
from endogs.clip.pairing import pair_with_images
from endogs.clip.selection import Selection
from endogs.errors import InputError

DEFAULT_FPS = 30.0
MASK_FOLDERS = ("masks", "gt_masks")


class ImageFiles:
    """Colour images that are decoded when read."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return read_color(self.paths[index])


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
    masks: MaskFiles | None
    """Instrument masks."""
    depths: DepthFiles | None
    """Depth maps."""
    right_images: ImageFiles | None
    """Right views."""
    depth_is_quantized: bool
    """True when depth comes in 8 bits."""
    notes: list[str] = field(default_factory=list)
    """Sentences a user should read."""


def read_frame_folders(
    root: Path,
    image_folder: Path,
    options: ClipOptions,
    fps: float | None,
    times: NDArray[np.float64] | None = None,
    usable: NDArray[np.bool_] | None = None,
) -> FrameFolders:
    """The frames in `image_folder` and what lies beside them in `root`.

    `fps` is the frame rate that the data set states, `times` (F_total,) its timestamps; --fps goes before both, and
    without any of them it is 30 with a note. Of the chosen frames only the `usable` (F_total,) are kept. Raises
    InputError for mixed sizes, for masks, depth or right views that do not match the images, and for the options of
    selection.
    """
    paths = list_images(image_folder)
    if not paths:
        raise InputError(f"{image_folder}: no PNG, JPEG, BMP, TIFF or WebP files: put the frames there.")
    notes: list[str] = []
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

    masks = None
    mask_folders = [root / name for name in MASK_FOLDERS if list_images(root / name)]
    if mask_folders:
        paired = pair_with_images(paths, list_images(mask_folders[0]), notes)
        masks = mask_files([paired[i] for i in kept], (width, height), options.mask_instrument_value, notes)
        notes += [
            f"{folder.name}/ is not used: {mask_folders[0].name}/ holds masks too." for folder in mask_folders[1:]
        ]

    depths, quantized = None, False
    if list_images(root / "depth", DEPTH_SUFFIXES):
        paired = pair_with_images(paths, list_images(root / "depth", DEPTH_SUFFIXES), notes)
        depths, quantized = depth_files([paired[i] for i in kept], (width, height), notes)

    right = None
    if list_images(root / "images_right"):
        paired = pair_with_images(paths, list_images(root / "images_right"), notes)
        check_sizes(paired, width, height, paths[0])
        right = ImageFiles([paired[i] for i in kept])

    for name in ("images_right", "depth", *MASK_FOLDERS):
        known = DEPTH_SUFFIXES if name == "depth" else None
        if (root / name).is_dir() and not (list_images(root / name, known) if known else list_images(root / name)):
            notes.append(f"{name}/ holds no readable files and is not used.")
    return FrameFolders(
        len(paths), kept, width, height, seconds[kept], ImageFiles(chosen), masks, depths, right, quantized, notes
    )
