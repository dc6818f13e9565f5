"""Small scenes for the tests of the shareable player: a wavy sheet of tissue that bends, turns, fades and blushes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from endogs.export.html.part_of_time import part_of_time
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.appearance import Appearance, Exposure
from endogs.scene.chain import SceneChain, SegmentFrames
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.origin import Origin
from endogs.scene.scene_file import FILE_NAME, SEGMENTS, save_chain, save_scene, segment_file

WIDTH, HEIGHT, FRAMES = 96, 72, 7


def sheet(still: bool = False, moving_camera: bool = False, frames: int = FRAMES, units: str = "mm") -> Scene:
    """About 900 Gaussians at 50 to 62 mm, under a camera whose axes and principal point no symmetry hides."""
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(np.linspace(-32, 32, 36), np.linspace(-24, 24, 26))
    x, y = x.ravel() + rng.normal(0, 0.3, x.size), y.ravel() + rng.normal(0, 0.3, x.size)
    z = 56 + 4 * np.sin(x / 9) + 2 * np.cos(y / 6)
    count = len(x)
    base = np.zeros((count, 14))
    base[:, :3] = np.stack([x, y, z], 1)
    base[:, 3:7] = rng.normal(size=(count, 4))
    base[:, 7:10] = np.log([1.4, 0.8, 0.4]) + rng.normal(0, 0.15, (count, 3))
    base[:, 10] = rng.normal(2.5, 1.0, count)
    stripes = 0.5 + 0.4 * np.sin(x / 2.5 + y / 4)
    base[:, 11:] = np.stack([0.35 + 0.6 * stripes, 0.2 + 0.4 * stripes, 0.25 + 0.25 * np.cos(y / 3)], 1)
    times = np.linspace(0, 1.2, frames) if frames > 1 else np.zeros(1)
    deformation: Deformation = StaticDeformation()
    if not still:
        knots = Knots((0.0, 0.2, 0.55, 0.8, 1.2))
        wave = np.sin(np.arange(knots.count)[:, None] * 0.9 + x / 12)
        control = rng.normal(0, 0.04, (knots.count, count, 14))
        control[..., 0] += 2.0 * wave
        control[..., 1] -= 1.0 * wave
        control[..., 2] += 3.0 * wave * np.cos(y / 20)
        control[..., 10] += rng.normal(0, 0.5, (knots.count, count))
        control[..., 11] += 0.08 * np.sin(np.arange(knots.count))[:, None]
        deformation = SplineDeformation(torch.as_tensor(control, dtype=torch.float32), knots)
    K = np.tile(np.array([[88.0, 0, 45], [0, 92.0, 39], [0, 0, 1]]), (frames, 1, 1))
    poses = np.stack([pose(0.12 * f if moving_camera else 0.0) for f in range(frames)])
    return Scene(
        torch.as_tensor(base, dtype=torch.float32),
        deformation,
        times,
        K,
        poses,
        WIDTH,
        HEIGHT,
        units,
        origin=Origin(clip_name="sheet"),
    )


def pose(turn: float) -> np.ndarray:
    """world_to_camera of a camera that turns about an oblique axis and shifts."""
    x, y, z = np.array([0.3, 1.0, 0.2]) / np.linalg.norm([0.3, 1.0, 0.2]) * np.sin(turn / 4 + 0.03)
    w = np.cos(turn / 4 + 0.03)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = 1 + 4 * turn, -2, 3
    return matrix


CHAINED = ((0, 14), (7, 23), (16, 30))
"""First and last frames of the segments of `sheet_chain`."""
DIMMER = 0.8
"""Colours of its second segment over those of the others, where it has exposures."""


def sheet_chain(exposed: bool = False) -> SceneChain:
    """The sheet over 31 frames, in three segments: each loses Gaussians at the left and has more at the right.

    Neighbours are not of one mind: the second segment is 0.2 mm deeper, and its quaternions have the other sign.
    """
    whole = sheet(frames=31)
    columns = whole.base[:, 0]

    def read(number: int) -> Scene:
        first, last = CHAINED[number]
        segment = part_of_time(whole, range(first, last + 1))
        left, right = ((-40, 12), (-20, 24), (-16, 40))[number]
        keep = (columns > left) & (columns < right)
        segment = replace(segment.select(keep), identity=keep.nonzero()[:, 0] + 1)
        if number == 1:
            segment.base[:, 2] += 0.2
            segment.base[:, 3:7] *= -1
            segment.deformation.tensors()["control"][..., 3:7] *= -1
        if exposed:
            gain = DIMMER if number == 1 else 1.0
            segment.base[:, 11:] *= gain
            segment.deformation.tensors()["control"][..., 11:] *= gain
            value = torch.zeros(len(segment.times), 2, 3)
            value[:, 0] = -float(np.log(gain))
            segment.appearance = Appearance(exposure=Exposure(segment.times, value))
        return segment

    return SceneChain.of(whole, tuple(SegmentFrames(*ends) for ends in CHAINED), read, len(whole))


def save_sheet_chain(folder: Path) -> Path:
    """`sheet_chain` as a fit writes it; returns the folder."""
    chain = sheet_chain()
    (folder / SEGMENTS).mkdir(parents=True)
    for number in range(len(CHAINED)):
        save_scene(chain.segment(number), segment_file(folder, number))
    save_chain(chain, folder / FILE_NAME)
    return folder
