"""LPIPS with AlexNet features, from weights that the user brings.

R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The unreasonable effectiveness of deep features as a perceptual
metric", CVPR 2018. AlexNet in the layout of A. Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014.
"""

import re
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from endogs.bounded_files import listed
from endogs.errors import InputError
from endogs.evaluate.metrics.metrics import Mask, zeroed

CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
"""AlexNet's convolutions by their usual number: (stride, padding). A feature is taken after each one's ReLU."""
POOLED = (3, 6)
"""Convolutions that come after a maximum over 3x3 pixels with stride 2."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS's own normalization of images in [-1, 1]."""
SMALLEST_SIDE = 63
"""Pixels below which AlexNet's pooling runs out of image."""
ENDINGS = (".safetensors", ".pth", ".pt")
NETWORK = re.compile(r"(?:^|\.)(?:features|slice\d)\.(\d+)\.(weight|bias)$")
LINEAR = re.compile(r"(?:^|\.)lins?\.?(\d)\.model\.1\.weight$")


class Lpips:
    """The metric with its weights loaded; call it with two images."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """`weights` holds AlexNet's `features.N.weight` and `.bias` and LPIPS's `linK.model.1.weight`, any prefix.

        Raises ValueError, naming it, for a tensor that is missing or does not fit.
        """
        self._network: dict[tuple[int, str], Tensor] = {}
        self._linear: dict[int, Tensor] = {}
        for name, tensor in weights.items():
            if found := NETWORK.search(name):
                self._network[int(found[1]), found[2]] = tensor.float()
            elif found := LINEAR.search(name):
                self._linear[int(found[1])] = tensor.float().reshape(1, -1, 1, 1)
        self._check()

    def _check(self) -> None:
        channels = 3
        for k, number in enumerate(CONVOLUTIONS):
            for part, dimensions in (("weight", 4), ("bias", 1)):
                tensor = self._network.get((number, part))
                if tensor is None:
                    raise ValueError(f"features.{number}.{part} is missing")
                if tensor.ndim != dimensions or (part == "weight" and tensor.shape[1] != channels):
                    raise ValueError(f"features.{number}.{part} has the shape {tuple(tensor.shape)}")
            channels = self._network[number, "weight"].shape[0]
            if k not in self._linear:
                raise ValueError(f"lin{k}.model.1.weight is missing")
            if self._linear[k].shape[1] != channels:
                raise ValueError(f"lin{k}.model.1.weight has {self._linear[k].shape[1]} channels, not {channels}")

    @torch.no_grad()
    def __call__(
        self, prediction: NDArray[Any], target: NDArray[Any], tissue_mask: Mask | None = None
    ) -> dict[str, float]:
        """Both conventions for images (H, W, 3) times the mask; NaN below SMALLEST_SIDE pixels.

        `lpips_alex` brings images to [-1, 1], which the metric was calibrated for. `lpips_alex_unscaled` feeds it
        [0, 1], as 3DGS's evaluation and the papers that build on it do.
        """
        if min(prediction.shape[:2]) < SMALLEST_SIDE:
            return {"lpips_alex": float("nan"), "lpips_alex_unscaled": float("nan")}
        pair = [torch.from_numpy(zeroed(image, tissue_mask)).permute(2, 0, 1) for image in (prediction, target)]
        images = torch.stack(pair)
        return {"lpips_alex": self._distance(2 * images - 1), "lpips_alex_unscaled": self._distance(images)}

    def _distance(self, images: Tensor) -> float:
        shift, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
        x = (images - shift) / scale
        total = 0.0
        for k, (number, (stride, padding)) in enumerate(CONVOLUTIONS.items()):
            if number in POOLED:
                x = F.max_pool2d(x, 3, 2)
            weight, bias = self._network[number, "weight"], self._network[number, "bias"]
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            # Zhang et al. eq. 1: features of unit length per pixel, squared differences weighted per channel.
            unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-8)
            total += float((self._linear[k] * (unit[:1] - unit[1:]).square()).sum(1).mean())
        return total


def load_lpips(path: Path) -> Lpips:
    """LPIPS from a local file, or from all weight files of a folder (safetensors, or PyTorch files without code).

    Two files are usual: AlexNet's from torchvision and the linear layers' from LPIPS. Raises InputError when they are
    not there, cannot be read or do not hold what is needed.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in listed(path) if file.suffix in ENDINGS)
    if not files or not all(file.is_file() for file in files):
        raise InputError(
            f"{path}: there are no LPIPS weights here; name a file or folder of {', '.join(ENDINGS)} files."
        )
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= _read(file)
    try:
        return Lpips(weights)
    except ValueError as error:
        raise InputError(
            f"{path}: these are not the weights of LPIPS with AlexNet ({error}); put torchvision's AlexNet and LPIPS's "
            "linear layers (version 0.1) into one folder."
        ) from error


def _read(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file} cannot be read as weights ({reason}); give another --lpips-weights.") from error
    if not isinstance(found, dict):
        raise InputError(f"{file} holds no named tensors; give another --lpips-weights.")
    return {str(name): tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}
