"""Scenes that are whole and true to the format, and like none that a fit would leave."""

import json
import shutil
from random import Random
from typing import Any

import numpy as np

from attacker.case import Case, Workplace
from attacker.families.verbs import scene_command
from attacker.samples import SCENES
from attacker.tensors import Tensors, strain

GAUSSIANS = (
    "none",
    "one",
    "two",
    "behind",
    "far",
    "huge",
    "tiny",
    "needles",
    "clear",
    "opaque",
    "quats",
    "colors",
    "same",
    "plane",
    "wide",
)
CAMERAS = (
    "one-frame",
    "same-times",
    "long",
    "far-camera",
    "tele",
    "fisheye",
    "off-centre",
    "one-pixel",
    "strip",
    "negative",
    "turned",
    "moving",
)


def strange_scene(at: Workplace) -> Case:
    """A scene of a random kind with one or two strange properties, and a verb."""
    random, kind = at.random, at.random.choice(sorted(SCENES))
    shutil.copytree(at.sample(f"scene-{kind}"), at.folder, dirs_exist_ok=True)
    path = at.folder / "out" / "scene.safetensors"
    file = Tensors.read(path)
    about = json.loads(file.metadata["endogs"])
    done = []
    for _ in range(random.choice((1, 1, 2))):
        turn = random.random()
        if turn < 0.3:
            done.append(strain(random, file))
        elif turn < 0.4:
            done.append(_strain_numbers(random, about))
        elif turn < 0.7:
            done.append(random.choice(GAUSSIANS))
            _change_gaussians(file, done[-1], kind)
        else:
            done.append(random.choice(CAMERAS))
            _change_cameras(file, about, done[-1])
    file.metadata["endogs"] = json.dumps(about)
    file.write(path)
    arguments, seconds = scene_command(random, "out")
    return Case(
        f"{kind} scene: {', '.join(done)}", arguments, ("scene.safetensors", "out", "clip"), view_seconds=seconds
    )


def _strain_numbers(random: Random, about: dict[str, Any]) -> str:
    """A number of the metadata at the end of what a double holds."""
    holders: list[tuple[Any, Any]] = [
        (about["deformation"]["settings"], key) for key in about["deformation"]["settings"]
    ]
    holders += [(about, "times"), (about["cameras"]["K"][0], 0), (about["cameras"]["K"][0], 1)]
    holders += [(about["cameras"]["world_to_camera"][0], row) for row in range(3)]
    for key in ("colors", "exposure"):
        if about.get("appearance", {}).get(key):
            inner = about["appearance"][key].get("settings") or about["appearance"][key]
            holders += [(inner, name) for name in inner]
    holder, key = random.choice(holders)
    factor = random.choice((1e-300, 1e-30, 1e30, 1e150, 1e300, 0.0))
    value = holder[key]
    if isinstance(value, list):
        holder[key] = [min(one * factor, 1e308) if isinstance(one, int | float) else one for one in value]
    elif isinstance(value, int | float):
        holder[key] = random.choice(
            (min(value * factor, 1e308), int(min(value, 1e6)) + random.choice((-1, 1, 63, 1000)))
        )
    return f"{key}: by {factor:g}"


def _change_gaussians(file: Tensors, act: str, kind: str) -> None:
    base = file.array("base")
    if act in ("none", "one", "two"):
        _keep(file, {"none": 0, "one": 1, "two": 2}[act], len(base))
        return
    if act == "behind":
        base[:, 2] = -np.abs(base[:, 2])
    elif act == "far":
        base[:, :3] *= 1e12
    elif act == "huge":
        base[:, 7:10] = 60.0
    elif act == "tiny":
        base[:, 7:10] = -80.0
    elif act == "needles":
        base[:, 7], base[:, 8:10] = 6.0, -30.0
    elif act == "clear":
        base[:, 10] = -1e30
    elif act == "opaque":
        base[:, 10] = 1e30
    elif act == "quats":
        base[:, 3:7] = 0.0
    elif act == "colors":
        base[:, 11:14] = np.where(np.arange(len(base))[:, None] % 2, 1e20, -1e20)
    elif act == "same":
        base[:] = base[:1] if len(base) else 0
    elif act == "plane":
        base[:, 0] = 0.0
    else:
        base[:, :3] *= np.float32(1e-20)
    file.put("base", base)


def _keep(file: Tensors, count: int, of: int) -> None:
    """The first Gaussians only, in every tensor that has a dimension of their number."""
    for name in file.tensors:
        array = file.array(name)
        dims = [dim for dim, size in enumerate(array.shape) if size == of]
        if dims:
            kept = np.take(array, range(min(count, of)), dims[0])
            if name.endswith("neighbours"):
                kept = np.minimum(kept, max(count - 1, 0))
            file.put(name, kept)


def _change_cameras(file: Tensors, about: dict[str, Any], act: str) -> None:
    frames, cameras = len(about["times"]), about["cameras"]
    K, pose = np.array(cameras["K"], float), np.array(cameras["world_to_camera"], float)
    if act == "one-frame":
        about["times"] = about["times"][:1]
        K, pose = K[:1], pose[:1]
        for name in list(file.tensors):
            if name.startswith("visibility."):
                file.put(name, file.array(name)[:, :1])
    elif act == "same-times":
        about["times"] = [about["times"][-1]] * frames
    elif act == "long":
        about["times"] = [time * 1e12 for time in about["times"]]
    elif act == "far-camera":
        pose[:, :3, 3] = 1e15
    elif act == "tele":
        K[:, 0, 0] = K[:, 1, 1] = 1e12
    elif act == "fisheye":
        K[:, 0, 0] = K[:, 1, 1] = 1e-12
    elif act == "off-centre":
        K[:, :2, 2] = 1e9
    elif act == "one-pixel":
        about["width"] = about["height"] = 1
    elif act == "strip":
        about["width"], about["height"] = 3001, 1
    elif act == "negative":
        about["times"] = [time - 1e6 for time in about["times"]]
    elif act == "turned":
        pose[:, :3, :3] = np.diag([1.0, -1.0, -1.0]) @ pose[:, :3, :3]
    else:
        pose = np.repeat(pose[:1], frames, 0)
        pose[:, 0, 3] = np.linspace(0, 1000, frames)
    about["cameras"] = {"K": K.tolist(), "world_to_camera": pose.tolist()}
