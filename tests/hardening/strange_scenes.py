"""Scenes that a stranger could send: seeded mutations of small ones, and odd ones that are valid."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from endogs.geometry import look_at
from endogs.pictures.find_visibility import find_visibility
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.appearance import PLAIN, Appearance, Exposure, HarmonicColors, LitColors
from endogs.scene.deformation.bases import BasesDeformation
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.field import box_around
from endogs.scene.deformation.hexplane import HexplaneDeformation
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.deformation.mlp import MlpDeformation
from endogs.scene.origin import Origin
from endogs.scene.scene_file import save_scene
from endogs.scene.stored_masks import StoredMasks

WIDTH, HEIGHT, FRAMES, COUNT = 32, 24, 4, 40
KINDS = ("spline", "none", "bases", "hexplane", "mlp", "lowrank")
LOOKS = ("plain", "sh", "lit", "exposure")
ESCAPE = "\x1b]0;owned\x07\u202e<!--</script>{{scene}}\n# x"


def small_scene(kind: str = "spline", look: str = "plain") -> Scene:
    """A sheet of Gaussians in front of a camera that moves, with everything that a scene file can hold."""
    generator = torch.Generator().manual_seed(5)
    base = torch.zeros(COUNT, 14)
    base[:, :3] = torch.rand(COUNT, 3, generator=generator) * torch.tensor([16.0, 12.0, 2.0]) + torch.tensor(
        [-8.0, -6, 29]
    )
    base[:, 3:7] = torch.randn(COUNT, 4, generator=generator)
    base[:, 7:10] = 0.5
    base[:, 10] = 2.0
    base[:, 11:] = torch.rand(COUNT, 3, generator=generator)
    times = np.linspace(0, 0.3, FRAMES)
    K = np.tile(np.array([[30.0, 0, 15], [0, 31.0, 12], [0, 0, 1]]), (FRAMES, 1, 1))
    eyes = [np.array([0.3 * i, 0.1, 0.0]) for i in range(FRAMES)]
    poses = np.stack([look_at(eye, np.array([0.0, 0, 30]), np.array([0.0, -1, 0])) for eye in eyes])
    scene = Scene(base, _deformation(kind, base, generator), times, K, poses, WIDTH, HEIGHT, "mm")
    origin = Origin(clip="clip.mp4", clip_name="clip", split="all", training_frames=(0, 1, 2), time_offset=0.5)
    masks = StoredMasks.of(lambda i: np.ones((HEIGHT, WIDTH), bool), FRAMES, WIDTH, HEIGHT)
    about = {"config": {"input": "clip.mp4"}, "note": "text"}
    scene = replace(scene, origin=origin, masks=masks, metadata=about, appearance=_appearance(look, base, times))
    return replace(scene, visibility=find_visibility(scene, lambda i: np.ones((HEIGHT, WIDTH), bool)))


def _deformation(kind: str, base: Tensor, generator: torch.Generator) -> Deformation:
    knots, units, span = Knots((0.0, 0.1, 0.3)), torch.full((14,), 0.1), ClipTime(0.0, 0.3)
    motion = SplineDeformation(torch.randn(knots.count, COUNT, 14, generator=generator) * 0.1, knots)
    if kind == "spline":
        return motion
    if kind == "none":
        return StaticDeformation()
    if kind == "bases":
        return BasesDeformation.at_rest(COUNT, 3, 0.2, units, span, "quartic", constant=True)
    if kind == "lowrank":
        return LowrankDeformation.of(motion, 2, units, knots).extend(COUNT, motion)
    if kind == "hexplane":
        return HexplaneDeformation.new(4, 3, (1, 2), 2, 4, (0.1, 0.5), units, box_around(base[:, :3]), span, generator)
    return MlpDeformation.new(3, 8, (2, 2), units, box_around(base[:, :3]), span, generator)


def _appearance(look: str, base: Tensor, times: np.ndarray) -> Appearance:
    if look == "sh":
        return Appearance(HarmonicColors.at_rest(COUNT, 2))
    if look == "lit":
        return Appearance(LitColors.start(base, 30.0), Exposure.neutral(times))
    return Appearance(None, Exposure.neutral(times)) if look == "exposure" else PLAIN


@dataclass(frozen=True)
class Parts:
    """What a scene file consists of, to be spoiled."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]

    @staticmethod
    def of(path: Path) -> "Parts":
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        from safetensors.torch import load

        return Parts(load(data), json.loads(header["__metadata__"]["endogs"]))

    def copy(self) -> "Parts":
        return Parts({n: t.clone() for n, t in self.tensors.items()}, json.loads(json.dumps(self.metadata)))

    def write(self, path: Path, text: str | None = None) -> None:
        shown = json.dumps(self.metadata) if text is None else text
        save_file({n: t.contiguous() for n, t in self.tensors.items()}, path, {"endogs": shown})


def samples(folder: Path) -> list[Parts]:
    """Files of every deformation and every look, taken apart."""
    found = []
    for number, (kind, look) in enumerate([*((kind, "plain") for kind in KINDS), *(("spline", x) for x in LOOKS[1:])]):
        save_scene(small_scene(kind, look), folder / f"{number}.safetensors")
        found.append(Parts.of(folder / f"{number}.safetensors"))
    return found


DTYPES = [torch.float16, torch.float64, torch.bfloat16, torch.int32, torch.int64, torch.uint8, torch.bool]
DTYPES += [torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8]
NUMBERS = [0.0, -0.0, 1e-45, 1e-38, 1e-30, -1e-42, 1.0, -1.0, 80.0, -80.0, 1e6, 1e15, 1e20, 1e30, -1e30, 3e38, -3e38]
NUMBERS += [float("nan"), float("inf")]
VALUES: list[Any] = [None, True, False, 0, -1, 1, 2**62, -(2**63), 10**30, 0.5, -0.5, 1e-320, 1e308, -1e308, 1e9, 1e18]
VALUES += ["", "3", ESCAPE, "a" * 5000, [], {}, [[]], [0], [None], ["x"], {"a": 1}, [[[[[0]]]]], "\ud800"]
TEXTS = [
    "[" * 100_000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "NaN",
    "",
    "\x00",
    '{"format": "endogs-scene", "version": 1e400}',
]
TEXTS += ['{"format": "endogs-scene", "version": ' + "9" * 5000 + "}", "[]", "null", '"text"', "{}"]


def mutate(parts: Parts, rng: np.random.Generator, path: Path) -> str:
    """Writes a spoiled copy of a scene file to `path`; says what was done, to be able to repeat it."""
    spoil: Callable[[Parts, np.random.Generator, Path], str] = [
        _bytes,
        _tensors,
        _tensors,
        _metadata,
        _metadata,
        _text,
    ][int(rng.choice(6, p=[0.15, 0.2, 0.2, 0.2, 0.2, 0.05]))]
    return spoil(parts.copy(), rng, path)


def _bytes(parts: Parts, rng: np.random.Generator, path: Path) -> str:
    parts.write(path)
    data = bytearray(path.read_bytes())
    header = 8 + struct.unpack("<Q", data[:8])[0]
    how = str(rng.choice(["flip header", "flip data", "cut", "insert", "length", "zero"]))
    at = int(rng.integers(8, header)) if "data" not in how else int(rng.integers(header, len(data)))
    if how.startswith("flip"):
        data[at] ^= 1 << int(rng.integers(8))
    elif how == "cut":
        del data[int(rng.integers(len(data))) :]
    elif how == "insert":
        data[at:at] = rng.bytes(int(rng.integers(1, 20)))
    elif how == "length":
        data[:8] = struct.pack("<Q", int(rng.choice([0, 1, header, 10**8, 2**40, 2**63 - 1])))
    else:
        data[at : at + 50] = bytes(min(50, len(data) - at))
    path.write_bytes(bytes(data))
    return f"{how} at {at}"


def _tensors(parts: Parts, rng: np.random.Generator, path: Path) -> str:
    tensors = parts.tensors
    name = str(rng.choice(sorted(tensors)))
    value = tensors[name]
    how = str(rng.choice(["dtype", "shape", "values", "values", "delete", "rename", "swap", "empty"]))
    done = ""
    if how == "dtype":
        dtype = DTYPES[int(rng.integers(len(DTYPES)))]
        tensors[name], done = value.to(dtype), str(dtype)
    elif how == "shape":
        way = int(rng.integers(7))
        changes: list[Callable[[Tensor], Tensor]] = [
            lambda t: t[:-1],
            lambda t: torch.cat([t, t[:1]]),
            lambda t: t[..., :-1] if t.ndim else t[None],
            lambda t: t[None],
            lambda t: t.reshape(-1),
            lambda t: t.reshape(-1)[0],
            lambda t: t.transpose(0, -1) if t.ndim else t,
        ]
        tensors[name], done = changes[way](value), str(way)
    elif how == "values":
        number = NUMBERS[int(rng.integers(len(NUMBERS)))]
        flat = value.reshape(-1).clone()
        where = slice(None) if rng.random() < 0.5 else int(rng.integers(len(flat)))
        if flat.is_floating_point():
            flat[where] = number
        else:
            flat[where] = int(rng.integers(-128, 127)) % 256 if flat.dtype == torch.uint8 else int(rng.integers(-9, 99))
        tensors[name], done = flat.reshape(value.shape), f"{number} {where}"
    elif how == "delete":
        del tensors[name]
    elif how == "rename":
        tensors[str(rng.choice(["x", ESCAPE, name + ".0", "deformation.", "masks.more"]))] = tensors.pop(name)
    elif how == "swap":
        other = str(rng.choice(sorted(tensors)))
        tensors[name], tensors[other], done = tensors[other].clone(), value.clone(), other
    else:
        tensors[name] = value.new_zeros([int(rng.choice([0, size])) for size in value.shape])
    parts.write(path)
    return f"tensor {name}: {how} {done}"


def _metadata(parts: Parts, rng: np.random.Generator, path: Path) -> str:
    holder: Any = parts.metadata
    steps: list[Any] = []
    while True:
        keys = sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = keys[int(rng.integers(len(keys)))]
        steps.append(key)
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.4:
            break
        holder = inner
    if rng.random() < 0.15:
        del holder[key]
        done = "deleted"
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
        done = repr(holder[key])[:60]
    parts.write(path)
    return f"metadata {steps}: {done}"


def _text(parts: Parts, rng: np.random.Generator, path: Path) -> str:
    text = TEXTS[int(rng.integers(len(TEXTS)))]
    parts.write(path, text)
    return f"text {text[:30]!r}"


def odd_scenes() -> dict[str, Scene]:
    """Scenes that nobody fits, and that no rule forbids."""
    scene = small_scene()
    still = replace(small_scene("none"), visibility=None, masks=None)

    def base(columns: Any, value: float) -> Scene:
        changed = still.base.clone()
        changed[:, columns] = value
        return replace(still, base=changed)

    def some(columns: Any, value: float) -> Scene:
        changed = still.base.clone()
        changed[::3, columns] = value
        return replace(still, base=changed)

    one_frame = replace(still, times=still.times[:1], K=still.K[:1], world_to_camera=still.world_to_camera[:1])
    off_image = still.K.copy()
    off_image[:, :2, 2] = 1e6
    found = {
        "no Gaussians": scene.select(torch.zeros(COUNT, dtype=torch.bool)),
        "one Gaussian": scene.select(torch.arange(COUNT) == 3),
        "two Gaussians": scene.select(torch.arange(COUNT) < 2),
        "one frame": replace(one_frame, origin=Origin()),
        "equal times": replace(still, times=np.zeros(FRAMES)),
        "invisible": base(10, -60.0),
        "all at one place": base(slice(0, 3), 30.0),
        "all on a line": base(slice(0, 2), 0.0),
        "behind the camera": base(2, -30.0),
        "no orientation": base(slice(3, 7), 0.0),
        "tiny orientations": base(slice(3, 7), 1e-44),
        "huge orientations": base(slice(3, 7), 1e30),
        "denormal places": base(slice(0, 3), 1e-42),
        "a principal point off the image": replace(still, K=off_image),
        "wide": replace(still, K=still.K * np.array([[1e-6], [1e-6], [1.0]])),
        "narrow": replace(still, K=still.K * np.array([[1e6], [1e6], [1.0]])),
        "one pixel": replace(still, width=1, height=1),
        "flat picture": replace(still, width=300, height=1),
        "escapes": replace(still, origin=Origin(clip=ESCAPE, clip_name=ESCAPE), metadata={"note": ESCAPE}),
    }
    for value in (1e6, 1e15, 1e20, 1e30, 3e38):
        found[f"all at {value:g}"] = base(slice(0, 3), value)
        found[f"some at {value:g}"] = some(slice(0, 3), value)
    for value in (-100.0, -1e30, 20.0, 80.0, 100.0, 1e30):
        found[f"all of size e^{value:g}"] = base(slice(7, 10), value)
        found[f"some of size e^{value:g}"] = some(slice(7, 10), value)
    for value in (-1e30, 1e30, 3e38):
        found[f"colours of {value:g}"] = some(slice(11, 14), value)
        found[f"opacities of {value:g}"] = some(10, value)
    moved = scene.deformation.tensors()["control"] * 1e25
    found["wild motion"] = replace(scene, deformation=SplineDeformation(moved, scene.deformation.knots))  # type: ignore[attr-defined]
    return found
