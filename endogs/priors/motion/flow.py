"""Dense optical flow (DIS, Kroeger et al. 2016, with OpenCV's variational refinement) and what can be trusted of it.

A flow from image a to image b is float32 (H, W, 2): the pixel at row y, column x of a is found in b at
(x + flow[y, x, 0], y + flow[y, x, 1]), in pixels.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.device import usable_cores
from endogs.errors import InputError

Flow = NDArray[np.float32]

_thread_count_lock = threading.Lock()
_thread_count_users = 0
_thread_count_before = 0
_own_dis = threading.local()


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's DIS cuts the image into as many stripes as it has threads, and its result depends on the stripes.

    One thread makes a flow the same on every machine; parallelism comes from computing several flows at once.
    """
    global _thread_count_users, _thread_count_before
    with _thread_count_lock:
        if _thread_count_users == 0:
            _thread_count_before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _thread_count_users += 1
    try:
        yield
    finally:
        with _thread_count_lock:
            _thread_count_users -= 1
            if _thread_count_users == 0:
                cv2.setNumThreads(_thread_count_before)


def check_flow_size(height: int, width: int, finest_scale: int = 1) -> None:
    """Raises InputError for images below 12 pixels, or less than a patch of 8 high or wide at the finest scale."""
    least = 8 << finest_scale
    if max(height, width) < 12 or min(height, width) < least:  # OpenCV would end the process
        raise InputError(
            f"frames of {width} x {height} pixels are too small for optical flow: at least {max(12, least)} "
            "are needed; raise --max-size or widen --crop"
        )


def dis_flow(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    *,
    iterations: int = 20,
    finest_scale: int = 1,
    patch_stride: int = 3,
    descents: int = 25,
) -> Flow:
    """Flow (H, W, 2) from `a` to `b`, uint8 images (H, W, 3) RGB or (H, W) grey of one size.

    `iterations` of variational refinement, the `finest_scale` (0 = full size, 1 = half size), the pixels between
    patches and the `descents` of each trade time for accuracy. 640x512 on one core: about 40 ms with the defaults.
    Raises InputError as `check_flow_size` does.
    """
    height, width = a.shape[:2]
    check_flow_size(height, width, finest_scale)
    grey = [image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b)]
    with one_opencv_thread():
        flow = _dis(iterations, finest_scale, patch_stride, descents)
        return flow.calc(grey[0], grey[1], None)  # type: ignore[call-overload]


def _dis(iterations: int, finest_scale: int, patch_stride: int, descents: int) -> cv2.DISOpticalFlow:
    """This thread's own, whose memory serves flow after flow: mapped anew each time it is a fifth of the work."""
    flow = getattr(_own_dis, "flow", None)
    if flow is None:
        flow = _own_dis.flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setVariationalRefinementIterations(iterations)
    flow.setFinestScale(finest_scale)
    flow.setPatchStride(patch_stride)
    flow.setGradientDescentIterations(descents)
    return flow


def warp(image: NDArray, flow: Flow) -> NDArray:
    """`image` (H, W[, C]) looked up bilinearly at x + flow(x), edges repeated: b warped by the flow a to b shows a."""
    where = (_grid(*flow.shape[:2]) + flow).astype(np.float32, copy=False)
    return cv2.remap(image, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)
    grid.flags.writeable = False
    return grid


def consistency_mask(
    forward: Flow, backward: Flow, *, relative: float = 0.01, absolute: float = 0.5
) -> NDArray[np.bool_]:
    """Pixels (H, W) of a whose flow to b stays inside the image and comes back, by the flow from b to a.

    `|f + b(x + f)|^2 < relative (|f|^2 + |b|^2) + absolute` in square pixels (Sundaram, Brox & Keutzer 2010).
    """
    height, width = forward.shape[:2]
    back = warp(backward, forward)
    # Written per channel: numpy's sum over a last axis of two is ten times slower than two planes.
    fx, fy, bx, by = forward[..., 0], forward[..., 1], back[..., 0], back[..., 1]
    size = fx * fx + fy * fy + bx * bx + by * by
    gap = (fx + bx) ** 2 + (fy + by) ** 2
    x = np.arange(width, dtype=np.float32) + fx
    y = np.arange(height, dtype=np.float32)[:, None] + fy
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return (gap < relative * size + absolute) & inside


class ClipFlows:
    """Flows between frames of one clip, each computed once: tracks, virtual frames and baselines share them.

    Flows are kept in half precision (a quarter of a hundredth of a pixel at 4 px, 2.6 MB / 2 per 640x512 flow).
    """

    def __init__(
        self,
        image: Callable[[int], NDArray[np.uint8]],
        *,
        iterations: int = 20,
        finest_scale: int = 1,
        threads: int | None = None,
        most: int | None = None,
    ) -> None:
        """`image(i)` is frame i, uint8 (H, W, 3), for example `clip.image`; the options are those of `dis_flow`.

        No more than `most` flows are kept, those that were computed last; by default all are. `threads` compute flows
        at once, by default one per core.
        """
        self._image = image
        self.reading = threading.Lock()
        """Held while a frame is read: a clip's decoder and cache serve one thread at a time."""
        self._options = {"iterations": iterations, "finest_scale": finest_scale}
        self._threads = threads or usable_cores()
        self._most = most
        self._kept: dict[tuple[int, int], NDArray[np.float16]] = {}

    def _compute(self, pair: tuple[int, int]) -> None:
        if pair not in self._kept:
            with self.reading:
                images = [self._image(i) for i in pair]
            flow = dis_flow(images[0], images[1], **self._options)
            self._kept[pair] = np.clip(flow, -6e4, 6e4).astype(np.float16)
            while self._most is not None and len(self._kept) > self._most:
                self._kept.pop(next(iter(self._kept)))

    def flow(self, a: int, b: int) -> Flow:
        """Flow (H, W, 2) float32 from frame `a` to frame `b`."""
        self._compute((a, b))
        return self._kept[a, b].astype(np.float32)

    def consistent(self, a: int, b: int) -> NDArray[np.bool_]:
        """Pixels (H, W) of frame `a` whose flow to frame `b` comes back."""
        return consistency_mask(self.flow(a, b), self.flow(b, a))

    def precompute(self, frames: Sequence[int], progress: Callable[[int, int], None] | None = None) -> None:
        """Compute the flows between consecutive entries of `frames`, in both directions, on several threads.

        `progress(done, total)` is called after each flow.
        """
        pairs = [pair for a, b in pairwise(frames) for pair in ((a, b), (b, a))]
        pairs = [pair for pair in pairs if pair not in self._kept]
        with one_opencv_thread(), ThreadPoolExecutor(max(1, self._threads)) as pool:
            for done, _ in enumerate(pool.map(self._compute, pairs), 1):
                if progress is not None:
                    progress(done, len(pairs))

    def forget(self, frame: int) -> None:
        """Free the memory of all flows from and to a frame."""
        self._kept = {pair: flow for pair, flow in self._kept.items() if frame not in pair}
