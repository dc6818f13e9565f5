"""How true a scene is where only a phantom knows the truth: behind instruments, along tracks, in front of the tissue.

A phantom's tissue is cut into three by what the learned-from frames show of it: tissue that all of them show, tissue
that an instrument hides now and some other frame shows, and tissue that none shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.gaussians import LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.phantom.visibility import PhantomTruth
from endogs.scene import Scene
from endogs.scene.drawing import draw_scene
from endogs.scene.following import OPAQUE, follow_points

FLOATER_MM, FLOATER_SIGMAS = 1.0, 3.0
"""A floater's centre lies farther than both in front of the tissue."""


@dataclass(frozen=True)
class DepthError:
    """|rendered - true z-depth| over a kind of pixels, mm; NaN where there are none."""

    median: float
    mean: float
    percentile_95: float
    pixels: int
    """Over all frames."""
    drawn: float
    """Share of them where the scene draws anything (alpha > 0.5), 0..1; only those are compared."""


@dataclass(frozen=True)
class PhantomErrors:
    """What only a phantom can tell of a scene."""

    always_visible: DepthError
    """Tissue that every learned-from frame shows."""
    visible: DepthError
    """Tissue that this frame shows."""
    behind_seen: DepthError
    """Tissue behind an instrument that another learned-from frame shows."""
    never_seen: DepthError
    """Tissue behind an instrument that no learned-from frame shows."""
    track_visible_mm: float
    """Median distance of followed surface points from where they are, in frames that show them."""
    track_hidden_mm: float
    """The same in frames that hide a point behind an instrument."""
    track_95_mm: float
    """95th percentile over the frames judged, seen or hidden."""
    floaters: float
    """Gaussians in front of the tissue, mean per frame."""
    floaters_shown: float
    """Those of them in front of tissue that the frame shows; the others are tissue behind instruments, too near."""
    floater_share: float
    """Share of the opaque Gaussians in the image that float, 0..1."""
    flicker_visible: float
    """Root mean square of the second difference in time of the drawn colour along true tracks, 0..1, where visible."""
    flicker_hidden: float
    """The same where an instrument hides the point: what the fit does there, no image punishes."""
    depth_flicker_hidden_mm: float
    """Root mean square second difference of the depth error along true tracks where hidden, mm."""

    @property
    def hidden_ratio(self) -> float:
        """Mean depth error behind the instruments over that of tissue that is always visible."""
        return self.behind_seen.mean / max(self.always_visible.mean, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """JSON numbers."""
        return asdict(self)


def judge_phantom(
    scene: Scene,
    truth: PhantomTruth,
    learned: Sequence[int],
    judged: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PhantomErrors:
    """Compare a scene in mm with its phantom's truth, at the frames `judged` (all by default).

    `learned` are the frames that the fit saw: they say what tissue was ever seen. Raises InputError for files of the
    truth that are missing, ValueError for a scene of another size, length or unit, and for a fisheye's clip, which is
    read as the view of another camera than the one its truth is of.
    """
    o = truth.options
    if o.lens == "fisheye":
        raise ValueError(f"{truth.folder}: its pictures are a fisheye's, and the scene's are not")
    if (scene.width, scene.height, len(scene.times)) != (o.width, o.height, o.frames) or scene.units != "mm":
        raise ValueError(f"{truth.folder}: the scene was not fitted in mm to all frames of this phantom")
    seen = truth.times_seen(list(learned))
    errors: dict[str, list[NDArray]] = {name: [] for name in ("always", "visible", "behind", "never")}
    asked = dict.fromkeys(errors, 0)
    floaters, floaters_shown, opaque = 0, 0, 0
    frames = list(range(len(truth))) if judged is None else list(judged)
    tracks = TrackSamples.empty(len(truth))
    for done, frame in enumerate(frames, 1):
        color, depth, alpha = _draw(scene, frame)
        true = truth.tissue_depth(frame)
        point, instrument = truth.point_at_pixels(frame), truth.instrument(frame)
        times = np.where(point >= 0, seen[point], -1)
        kinds = {
            "always": ~instrument & (times == len(learned)),
            "visible": ~instrument,
            "behind": instrument & (times > 0),
            "never": instrument & (times == 0),
        }
        for name, chosen in kinds.items():
            chosen = chosen & (true > 0)
            drawn = chosen & (alpha > 0.5)
            asked[name] += int(chosen.sum())
            errors[name].append(np.abs(depth - true)[drawn])
        found, hidden = floating(scene, truth, frame)
        floaters += int(found.sum())
        floaters_shown += int((found & ~hidden).sum())
        opaque += len(found)
        tracks.record(truth, frame, color, depth)
        if progress is not None:
            progress(done, len(frames))
    drift, shown = track_errors(scene, truth, frames)
    always, visible, behind, never = (_depth_error(errors[name], asked[name]) for name in errors)
    color_visible, color_hidden, depth_hidden = tracks.flicker()
    return PhantomErrors(
        always_visible=always,
        visible=visible,
        behind_seen=behind,
        never_seen=never,
        track_visible_mm=_median(drift[shown]),
        track_hidden_mm=_median(drift[~shown]),
        track_95_mm=float(np.percentile(drift, 95)) if drift.size else float("nan"),
        floaters=floaters / len(frames),
        floaters_shown=floaters_shown / len(frames),
        floater_share=floaters / max(opaque, 1),
        flicker_visible=color_visible,
        flicker_hidden=color_hidden,
        depth_flicker_hidden_mm=depth_hidden,
    )


def floating(scene: Scene, truth: PhantomTruth, frame: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the P opaque Gaussians in the image at `frame` hang in front of the tissue (P,), and which of the P lie
    where an instrument hides it (P,).

    A Gaussian floats where its centre is nearer than the tissue at its pixel by more than FLOATER_MM and by more than
    FLOATER_SIGMAS of its standard deviations along z.
    """
    packed = scene.packed_at(float(scene.times[frame])).cpu()
    packed = packed[torch.sigmoid(packed[:, OPACITY]) > OPAQUE]
    pixels, z = truth.project(frame, packed[:, MEANS].double().numpy())
    o = truth.options
    inside = ((pixels >= 0) & (pixels < (o.width, o.height))).all(1) & (z > 0)
    x, y = pixels[inside].astype(int).T
    # Of the pixels around, the nearest tissue counts: at a fold's edge a pixel may show what lies behind it.
    tissue = cv2.erode(truth.tissue_depth(frame), np.ones((3, 3), np.uint8))[y, x]
    front = tissue - z[inside]
    sigma = depth_spread(packed[torch.from_numpy(inside)], truth.world_to_camera(frame))
    return (tissue > 0) & (front > FLOATER_MM) & (front > FLOATER_SIGMAS * sigma), truth.instrument(frame)[y, x]


def depth_spread(packed: torch.Tensor, world_to_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation (P,) along the camera's z axis of packed Gaussians (P, 14), world units."""
    w, x, y, z = torch.nn.functional.normalize(packed[:, QUATS].double(), dim=1).unbind(1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ], 1,
    ).view(-1, 3, 3)  # fmt: skip
    axis = torch.from_numpy(world_to_camera[2, :3].copy()) @ rotation  # (P, 3): the z axis in each one's own frame
    return (axis * packed[:, LOG_SCALES].double().exp()).square().sum(1).sqrt().numpy()


def track_errors(
    scene: Scene, truth: PhantomTruth, judged: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Distances (S,) in mm of followed surface points from their true places, and whether the frame shows them (S,).

    A sample is a point in one of the frames `judged` (all by default), point by point.

    A point is named where the clip first shows it, and followed from there. Its own frame is left out, as is tissue
    that nothing ever shows and points outside the image.
    """
    true, visible = truth.tracks()
    known = np.flatnonzero(visible.any(0))
    first = visible[:, known].argmax(0)
    start = true[first, known].astype(np.float64)
    found = follow_points(scene, start, scene.times[first], scene.times)
    drift = np.linalg.norm(found - true[:, known], axis=2).T
    shown = visible[:, known].T
    inside = truth.tracks_inside()[:, known].T
    compared = inside & (np.arange(len(truth)) != first[:, None])
    if judged is not None:
        compared &= np.isin(np.arange(len(truth)), list(judged))
    return drift[compared], shown[compared]


@dataclass
class TrackSamples:
    """Drawn colour and depth error along true tracks."""

    colors: list[NDArray | None]
    """By frame, (P, 3)."""
    depth: list[NDArray | None]
    """By frame, (P,) rendered minus true z, mm."""
    shown: list[NDArray | None]
    """By frame, (P,) whether the frame shows the point."""
    inside: list[NDArray | None]
    """By frame, (P,) whether it shows the point or the instrument in front of it."""

    @staticmethod
    def empty(frames: int) -> "TrackSamples":
        """No frame has been drawn yet."""
        return TrackSamples([None] * frames, [None] * frames, [None] * frames, [None] * frames)

    def record(self, truth: PhantomTruth, frame: int, color: NDArray, depth: NDArray) -> None:
        """Keep what a frame's rendering, colour (H, W, 3) and depth (H, W), shows at the true tracks."""
        true, visible = truth.tracks()
        pixels, z = truth.project(frame, true[frame].astype(float))
        at = (pixels - 0.5).astype(np.float32).reshape(1, -1, 2)
        layers = np.dstack([color, depth])
        drawn = cv2.remap(layers, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        self.colors[frame], self.depth[frame] = drawn[:, :3], drawn[:, 3] - z
        self.shown[frame], self.inside[frame] = visible[frame], truth.tracks_inside()[frame]

    def flicker(self) -> tuple[float, float, float]:
        """Root mean square second differences over judged neighbouring frames: colour visible, hidden; depth hidden."""
        bend, depth, shown = [], [], []
        known = [
            None if c is None or z is None or s is None or i is None else (np.column_stack([c, z]), s, i)
            for c, z, s, i in zip(self.colors, self.depth, self.shown, self.inside, strict=True)
        ]
        for before, now, after in zip(known, known[1:], known[2:], strict=False):
            if before is None or now is None or after is None:
                continue
            here = before[2] & now[2] & after[2]
            second = (before[0] - 2 * now[0] + after[0])[here]
            bend.append(second[:, :3])
            depth.append(second[:, 3])
            shown.append(now[1][here])
        if not bend:
            return float("nan"), float("nan"), float("nan")
        color, z, see = np.concatenate(bend), np.concatenate(depth), np.concatenate(shown)

        def rms(x: NDArray) -> float:
            return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else float("nan")

        return rms(color[see]), rms(color[~see]), rms(z[~see])


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _depth_error(errors: list[NDArray], asked: int) -> DepthError:
    e = np.concatenate(errors) if errors else np.zeros(0)
    if not e.size:
        return DepthError(float("nan"), float("nan"), float("nan"), asked, 0.0)
    return DepthError(
        float(np.median(e)), float(e.mean(dtype=np.float64)), float(np.percentile(e, 95)), asked, len(e) / asked
    )


def _draw(scene: Scene, frame: int) -> tuple[NDArray, NDArray, NDArray]:
    """Colour (H, W, 3), depth and alpha (H, W) of a frame's view."""
    drawn = draw_scene(scene, float(scene.times[frame]), scene.camera(frame))
    return tuple(x.float().cpu().numpy() for x in (drawn.color, drawn.depth, drawn.alpha))  # type: ignore[return-value]
