"""Depth from a learned model: any Hugging Face depth model, or an ONNX file."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from endogs.bounded_files import expanded
from endogs.errors import InputError
from endogs.priors.depth.brightness import view_mask
from endogs.priors.depth.learned_models import DepthModel, OnnxModel, TransformersModel
from endogs.priors.depth.model_licence import licence_note
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks
from endogs.priors.model_folder import model_folder
from endogs.priors.speculars import bright_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

DEFAULT_MODEL = "depth-anything/Depth-Anything-V2-Small-hf"
"""Apache-2.0, 25 M parameters, about 100 MB."""
RELATIVE: tuple[DepthKind, ...] = ("disparity", "depth", "logdepth")


class LearnedDepth:
    """A learned model, loaded when the prior is made."""

    temporal = False

    def __init__(self, model: str | None = None, output: DepthKind | None = None, device: str = "cpu") -> None:
        """`model` is a folder, an ONNX file, or OWNER/NAME@COMMIT on the Hugging Face hub, by default DEFAULT_MODEL.

        `output` says what it predicts when its own configuration does not; torch runs it on `device`. Raises InputError
        when it cannot be loaded.
        """
        if output is not None and output not in RELATIVE:
            raise InputError(f"--depth-model-output {output} must be one of {', '.join(RELATIVE)}")
        self.name = model or DEFAULT_MODEL
        path = expanded(Path(self.name))
        if path.suffix.lower() == ".onnx":
            if not path.is_file():
                raise InputError(f"{path}: no such file; give an ONNX file, a model folder or a hub id")
            self._model: DepthModel = OnnxModel(path, output)
        else:
            self._model = TransformersModel(model_folder(self.name, "--depth-model"), output, device)
        self.kind: DepthKind = self._model.output

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Says aloud when the weights are not for commercial use, or nobody knows."""
        note = licence_note(self.name, self._model.licence)
        return [*self._model.notes, *([note] if note else [])]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """The model's prediction at the frame's size, of the model's kind, scaled to median size 1 (`logdepth`: 0)."""
        height, width = frame.tissue_mask.shape
        raw = self._model.run(frame.image)
        value = np.asarray(cv2.resize(raw, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        known = np.isfinite(value)
        trusted = known & frame.tissue_mask & view_mask(frame.image)
        if trusted.any():
            # Half precision holds what is kept: bring it near 1. Neither a factor nor log's constant says anything.
            middle = float(np.median(value[trusted] if self.kind == "logdepth" else np.abs(value[trusted])))
            value = value - middle if self.kind == "logdepth" else value / max(middle, 1e-12)
        if self.kind == "depth":
            trusted &= value > 0
        confidence = trusted.astype(np.float32)
        confidence[bright_mask(frame.image)] = 0  # a highlight is a mirror, and models paint it as a bump
        return DepthPrediction(np.where(known, value, np.nan).astype(np.float32), self.kind, confidence)

    def about(self) -> dict[str, Any]:
        """JSON, with a hash of the weights."""
        digest = hashlib.blake2b(digest_size=8)
        for file in self._model.weight_files():
            with file.open("rb") as opened:
                while block := opened.read(1 << 22):
                    digest.update(block)
        return {
            "prior": "learned",
            "kind": self.kind,
            "model": self.name,
            "licence": self._model.licence or "unknown",
            "weights": digest.hexdigest(),
            "preprocessing": self._model.preprocessing.as_dict(),
        }
