"""Clicks that go to SAM 2: each added thing is an object of its own, which the model follows through the clip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from endogs.priors.instruments.clicks import Click
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.prompts import BACKGROUND, FOREGROUND, Prompt
from endogs.priors.instruments.sam2 import load_model, normalization_of, track
from endogs.priors.model_folder import model_folder

if TYPE_CHECKING:
    from endogs.clip import Clip


class Sam2Clicks:
    """A SAM 2 model that follows what clicks point at."""

    def __init__(self, clip: "Clip", options: Sam2Options) -> None:
        """Raises InputError when transformers is missing or the model cannot be loaded."""
        folder = model_folder(options.sam2_model, "--sam2-model")
        self._clip, self._model = clip, load_model(folder)
        self._normalization = normalization_of(folder)

    def follow(self, click: Click, against: Sequence[Click] = ()) -> list[Mask]:
        """What `click` points at in every frame (H, W); it is none of what `against`, on the same frame, point at."""
        points = [(one.x * self._clip.width, one.y * self._clip.height) for one in (click, *against)]
        labels = (FOREGROUND, *(BACKGROUND for _ in against))
        prompt = Prompt(click.frame, 0, np.array(points, np.float32), labels)
        return track(self._model, self._clip, [prompt], self._normalization)
