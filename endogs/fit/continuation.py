"""How a segment of a long clip starts: what the segment before hands over goes on, and new Gaussians fill the rest."""

import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.settling import settled
from endogs.fit.window import Window
from endogs.gaussians import MEANS
from endogs.render import rasterize_packed
from endogs.scene import Knots, Scene, SplineDeformation
from endogs.seeding.hand_over import hand_over
from endogs.seeding.initialization import complete
from endogs.seeding.placement import StartStyle
from endogs.seeding.posed_start import complete_by_poses

ROOM = 1 / 8
"""Part of the most Gaussians that is kept free, at most, for what the segment before did not see."""
OPAQUE = 0.5
"""Share of the light that the segment before must stop for its depth to be there."""


class Continuation:
    """A start of a fit, as `endogs.fit.setup.STARTS` has them, from the segment before."""

    def __init__(self, before: Scene) -> None:
        """`before` shares its last frames with the first of the windows to come."""
        self.before = before
        self.identity = torch.zeros(0, dtype=torch.int64)
        """(N,) by what the Gaussians that were placed last are known; 0 for new ones."""

    def __call__(
        self, window: Window, config: FitConfig, knots: Knots | None, seed: int
    ) -> tuple[Tensor, Tensor | None]:
        """The first Gaussians (N, 14) and their control points (Kn, N, 14), None without knots."""
        style = StartStyle(config.start_opacity, config.start_scale)
        cap, inserted = config.gaussians_cap, sum(count for _, count in config.insertions)
        kept = cap - min(inserted // 2, round(ROOM * cap))
        by_poses = config.initialization == "poses" and window.metric
        handed = hand_over(window.observations, self.before, knots, max(1, kept), followed=not by_poses)
        density, most = min(config.initial_gaussians, cap), cap - len(handed)
        if by_poses or handed.tracks is None:
            means = handed.base[:, MEANS].numpy()
            new, control = complete_by_poses(window.observations, means, density, most, knots, style)
        else:
            tracks, occluded = handed.tracks, window.occluded
            new, control = complete(window.observations, tracks, density, most, knots, style, occluded)
        self.identity = torch.cat([handed.identity, torch.zeros(len(new), dtype=torch.int64)])
        base = torch.cat([handed.base, new])
        if control is not None and handed.control is not None:
            control = torch.cat([handed.control, control], 1)
        if window.metric and len(new) and not by_poses:
            motion = None if control is None or knots is None else SplineDeformation(control, knots)
            base[len(handed) :] = settled(base, motion, window)[len(handed) :]
        return base, control

    @property
    def last_time(self) -> float:
        """Of the frames that the segment before has, seconds."""
        return float(self.before.times[-1])

    def hand_cameras(self, window: Window) -> None:
        """Give the frames of a window that the segment before shares the poses that it has for them."""
        for k, frame in enumerate(window.frames):
            own = self.before.nearest_frame(frame.time)
            if frame.time <= self.last_time and (self.before.world_to_camera[own] != frame.world_to_camera).any():
                window.move_camera(k, self.before.world_to_camera[own])

    @torch.no_grad()
    def hold_depth(self, window: Window) -> None:
        """Hold a window's relative depth to that of the segment before, which shares its first frame, or ends before
        it."""
        time, camera = window.real[0].time, window.real[0].camera
        if time <= self.last_time:
            camera = self.before.camera(self.before.nearest_frame(time))
        time = min(time, self.last_time)
        drawn = rasterize_packed(self.before.packed_at(time), camera)
        window.hold(0, torch.where(drawn.alpha > OPAQUE, drawn.depth, 0).cpu().numpy())


def numbered(identity: Tensor, used: int) -> Tensor:
    """By what Gaussians (N,) are known when a segment is fitted: new ones, 0, get numbers after the `used` ones."""
    found, new = identity.clone(), identity == 0
    found[new] = used + 1 + torch.arange(int(new.sum()), dtype=identity.dtype, device=identity.device)
    return found
