"""The view of a pinhole camera with the same centre and axis as a bent lens, made from the lens's frames."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.focal_lengths import check_focal_lengths
from endogs.clip.cameras.lenses import Lens
from endogs.clip.cameras.rectification import Maps, RectifiedDepths, RectifiedImages, RectifiedMasks, nearest
from endogs.clip.config import ClipOptions
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import pixel_rays

WIDEST = 150.0
"""Degrees; a wider pinhole view has few pixels in its middle and little but blur at its rim."""


@dataclass(frozen=True)
class PinholeView:
    """Where the pixels of an undistorted view come from."""

    K: NDArray[np.float64]
    """(3, 3), pixel centres at +0.5."""
    size: tuple[int, int]
    """(width, height)."""
    maps: Maps
    """Column and row (H, W) of the original for each pixel, OpenCV's centres at integers; -1 where there is none."""
    valid: NDArray[np.bool_]
    """(H, W) True where the lens sees something that is in the original."""

    def depth_factor(self, along: Literal["z", "ray"]) -> NDArray[np.float32]:
        """(H, W) z-depth over the original's depth: 1 for z-depth, the cosine to the axis for distances along rays."""
        if along == "z":
            return np.ones(self.valid.shape, np.float32)
        return (1 / np.linalg.norm(pixel_rays(self.K, *self.size), axis=-1)).astype(np.float32)


def pinhole_view(
    lens: Lens,
    size: tuple[int, int],
    degrees: float | None = None,
    focal: float | None = None,
    seen: NDArray[np.bool_] | None = None,
    source: Path | str = "the calibration",
) -> PinholeView:
    """The pinhole view of a lens with images of `size` (width, height); the view has the same size.

    Its principal point is where the lens sees straight ahead, and its focal lengths are the lens's own there, so that
    nothing is lost in the middle; `degrees` makes it as wide as that across the width instead, when the principal point
    is in the middle, and `focal` gives fx in pixels; fx / fy stays the lens's. `seen` (H, W) says where the original
    shows anything. Raises InputError, which names `source`, for focal lengths that no camera has, and for `degrees`
    outside 1 to 150.
    """
    if degrees is not None and not 1 <= degrees <= WIDEST:
        raise InputError(f"--undistorted-degrees {degrees:g} must be from 1 to {WIDEST:g}: a pinhole sees no more.")
    width, height = size
    step = 1e-4
    around = np.array([[0.0, 0, 1], [step, 0, 1], [-step, 0, 1], [0, step, 1], [0, -step, 1]])
    ahead, right, left, down, up = lens.project(around)
    fx, fy = (right - left)[0] / (2 * step), (down - up)[1] / (2 * step)
    check_focal_lengths(np.diag([fx, fy, 1.0]), width, height, source)
    wanted = focal if focal is not None else width / 2 / np.tan(np.radians(degrees) / 2) if degrees else fx
    K = np.array([[wanted, 0, ahead[0]], [0, fy / fx * wanted, ahead[1]], [0, 0, 1]])

    pixels = lens.project(pixel_rays(K, *size)) - 0.5
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0) & (pixels <= np.array([width - 1, height - 1]))
    valid: NDArray[np.bool_] = inside[..., 0] & inside[..., 1]
    column, row = (np.where(valid, pixels[..., i], -1).astype(np.float32) for i in (0, 1))
    maps: Maps = column, row
    if seen is not None:
        valid = valid & nearest(seen, maps)
    return PinholeView(K, size, maps, valid)


def undistort(
    recording: Recording, lens: Lens, options: ClipOptions, depth_along: Literal["z", "ray"] = "z"
) -> Recording:
    """The recording as the pinhole view of `lens` sees it: frames, masks, depth, intrinsics; what is empty is outside.

    `depth_along` says what the files hold: z-depth, which does not change since the axis stays, or the distance along
    each pixel's ray. Black around the original's round view is outside too, unless `options.borders` keeps it.
    Right views are dropped, as their lens is another. Raises InputError when the view shows nothing.
    """
    from endogs.clip.files.mask_files import sampled
    from endogs.clip.view.field_of_view import SAMPLES, black_surroundings

    seen = None if recording.outside is None else ~recording.outside
    if options.borders == "auto":
        black = black_surroundings([recording.images.read(i) for i in sampled(len(recording.times), SAMPLES)])
        seen = ~black if seen is None else seen & ~black
    size = (recording.width, recording.height)
    view = pinhole_view(lens, size, options.undistorted_degrees, options.focal, seen, recording.source)
    if not view.valid.any():
        raise InputError(f"{recording.source}: the calibration sees nothing of the frames: is it this camera's?")
    wide = np.degrees(np.arctan(view.K[0, 2] / view.K[0, 0]) + np.arctan((size[0] - view.K[0, 2]) / view.K[0, 0]))
    note = (
        f"the lens is undistorted to a pinhole view of {wide:.0f} degrees across, {100 * view.valid.mean():.0f} % of "
        "it filled; --undistorted-degrees sets how wide, and rows and --crop count in the result."
    )
    masks, depths = recording.masks, recording.depths
    return replace(
        recording,
        K=view.K[None].repeat(len(recording.times), 0),
        images=RectifiedImages(recording.images, view.maps),
        masks=None if masks is None else RectifiedMasks(masks, view.maps),
        depths=None if depths is None else RectifiedDepths(depths, view.maps, view.depth_factor(depth_along)),
        right_images=None,
        baseline=None,
        outside=~view.valid,
        K_is_guess=False,
        framed={},
        notes=[*recording.notes, note],
    )
