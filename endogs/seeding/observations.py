"""What the training frames say: images, masks, times, cameras, depth, and where their pixels go."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.frame_source import Frame
from endogs.device import usable_cores
from endogs.geometry import invert_rigid
from endogs.priors.motion.flow import ClipFlows, dis_flow, one_opencv_thread
from endogs.priors.tissue import PackedMask, erode_tissue_mask
from endogs.priors.tissue_image import tissue_image
from endogs.scene.appearance import Appearance
from endogs.seeding.carried_motion import Grid, carried_motion, grid_lookup, rim_pixels
from endogs.seeding.gap_closing import close_gaps

Pixels = NDArray[np.float32]
RELATIVE, ABSOLUTE = 0.2, 16.0
"""Forward-backward test of a flow step, in square pixels as in `endogs.priors.motion.flow.consistency_mask` but loose:
a spline had better start from a rough track than from none (+.3 dB)."""
DEPTH_JUMP = 0.1
"""Metric depth that changes by more than this part between two frames has left the tracked tissue."""
POINTS_PER_THREAD = 4096
"""At least; fewer are not worth a thread."""
PAINTED_SIZE = 640
"""Pixels of the longer side of the images for flow beside instruments, at most."""
AT_HAND_BYTES = 400e6
"""Memory for flows in single precision; those of longer clips are unpacked as they are needed."""


class Observations:
    """The training frames in the order of time. Never a test frame."""

    def __init__(
        self,
        frames: Sequence[Frame],
        flows: ClipFlows,
        depth: Callable[[int], NDArray[np.float32]],
        metric: bool,
        offset: Callable[[int], NDArray[np.float64]] | None = None,
    ) -> None:
        """`depth(k)` is the z-depth (H, W) of frames[k], world units, 0 = unknown. `metric` says that it may be
        compared between frames; otherwise it is taken to be constant along a track. `offset` is where all tissue is at
        the frame of a number, from its mean place in the world (3,); None where it does not move as a whole.
        """
        self.frames: list[Frame] = []
        self.images: list[NDArray[np.uint8]] = []
        """What new Gaussians are coloured by (H, W, 3): the frames' images, or those without light and exposure."""
        self.lost: Appearance | None = None
        """The light and exposures that these images lost."""
        self.masks: list[NDArray[np.bool_]] = []
        """Tissue masks (H, W)."""
        self.depth = depth
        self.metric = metric
        self._flows = flows
        self._offset = offset
        self._offsets: dict[int, NDArray[np.float64]] = {}
        self._at_hand: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._carried: dict[tuple[int, int], Grid] = {}
        self._trusted: dict[int, PackedMask] = {}
        self._stacked: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None
        for frame in frames:
            self.enter(frame)

    def enter(self, frame: Frame) -> None:
        """One more frame, later than all others."""
        self.frames.append(frame)
        self._offsets[frame.number] = np.zeros(3) if self._offset is None else self._offset(frame.number)
        self.images.append(frame.image)
        self.masks.append(frame.tissue_mask)
        self._stacked = None

    def correct(self, k: int, frame: Frame) -> None:
        """Frame `k` again, with another pose."""
        self.frames[k] = frame
        self._stacked = None

    def leave(self) -> None:
        """Forget the earliest frame."""
        number = self.frames.pop(0).number
        del self.images[0], self.masks[0]
        self._trusted.pop(number, None)
        del self._offsets[number]
        self._carried = {pair: grid for pair, grid in self._carried.items() if number not in pair}
        self._stacked = None

    def _stacks(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        if self._stacked is None:
            rows = ([f.time for f in self.frames], [f.K for f in self.frames], [f.world_to_camera for f in self.frames])
            self._stacked = np.array(rows[0]), np.array(rows[1]), np.array(rows[2])
        return self._stacked

    @property
    def times(self) -> NDArray[np.float64]:
        """(F,) seconds."""
        return self._stacks()[0]

    @property
    def K(self) -> NDArray[np.float64]:
        """(F, 3, 3) intrinsics in pixels, centres at +0.5."""
        return self._stacks()[1]

    @property
    def world_to_camera(self) -> NDArray[np.float64]:
        """(F, 4, 4) OpenCV axes, world units."""
        return self._stacks()[2]

    @property
    def offsets(self) -> NDArray[np.float64]:
        """(F, 3) where all tissue is, from its mean place in the world: zeros where it does not move as a whole."""
        return np.array([self._offsets[frame.number] for frame in self.frames]).reshape(-1, 3)

    @property
    def static_camera(self) -> bool:
        """Whether all of these frames have the same pose."""
        return len(self) < 2 or bool((self.world_to_camera == self.world_to_camera[:1]).all())

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.masks[0].shape[0], self.masks[0].shape[1]

    def flow(self, start: int, end: int) -> NDArray[np.float32]:
        """Optical flow (H, W, 2) between two neighbouring training frames, pixels."""
        kept = self._at_hand.get((start, end))
        if kept is not None:
            return kept
        return self._flows.flow(self.frames[start].number, self.frames[end].number)

    def carried(self, start: int, end: int) -> Grid:
        """Motion (h, w, 3) of tissue between two neighbouring training frames, hidden or not; computed once."""
        pair = self.frames[start].number, self.frames[end].number
        if pair not in self._carried:
            there, back = self._painted_flow(start, end), self._painted_flow(end, start)
            for (a, b), flows in (((start, end), (there, back)), ((end, start), (back, there))):
                depths = (self.depth(a), self.depth(b)) if self.metric else None
                grid = carried_motion(*flows, (self.masks[a], self.masks[b]), depths, DEPTH_JUMP)
                self._carried[self.frames[a].number, self.frames[b].number] = grid
        return self._carried[pair]

    def carry_all(self) -> None:
        """Make the motion behind instruments between all neighbours now, several frames at once."""
        with one_opencv_thread(), ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(lambda k: self.carried(k, k + 1), range(len(self) - 1)))

    def _painted_flow(self, start: int, end: int) -> NDArray[np.float32]:
        """Flow (H, W, 2) between images with the instruments painted over, made at PAINTED_SIZE."""
        if self.masks[start].all() and self.masks[end].all():
            return self.flow(start, end)
        height, width = self.size
        first, second = self._painted(start), self._painted(end)
        # Down to the finest level: at half resolution a patch reaches twice as far over the paint. Refinement would
        # carry the paint's motion on, and only means over a coarse grid are asked for.
        flow = dis_flow(first, second, finest_scale=0, iterations=0, patch_stride=5, descents=12)
        scale = np.array([width / first.shape[1], height / first.shape[0]], np.float32)
        return (cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale).astype(np.float32)

    def _painted(self, frame: int) -> NDArray[np.uint8]:
        """The frame in grey with the instruments painted over, its longer side PAINTED_SIZE pixels or less."""
        height, width = self.size
        part = min(1.0, PAINTED_SIZE / max(height, width))
        size = max(1, round(part * width)), max(1, round(part * height))
        image = cv2.resize(self.images[frame], size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(self.masks[frame].view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
        return tissue_image(np.asarray(image, np.uint8), np.asarray(share) == 255)

    def trusted(self, frame: int) -> NDArray[np.bool_]:
        """Tissue (H, W) away from the instruments: beside them, flow and colour are partly theirs."""
        number = self.frames[frame].number
        if number not in self._trusted:
            self._trusted[number] = PackedMask.of(erode_tissue_mask(self.masks[frame], rim_pixels(*self.size)))
        return self._trusted[number].unpacked()

    def unproject(self, frame: int, pixels: Pixels, depth: NDArray[np.float32]) -> NDArray[np.float64]:
        """World points (P, 3) of pixels (P, 2; x, y with pixel centres at +0.5) at z-depth (P,)."""
        K = self.K[frame]
        ray = np.concatenate([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((len(pixels), 1))], 1)
        camera_to_world = invert_rigid(self.world_to_camera[frame])
        return (ray * depth[:, None]) @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]

    @contextmanager
    def flows_at_hand(self) -> Iterator[None]:
        """While entered, all flows between neighbouring training frames are kept as they are looked up in, if they fit.

        The motion behind instruments is made beforehand, several frames at once. Unpacking flows from half precision is
        most of following points, and points are followed a dozen times over.
        """
        self.carry_all()
        height, width = self.size
        fit = 2 * (len(self) - 1) * height * width * 8 <= AT_HAND_BYTES
        if self._at_hand or not fit:
            yield
            return
        pairs = [pair for a, b in pairwise(range(len(self))) for pair in ((a, b), (b, a))]
        with ThreadPoolExecutor(usable_cores()) as pool:
            self._at_hand = dict(zip(pairs, pool.map(lambda pair: self.flow(*pair), pairs), strict=True))
        try:
            yield
        finally:
            self._at_hand = {}


@dataclass
class ColoredTracks:
    """P points followed through all F training frames, with the colour and depth seen along the way.

    Where a point is hidden it is carried by the motion of the tissue around it. When it comes out again, the depth
    found there is spread over the time it was hidden, and so is the colour; without that, its colour is held.
    """

    positions: Pixels
    """(F, P, 2) pixels, centres at +0.5; outside the image once the tissue has left it."""
    valid: NDArray[np.bool_]
    """(F, P) every flow step from the point's own frame was confirmed by the reverse flow and landed on tissue. Frames
    that show no tissue at all have no valid point, and count for nothing on the way past them."""
    seen: NDArray[np.bool_]
    """(F, P) the frame shows tissue at the position, whether flow or the motion around it led there."""
    colors: NDArray[np.float32]
    """(F, P, 3) sRGB in [0, 1]."""
    depth: NDArray[np.float32]
    """(F, P) z-depth, world units."""
    clean: NDArray[np.bool_]
    """(P,) some frame shows it away from the instruments, so that its colours are not theirs."""


def pixel_index(pixels: Pixels, size: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column (P,) of the pixels that contain the points (P, 2), clamped into an image of (height, width)."""
    x = np.clip(pixels[:, 0], 0, size[1] - 1).astype(np.intp)
    y = np.clip(pixels[:, 1], 0, size[0] - 1).astype(np.intp)
    return y, x


def in_image(pixels: Pixels, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of the points (P, 2), pixels with centres at +0.5, lie inside an image of (height, width)."""
    return ((pixels >= 0) & (pixels < size[::-1])).all(1)  # type: ignore[return-value]


def on_tissue(mask: NDArray[np.bool_], pixels: Pixels) -> NDArray[np.bool_]:
    """Which of the points (P, 2) lie inside the image on tissue (H, W)."""
    height, width = mask.shape
    inside = (pixels >= 0).all(1) & (pixels[:, 0] <= width) & (pixels[:, 1] <= height)
    return inside & mask[pixel_index(pixels, mask.shape)]  # type: ignore[arg-type]


def lookup(image: NDArray, pixels: Pixels) -> NDArray[np.float32]:
    """Bilinear samples (P, C) of an image (H, W, C) at points (P, 2), pixel centres at +0.5, border replicated."""
    # remap takes at most 32767 columns or rows, so the points are laid out in rows of 1024; it is ten times faster
    # than fancy indexing.
    count = len(pixels)
    grid = np.zeros((max(1, -(-count // 1024)) * 1024, 2), np.float32)
    grid[:count] = pixels - 0.5
    maps = grid.reshape(-1, 1024, 2)
    out = cv2.remap(image, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return out.reshape(len(grid), -1)[:count].astype(np.float32)


def follow(
    observations: Observations,
    start: NDArray[np.intp],
    pixels: Pixels,
    depth: NDArray[np.float32],
    colors: NDArray[np.float32] | None = None,
) -> ColoredTracks:
    """Follow pixels (P, 2) of z-depth (P,), each from its own training frame `start` (P,), to all frames.

    With metric depth, the depth of other frames is read along the track unless it jumps; otherwise it is held.
    `colors` (P, 3) sRGB in [0, 1] stand in for those of the own frame, where a point is hidden there.
    """
    frames, count = len(observations), len(pixels)
    tracks = ColoredTracks(
        np.empty((frames, count, 2), np.float32),
        np.zeros((frames, count), bool),
        np.zeros((frames, count), bool),
        np.empty((frames, count, 3), np.float32),
        np.empty((frames, count), np.float32),
        np.zeros(count, bool),
    )
    for frame in np.unique(start):
        own = np.flatnonzero(start == frame)
        tracks.positions[frame, own] = pixels[own]
        tracks.valid[frame, own] = True
        y, x = pixel_index(pixels[own], observations.size)
        tracks.seen[frame, own] = observations.masks[frame][y, x]
        shown = lookup(observations.images[frame], pixels[own]) / 255
        tracks.colors[frame, own] = shown if colors is None else colors[own]
        tracks.depth[frame, own] = depth[own]
        tracks.clean[own] = observations.trusted(frame)[y, x]
    jump = np.zeros((frames, count), np.float32)
    confirmed = tracks.valid.copy()
    cores = usable_cores()
    moves = [(frame, frame + 1, start <= frame) for frame in range(frames - 1)]
    moves += [(frame, frame - 1, start >= frame) for frame in range(frames - 1, 0, -1)]
    moves = [move for move in moves if move[2].any()]
    with ThreadPoolExecutor(cores) as pool:
        steps = [pool.submit(_Step, observations, tracks, jump, confirmed, *move[:2]) for move in moves[:1]]
        for k, (_, _, active) in enumerate(moves):
            advance = steps.pop().result()
            if k + 1 < len(moves):  # the next flows are unpacked meanwhile
                steps.append(pool.submit(_Step, observations, tracks, jump, confirmed, *moves[k + 1][:2]))
            points = np.flatnonzero(active)
            # Points do not know of each other.
            list(pool.map(advance, np.array_split(points, min(cores, -(-len(points) // POINTS_PER_THREAD)))))
    close_gaps(tracks.depth, tracks.colors, jump, tracks.seen, start)
    return tracks


class _Step:
    """One flow step from frame `here` to its neighbour `there`, for some of the points at a time."""

    def __init__(
        self,
        observations: Observations,
        tracks: ColoredTracks,
        jump: NDArray[np.float32],
        confirmed: NDArray[np.bool_],
        here: int,
        there: int,
    ) -> None:
        self._observations, self._tracks, self._here, self._there = observations, tracks, here, there
        self._jump, self._confirmed = jump, confirmed
        self._blank = not observations.masks[here].any(), not observations.masks[there].any()
        self._forward, self._backward = observations.flow(here, there), observations.flow(there, here)
        self._carried = observations.carried(here, there)
        self._tissue = observations.trusted(there)
        self._surface = observations.depth(there) if observations.metric else None

    def __call__(self, active: NDArray[np.intp]) -> None:
        observations, tracks, here, there = self._observations, self._tracks, self._here, self._there
        size = observations.size
        position, seen = tracks.positions[here, active], tracks.seen[here, active]
        move = lookup(self._forward, position)
        after = position + move
        back = lookup(self._backward, after)
        gap = np.square(move + back).sum(1)
        flown = gap < RELATIVE * (np.square(move).sum(1) + np.square(back).sum(1)) + ABSOLUTE
        flown &= seen & on_tissue(observations.masks[there], after)
        carried = grid_lookup(self._carried, position, size, lookup)
        # Beside an instrument the flow is partly the instrument's, though it may well come back.
        free = flown & on_tissue(self._tissue, after)
        after = np.where(free[:, None], after, position + carried[:, :2])
        shown = on_tissue(observations.masks[there], after)
        tracks.positions[there, active] = after
        # No flow leads past a frame without tissue; what comes out on tissue behind it is still the same point.
        from_blank, to_blank = self._blank
        kept = self._confirmed[here, active] & (to_blank | (shown if from_blank else flown))
        self._confirmed[there, active] = kept
        tracks.valid[there, active] = kept & (not to_blank)
        tracks.seen[there, active] = shown
        color = lookup(observations.images[there], after) / 255
        clean = on_tissue(self._tissue, after)
        tracks.clean[active] |= clean
        tracks.colors[there, active] = np.where(clean[:, None], color, tracks.colors[here, active])
        depth = tracks.depth[here, active]
        if self._surface is not None:
            depth = depth * np.exp(carried[:, 2])
            surface = self._surface[pixel_index(after, size)]
            steady = shown & (surface > 0) & (np.abs(surface / np.maximum(depth, 1e-6) - 1) < DEPTH_JUMP)
            found = np.where(steady & ~seen, np.log(np.maximum(surface, 1e-6) / np.maximum(depth, 1e-6)), 0)
            self._jump[there, active] = found
            depth = np.where(steady, surface, depth)
        tracks.depth[there, active] = depth
