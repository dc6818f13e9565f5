"""Transparent pixels of pictures: whoever cuts something out means that it is no tissue."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import read_raw
from endogs.clip.files.mask_files import sampled
from endogs.clip.recording import FrameReader

OPAQUE = 128
"""Alpha from which a pixel is seen."""


def may_be_transparent(path: Path) -> bool:
    """Whether an image file may have an alpha channel, from its header; TIFF and WebP may."""
    if path.suffix.lower() == ".png":
        with path.open("rb") as file:
            header = file.read(26)
        return header[:8] == b"\x89PNG\r\n\x1a\n" and header[25:26] in (b"\x03", b"\x04", b"\x06")
    return path.suffix.lower() in (".tif", ".tiff", ".webp")


def opaque(path: Path) -> NDArray[np.bool_] | None:
    """bool (H, W), True where the picture is seen; None for a picture without alpha."""
    image = read_raw(path)
    if image.ndim != 3 or image.shape[2] != 4:
        return None
    alpha = image[..., 3]
    return alpha >= (OPAQUE if alpha.dtype == np.uint8 else OPAQUE << 8 if alpha.dtype == np.uint16 else 0.5)


class OpaqueTissue:
    """Tissue masks of which transparent pixels are taken away."""

    def __init__(self, paths: list[Path], masks: FrameReader | None) -> None:
        """`masks` are bool (H, W), True = tissue, in the pictures' size; None = all is."""
        self.paths = paths
        self.masks = masks
        given = str(getattr(masks, "meaning", ""))
        self.meaning = "what is transparent = instrument" + (f", {given}" if given else "")
        """What the files hold."""

    def read(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where tissue is seen."""
        seen = opaque(self.paths[index])
        tissue = None if self.masks is None else self.masks.read(index)
        if seen is None:
            return np.ones(read_raw(self.paths[index]).shape[:2], bool) if tissue is None else tissue
        return seen if tissue is None else np.asarray(tissue & seen)


def without_transparent(
    paths: list[Path], masks: FrameReader | None, notes: list[str], keep_outside: bool
) -> tuple[FrameReader | None, NDArray[np.bool_] | None]:
    """The masks without what is transparent in the pictures `paths`, and where (H, W) pictures show nothing, if asked.

    A few pictures are looked at. With `keep_outside` what is transparent in all of them alike is outside the view and
    leaves the masks as they are. Pictures that are transparent as a whole are read as opaque. All with notes.
    """
    looked_at = [paths[i] for i in sampled(len(paths))]
    seen = [found for path in looked_at if may_be_transparent(path) and (found := opaque(path)) is not None]
    if not seen or all(found.all() for found in seen):
        return masks, None
    share = 100 * (1 - float(np.mean([found.mean() for found in seen])))
    if not any(found.any() for found in seen):
        notes.append("the pictures are transparent as a whole, which is ignored.")
        return masks, None
    alike = len(seen) == len(looked_at) > 1 and all(np.array_equal(found, seen[0]) for found in seen)
    if alike and keep_outside:
        notes.append(
            f"{share:.1f} % of the pixels are transparent, the same in every frame looked at: outside the view."
        )
        return masks, ~seen[0]
    notes.append(
        f"{share:.1f} % of the pixels of the frames looked at are transparent: they count as an instrument, not tissue."
    )
    return OpaqueTissue(paths, masks), None
