"""The two ways to run a learned depth model: a Hugging Face folder through transformers, and an ONNX file."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.priors.depth.learned_input import Preprocessing, read_preprocessing
from endogs.priors.depth.model_licence import read_licence
from endogs.priors.depth.prediction import DepthKind
from endogs.priors.model_folder import check_model_folder, keep_quiet, reason_of, unloadable, weight_files

OUTPUT_OF_TYPE: dict[str, DepthKind] = {
    "dpt": "disparity",
    "depth_pro": "disparity",
    "glpn": "depth",
    "zoedepth": "depth",
    "prompt_depth_anything": "depth",
    "chmv2": "depth",
    "tipsv2_dpt": "depth",
}
"""What the model types of transformers predict. Models in metres count as depth up to a scale: rooms and streets are
what they measured, not the inside of a body."""
ASK = "say with --depth-model-output what it predicts: disparity (near is large), depth (far is large) or logdepth"


class DepthModel(Protocol):
    """A loaded model."""

    output: DepthKind
    licence: str | None
    preprocessing: Preprocessing
    notes: list[str]
    """Sentences for the user."""

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The prediction (h, w), of the model's own size, for an sRGB image (H, W, 3)."""
        ...

    def weight_files(self) -> list[Path]:
        """The files that decide the predictions."""
        ...


def output_of(config: Any) -> DepthKind | None:
    """What a transformers configuration says that its model predicts; None when it does not say."""
    if config.model_type == "depth_anything":
        return "disparity" if config.depth_estimation_type == "relative" else "depth"
    return OUTPUT_OF_TYPE.get(config.model_type)


def _preprocessing(folder: Path) -> tuple[Preprocessing, list[str]]:
    found = read_preprocessing(folder)
    if found is not None:
        return found, []
    note = f"depth: {folder} has no preprocessor_config.json, so images are prepared as for Depth Anything."
    return Preprocessing(), [note]


class TransformersModel:
    """A folder with config.json and weights, as `save_pretrained` or the Hugging Face hub make it."""

    def __init__(self, folder: Path, output: DepthKind | None, device: str = "cpu") -> None:
        """Raises InputError for a folder without configuration, weights, or a depth model, and without transformers."""
        check_model_folder(folder)
        try:
            import torch
            from transformers import AutoConfig, AutoModelForDepthEstimation
        except ImportError as error:
            raise InputError(f"--depth learned needs transformers ({error}); pip install 'endogs[learned]'") from error
        keep_quiet()
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model, report = AutoModelForDepthEstimation.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        except unloadable() as error:
            raise InputError(
                f"{folder}: not a depth model that transformers can load ({reason_of(error)}); give another"
            ) from error
        if report["missing_keys"]:
            some = ", ".join(sorted(report["missing_keys"])[:2])
            raise InputError(
                f"{folder}: the weights lack {len(report['missing_keys'])} of the model's tensors ({some}); they "
                "belong to another model or are incomplete: download them again"
            )
        known = output_of(config)
        if output is None and known is None:
            raise InputError(f"{folder}: a model of type {config.model_type}; {ASK}")
        self.output: DepthKind = output or known  # type: ignore[assignment]
        self.licence = read_licence(folder)
        self.preprocessing, self.notes = _preprocessing(folder)
        self._folder = folder
        self._device = torch.device(device)
        self._model = model.eval().to(self._device)

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The prediction (h, w) for an sRGB image (H, W, 3)."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(self.preprocessing(image)).to(self._device)
            return self._model(pixel_values=pixels).predicted_depth[0].float().cpu().numpy().squeeze()

    def weight_files(self) -> list[Path]:
        """Weights and configurations."""
        return [*weight_files(self._folder), *sorted(self._folder.glob("*.json"))]


class OnnxModel:
    """An ONNX file with one image as input and one map as output."""

    def __init__(self, file: Path, output: DepthKind | None) -> None:
        """Raises InputError for an unreadable file, other inputs or outputs, and without onnxruntime."""
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                f"{file}: an ONNX model needs onnxruntime ({error}); pip install 'endogs[learned]'"
            ) from error
        if output is None:
            raise InputError(f"{file}: an ONNX file does not say what it predicts; {ASK}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several frames are predicted at once
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            reason = str(error).strip().splitlines()[0][:200]
            raise InputError(f"{file}: not a readable ONNX model ({reason})") from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else None
        self._channels_last = shape is not None and len(shape) == 4 and shape[3] == 3 and shape[1] != 3
        if (
            shape is None
            or len(shape) != 4
            or shape[3 if self._channels_last else 1] not in (3, None)
            or (inputs[0].type not in ("tensor(float)", "tensor(float16)"))
        ):
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise InputError(
                f"{file}: a depth model takes one float image of shape (1, 3, height, width), but this file takes "
                f"{found}; export it with one image as its only input"
            )
        self._name = inputs[0].name
        self._type = np.float16 if inputs[0].type == "tensor(float16)" else np.float32
        sides = shape[1:3] if self._channels_last else shape[2:4]
        fixed = all(isinstance(side, int) and side > 0 for side in sides)
        self._size: tuple[int, int] | None = (sides[0], sides[1]) if fixed else None
        self.output: DepthKind = output
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.licence = metadata.get("license") or metadata.get("licence") or read_licence(file.parent)
        self.preprocessing, self.notes = _preprocessing(file.parent)
        self._file = file

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The prediction (h, w) for an sRGB image (H, W, 3). Raises InputError when the output is no map."""
        pixels = self.preprocessing(image, self._size).astype(self._type)
        if self._channels_last:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        try:
            found = np.asarray(self._session.run(None, {self._name: pixels})[0], np.float32).squeeze()
        except Exception as error:  # as above
            reason = str(error).strip().splitlines()[0][:200]
            raise InputError(f"{self._file}: does not run on an image of shape {pixels.shape} ({reason})") from error
        if found.ndim != 2:
            raise InputError(f"{self._file}: predicts an array of shape {found.shape}, not a map (height, width)")
        return found

    def weight_files(self) -> list[Path]:
        """The file, and its preprocessing where there is one."""
        return [self._file, *sorted(self._file.parent.glob("preprocessor_config.json"))]
