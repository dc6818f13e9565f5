"""A picture of a few frames of a clip with what the reader understood of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.files.mask_files import sampled
from endogs.depth_colors import color_depth
from endogs.output import new_file

CELL_WIDTH = 320
COLUMNS = 5
GAP = 4
INSTRUMENT_TINT = (0, 255, 80)
DOUBTFUL_TINT = (255, 220, 0)
IGNORED_TINT = (255, 60, 200)


def contact_sheet(clip: Clip, depth_range: tuple[float, float] | None, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """uint8 (rows, columns, 3) RGB: a row of frames, then of masks, depth and right views where the clip has them.

    Masked instruments are tinted green, their doubtful surroundings yellow, ignored areas magenta. Depth is
    coloured as in every other picture, over `depth_range` (nearest, farthest in world units), black where unknown.
    """
    frames = sampled(len(clip), columns)
    rows = [[_labelled(clip.image(i), f"frame {i}  {clip.times[i]:.2f} s") for i in frames]]
    if clip.has_masks or clip.ignored.any():
        rows.append(
            [_labelled(mask_overlay(clip, i), "green instrument, yellow perhaps, magenta ignored") for i in frames]
        )
    if depth_range is not None:
        near, far = depth_range
        unit = "mm" if clip.units == "mm" else "(relative)"
        label = f"depth {near:.4g} (blue) - {far:.4g} {unit} (red)"
        rows.append([_labelled(_depth_colors(clip, i, near, far), label) for i in frames])
    if clip.has_right:
        rows.append([_labelled(clip.right_image(i), f"right view {i}") for i in frames])
    height, width = rows[0][0].shape[:2]
    sheet = np.full((len(rows) * (height + GAP) + GAP, len(frames) * (width + GAP) + GAP, 3), 32, np.uint8)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            top, left = GAP + y * (height + GAP), GAP + x * (width + GAP)
            sheet[top : top + height, left : left + width] = cell
    return sheet


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB image (H, W, 3) as PNG, whole or not at all; raises InputError when the place is not writable."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise RuntimeError(f"OpenCV could not encode {path.name}")
    with new_file(path) as partial:
        partial.write_bytes(data.tobytes())


def mask_overlay(clip: Clip, index: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB: frame `index`; green are instruments, yellow what may be one, magenta what is ignored."""
    image = clip.image(index).astype(np.float32)
    instrument = ~clip.tissue_mask(index) & ~clip.ignored
    areas = [(instrument, INSTRUMENT_TINT), (clip.ignored, IGNORED_TINT)]
    doubtful = clip.doubtful(index)
    if doubtful is not None:
        areas = [(instrument & ~doubtful, INSTRUMENT_TINT), (doubtful, DOUBTFUL_TINT), *areas[1:]]
    for area, tint in areas:
        image[area] = 0.5 * image[area] + 0.5 * np.array(tint, np.float32)
    return image.astype(np.uint8)


def _depth_colors(clip: Clip, index: int, near: float, far: float) -> NDArray[np.uint8]:
    depth = clip.depth(index)
    assert depth is not None
    return color_depth(depth, near, far)


def _labelled(image: NDArray[np.uint8] | None, text: str) -> NDArray[np.uint8]:
    """The image at the width of a cell with a line of text above it, not over it."""
    import cv2

    assert image is not None
    height = max(1, round(image.shape[0] * CELL_WIDTH / image.shape[1]))
    method = cv2.INTER_AREA if image.shape[1] > CELL_WIDTH else cv2.INTER_NEAREST
    cell = np.full((height + 18, CELL_WIDTH, 3), 32, np.uint8)
    cell[18:] = cv2.resize(image, (CELL_WIDTH, height), interpolation=method)
    cv2.putText(cell, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
    return cell
