"""What a learned depth model wants to see: its own preprocessing, read from its configuration, without torchvision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_json
from endogs.errors import InputError

CONFIG_NAME = "preprocessor_config.json"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST_SIDE = 8192
"""Pixels of a model's input: a transformer's memory grows with the square of their number."""
MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers for interpolations, as configurations store them."""


@dataclass(frozen=True)
class Preprocessing:
    """From a uint8 sRGB image to the numbers a model was trained on. The defaults are Depth Anything's."""

    size: tuple[int, int] | None = (518, 518)
    """Height and width to resize to; None keeps the image's own."""
    keep_aspect_ratio: bool = True
    """One scale for both sides: of the two, the one closer to 1."""
    multiple: int = 14
    """Both sides are rounded to multiples of this."""
    round_down: bool = False
    """Rounded down instead of to the nearest multiple."""
    mode: str = "bicubic"
    """Interpolation."""
    rescale: float = 1 / 255
    """Factor on 8-bit values."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted after rescaling, per channel RGB."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divided by."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the model's input for an image (height, width)."""
        scale_y = scale_x = 1.0
        if self.size is not None:
            scale_y, scale_x = self.size[0] / height, self.size[1] / width
            if self.keep_aspect_ratio:
                scale_y = scale_x = min(scale_x, scale_y, key=lambda scale: (abs(1 - scale), scale != scale_y))
        sides = []
        for scaled in (scale_y * height, scale_x * width):
            count = scaled / self.multiple
            sides.append(self.multiple * max(1, int(count + 1e-9) if self.round_down else round(count)))
        return sides[0], sides[1]

    def __call__(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """(1, 3, h, w) float32 of an image (H, W, 3); `size` (h, w) goes before `input_size`."""
        import torch
        from torch.nn.functional import interpolate

        height, width = size or self.input_size(*image.shape[:2])
        planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        if (height, width) != image.shape[:2]:
            smooth = self.mode != "nearest"  # shrinking averages, as Pillow does
            planes = interpolate(planes, (height, width), mode=self.mode, antialias=smooth)
            planes = planes.clamp(0, 255)
        mean, std = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return np.ascontiguousarray(((planes * self.rescale - mean) / std).numpy())

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}


def read_preprocessing(folder: Path) -> Preprocessing | None:
    """The preprocessing that `preprocessor_config.json` in `folder` describes; None without that file.

    Raises InputError when the file is not JSON, or describes a size that this reader does not know.
    """
    file = folder / CONFIG_NAME
    if not file.is_file():
        return None
    config = read_json(file)
    if not isinstance(config, dict):
        raise InputError(f"{file}: not readable as a JSON object; take the file from the model's own folder")
    try:
        found = _described(config)
    except ValueError as error:
        raise InputError(f"{file}: {error}; take the file from the model's own folder") from error
    return found


def _described(config: dict[str, Any]) -> Preprocessing:
    resize = config.get("do_resize", True)
    divisor = config.get("size_divisor")
    by_divisor = "size" not in config and divisor is not None  # GLPN resizes to multiples and to no size
    normalize = config.get("do_normalize", "image_mean" in config)
    rescale = _number(config.get("rescale_factor", 1 / 255), "rescale_factor") if config.get("do_rescale", True) else 1
    multiple = _number(divisor if by_divisor else config.get("ensure_multiple_of") or 1, "the multiple of sides")
    mode = config.get("resample", 3)
    if not isinstance(mode, int):
        raise ValueError(f"resample is {mode!r:.40}, not a number of Pillow's")
    return Preprocessing(
        size=_size(config.get("size", 384)) if resize and not by_divisor else None,
        keep_aspect_ratio=bool(config.get("keep_aspect_ratio", False)),
        multiple=int(multiple) if resize and multiple >= 1 else 1,
        round_down=by_divisor,
        mode=MODES.get(mode, "bicubic"),
        rescale=rescale,
        mean=_triple(config.get("image_mean", 0.5), "image_mean") if normalize else (0.0, 0.0, 0.0),
        std=_triple(config.get("image_std", 0.5), "image_std", above=True) if normalize else (1.0, 1.0, 1.0),
    )


def _size(value: Any) -> tuple[int, int]:
    sides: tuple[Any, Any] = (value, value)
    if isinstance(value, dict):
        sides = (value.get("height"), value.get("width"))
        sides = sides if None not in sides else (value.get("shortest_edge"), value.get("shortest_edge"))
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        raise ValueError(f'size {value!r:.60} is not understood; {{"height": H, "width": W}} up to {LARGEST_SIDE} is')
    return sides


def _triple(value: Any, name: str, above: bool = False) -> tuple[float, float, float]:
    """Numbers of the three channels, or one for all; `above` zero where they divide."""
    values = value if isinstance(value, list) else [value] * 3
    if len(values) != 3:
        raise ValueError(f"{name} holds {len(values)} numbers, not one per channel")
    red, green, blue = (_number(one, name) for one in values)
    if above and min(red, green, blue) == 0:
        raise ValueError(f"{name} is 0, which nothing can be divided by")
    return red, green, blue


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_SIDE:
        raise ValueError(f"{name} is {value!r:.40}, not a number from 0 to {LARGEST_SIDE}")
    return float(value)
