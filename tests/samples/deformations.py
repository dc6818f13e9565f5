"""One deformation of each form beside the spline, with every tensor away from its start."""

import torch

from endogs.scene import Knots
from endogs.scene.deformation.bases import BasesDeformation
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.hexplane import HexplaneDeformation
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.deformation.mlp import MlpDeformation

COUNT = 5
SPAN = ClipTime(0.0, 2.0)
KNOTS = Knots((0.0, 0.4, 1.0, 1.5, 2.0))


def deformation_of(form: str, dtype=torch.float32, device="cpu"):
    """One of each form, with every tensor away from its start."""
    kind, _, what = form.partition("-")
    generator = torch.Generator().manual_seed(5)
    units = 0.5 + torch.rand(10 if what == "motion" else 14, generator=generator)
    bounds = torch.tensor([[-2.0, -2.5, -3.0], [2.0, 2.5, 3.0]])
    kernel = what if what == "gaussian" else "quartic"
    if kind == "bases":
        made = BasesDeformation.at_rest(COUNT, 4, 0.2, units, SPAN, kernel, constant=what == "constant")
    elif kind == "hexplane":
        made = HexplaneDeformation.new(4, 3, (1, 2), 2, 6, (0.5, 1.5), units, bounds, SPAN, generator)
    elif kind == "mlp":
        made = MlpDeformation.new(4, 8, (3, 2), units, bounds, SPAN, generator)
    else:
        made = LowrankDeformation.of(None, 3, units, KNOTS).extend(COUNT, None)
    tensors = made.tensors()
    for name, tensor in tensors.items():
        if name not in made.fixed:
            tensors[name] = tensor + 0.2 * torch.randn(tensor.shape, generator=generator)
    tensors = {name: tensor.to(device, dtype) for name, tensor in tensors.items()}
    return made.from_parts(tensors, made.settings())


def base_of(dtype=torch.float32, device="cpu"):
    return torch.randn(COUNT, 14, generator=torch.Generator().manual_seed(2)).to(device, dtype)
