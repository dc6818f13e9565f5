"""The project's own segmentation network: which pixels show something that the surgeon brought in.

It is small and lies in the package. It was trained on drawn pictures only, by `training/instruments/`, so its licence
is the project's. It looks at one frame at a time; what other frames say is up to the caller.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.priors.instruments.masks import Mask, box_of
from endogs.priors.instruments.usual_colors import usual_colors

if TYPE_CHECKING:
    from endogs.priors.instruments.network_layers import InstrumentLayers

WEIGHTS = Path(__file__).with_name("instruments.safetensors")
"""float16, in the package."""
AREA = 320 * 256
"""Pixels, about, at which the network looks at a frame."""
LONGEST = 512
"""Pixels of the longer side at most, for pictures that are very long."""
COARSE = 0.75
"""Of that size, on each side, is the second look, which sees more of a large instrument at once."""
FARTHEST = 12.0
"""Log odds are clipped to this on both sides."""


@dataclass(frozen=True)
class Sight:
    """What the network says about one frame."""

    log_odds: NDArray[np.float32]
    """(h, w), above 0 = rather instrument; it spans the whole frame."""
    states: dict[str, float]
    """Probability of each of `network_layers.STATES` for the whole frame; they sum to 1."""


class InstrumentNetwork:
    """The network with its weights, ready to look at frames. Immutable: threads may share one."""

    def __init__(self, layers: "InstrumentLayers") -> None:
        """Takes trained layers and folds their normalisation into the convolutions."""
        import torch

        self._layers = layers.eval().folded().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "InstrumentNetwork":
        """Reads the weights; raises InputError where they are missing, damaged or of another network."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from endogs.priors.instruments.network_layers import InstrumentLayers

        remedy = "install endogs again, or let instruments be found by color alone"
        if not path.is_file():
            raise InputError(f"{path}: the weights of the instrument network are missing; {remedy}")
        layers = InstrumentLayers()
        try:
            weights = {name: value.float() for name, value in load_file(path).items()}
            missing, unknown = layers.load_state_dict(weights, strict=False)
        except (SafetensorError, OSError, RuntimeError) as problem:
            raise InputError(f"{path}: no weights of the instrument network; {remedy}") from problem
        # Counters of batches are of use to training only.
        if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
            raise InputError(f"{path}: weights of another network than this version's; {remedy}")
        return cls(layers)

    def look(self, image: NDArray[np.uint8], view: Mask | None = None) -> Sight:
        """What a frame, uint8 RGB (H, W, 3), shows; the same bits for the same frame and number of threads.

        `view` (H, W) is True inside the field of view. The network then sees only the box around it, in more detail,
        and outside the view the log odds are -12. Without it the whole frame is looked at; a dark surround counts as
        no instrument by itself. The result has about `AREA` pixels, in the frame's own aspect to within a sixteenth.

        The log odds of two looks are averaged, one at `AREA` and mirrored, one at `COARSE` of its sides, as they err
        differently. What the whole frame shows is told by the finer one: at the other a soft picture of tissue looks
        like one out of the body.
        """
        from endogs.priors.instruments.network_layers import STATES

        box = _box_of(view, image.shape[:2])
        seen = np.ascontiguousarray(image[box])
        height, width = seen.shape[:2]
        size = input_size(height, width)
        mirrored, shares = self._one_look(np.asarray(cv2.flip(seen, 1), np.uint8), size)
        coarse, _ = self._one_look(seen, input_size(height, width, COARSE))
        coarse = np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        log_odds = np.asarray((mirrored[:, ::-1] + coarse) / 2, np.float32)
        if view is not None:
            log_odds = _spread(np.ascontiguousarray(log_odds), box, view)
        return Sight(np.ascontiguousarray(log_odds, np.float32), dict(zip(STATES, shares.tolist(), strict=True)))

    def _one_look(
        self, image: NDArray[np.uint8], size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Log odds (h, w) of a uint8 RGB image (H, W, 3) seen at `size` (h, w), and the probabilities of its states."""
        import torch

        rows, columns = size
        method = cv2.INTER_AREA if image.shape[0] * image.shape[1] > rows * columns else cv2.INTER_LINEAR
        small = cv2.resize(image, (columns, rows), interpolation=method)
        with torch.inference_mode():
            x = torch.from_numpy(usual_colors(np.asarray(small, np.uint8))).permute(2, 0, 1)[None]
            odds, states = self._layers(x.contiguous(memory_format=torch.channels_last))
            return odds[0].clamp(-FARTHEST, FARTHEST).numpy(), states[0].double().softmax(0).numpy()

    def log_odds(self, image: NDArray[np.uint8], view: Mask | None = None) -> NDArray[np.float32]:
        """Log odds (h, w) of "instrument", see `look`."""
        return self.look(image, view).log_odds


def input_size(height: int, width: int, part: float = 1.0) -> tuple[int, int]:
    """Rows and columns, multiples of the network's stride, at which a picture of this size is looked at.

    `part` is the length of their sides relative to the finer look's.
    """
    from endogs.priors.instruments.network_layers import STRIDE

    scale = part * min((AREA / (height * width)) ** 0.5, LONGEST / max(height, width))
    return tuple(max(2, round(side * scale / STRIDE)) * STRIDE for side in (height, width))  # type: ignore[return-value]


def _box_of(view: Mask | None, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around the view; all where there is no view, or an empty one."""
    whole = slice(0, shape[0]), slice(0, shape[1])
    if view is None or not view.any():
        return whole
    return box_of(view)


def _spread(log_odds: NDArray[np.float32], box: tuple[slice, slice], view: Mask) -> NDArray[np.float32]:
    """The log odds of a box of the frame as log odds of the whole frame, the lowest outside the view."""
    height, width = view.shape
    rows, columns = box
    # As fine as what was seen, so that a small round view keeps its detail.
    scale = min(log_odds.shape[0] / (rows.stop - rows.start), log_odds.shape[1] / (columns.stop - columns.start), 1.0)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    top, bottom = (round(v * h / height) for v in (rows.start, rows.stop))
    left, right = (round(v * w / width) for v in (columns.start, columns.stop))
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    whole = np.full((h, w), -FARTHEST, np.float32)
    whole[top:bottom, left:right] = cv2.resize(log_odds, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    inside = cv2.resize(view.view(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST).view(bool)
    whole[~inside] = -FARTHEST
    return whole
