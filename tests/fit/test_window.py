"""Frames that arrive one by one and are forgotten again: sources, the window, its schedule and its knots."""

import gc
import queue
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples.sliding_clip import HEIGHT, WIDTH, sliding_clip, texture

from endogs.clip.clip_frames import ClipFrames
from endogs.clip.frame_source import Frame, Pause
from endogs.errors import InputError
from endogs.fit.config import FitConfig
from endogs.fit.loop import Fit
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.schedule import Schedule
from endogs.fit.setup import pixel_footprint
from endogs.fit.window import Window
from endogs.priors.depth.prediction import DepthPrediction
from endogs.priors.motion.flow import ClipFlows
from endogs.priors.speculars import specular_mask
from endogs.scene import Knots, SplineDeformation
from endogs.scene.deformation.hexplane import HexplaneDeformation
from endogs.seeding.initialization import initialize
from endogs.seeding.placement import StartStyle

RATE = 25.0
REACH = 6
"""Frames that the window remembers."""
CONFIG = FitConfig(
    iterations=300,
    initial_gaussians=150,
    gaussians_cap=260,
    insertions=((0.1, 40), (0.19, 60)),
    mask_erosion=1,
    base_rates=replace(FitConfig().base_rates, final=1.0),  # a stream has no end towards which rates could fall
    control_rates=replace(FitConfig().control_rates, final=1.0),
)


class Camera:
    """A camera that sways over tissue for ever; a frame is there when it has been shown one."""

    name = "camera 0"
    static_camera = True
    ignored = np.zeros((HEIGHT, WIDTH), bool)

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self.shown = 0
        self.alive: dict[int, Frame] = {}
        """As a program that feeds the priors would keep them."""
        soft = cv2.GaussianBlur(texture().astype(np.float32), (0, 0), 3)
        self._image = np.clip(128 + 4 * (soft - soft.mean((0, 1))), 0, 255).astype(np.uint8)

    def show(self) -> None:
        number = self.shown
        move = np.float32([[1, 0, 8 * np.sin(number / 25) - 20], [0, 1, 0]])
        image = cv2.warpAffine(self._image, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        K = np.array([[40.0, 0, WIDTH / 2], [0, 40.0, HEIGHT / 2], [0, 0, 1]])
        tissue_mask = np.ones((HEIGHT, WIDTH), bool)
        tissue_mask[:6, :9] = False
        frame = Frame(number, number / RATE, image, tissue_mask, K, np.eye(4))
        self.alive[number] = frame
        self.waiting.put(frame)
        self.shown += 1

    def next(self) -> Frame | Pause:
        try:
            return self.waiting.get_nowait()
        except queue.Empty:
            return Pause.WAIT


class FlatDepth:
    """Tissue is 100 mm away; only frames that are remembered may be asked for."""

    kind = "metric"

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def prediction(self, i):
        mask = self._camera.alive[i].tissue_mask
        return DepthPrediction(np.full(mask.shape, 100, np.float32), "metric", mask.astype(np.float32))

    def tissue_offset(self, i):
        return np.zeros(3)

    def forget(self, i):
        del self._camera.alive[i]


def started(camera: Camera, config: FitConfig = CONFIG) -> Fit:
    """A fit of the frames that the camera has shown."""
    flows = ClipFlows(lambda i: camera.alive[i].image, finest_scale=0)
    window = Window(camera, flows, FlatDepth(camera), config, torch.device("cpu"))
    window.take_all()
    knots = Knots.over(0.0, window.frames[-1].time, 2 / RATE)
    base, control = initialize(
        window.observations, config.initial_gaussians, knots, StartStyle(0.7, 0.7), window.occluded
    )
    deformation = SplineDeformation(control, knots)
    return Fit(SplineAdam(base, deformation, config, pixel_footprint(window)), window, config, 0)


class HalfDoubtful(Camera):
    """Found masks: an instrument in the first ten columns, and a halo up to the thirtieth, half of it told by depth."""

    def next(self) -> Frame | Pause:
        frame = super().next()
        x = np.repeat(np.arange(WIDTH)[None], HEIGHT, 0)
        return replace(frame, tissue_mask=x >= 30, doubtful=(x >= 10) & (x < 30)) if isinstance(frame, Frame) else frame


class DepthInTheHalo(FlatDepth):
    def prediction(self, i):
        x = np.repeat(np.arange(WIDTH)[None], HEIGHT, 0)
        return DepthPrediction(np.full(x.shape, 100, np.float32), "metric", (x >= 20).astype(np.float32))


def test_depth_counts_in_a_halo_where_the_prior_knows_it_to_be_tissues():
    camera = HalfDoubtful()
    camera.show()
    window = Window(
        camera, ClipFlows(lambda i: camera.alive[i].image), DepthInTheHalo(camera), CONFIG, torch.device("cpu")
    )
    window.take_all()
    weight = window.real[0].depth_weight
    matt = torch.from_numpy(~specular_mask(camera.alive[0].image))
    assert (weight[:, 20:] == 255 * matt[:, 20:]).all(), "the halo's tissue, and the rim beside it"
    assert (weight[:, :20] == 0).all()


def test_what_no_view_learns_is_asked_for_continued_colours(monkeypatch):
    """Also where a halo turns out to be the instrument's: nothing else would say what is there."""
    open_from = 14

    def told(views, *others):
        x = torch.arange(WIDTH)
        return [replace(view, weight=torch.where(x < open_from, torch.zeros_like(view.weight), 51)) for view in views]

    monkeypatch.setattr("endogs.fit.window.weighed", told)
    camera = HalfDoubtful()
    camera.show()
    window = Window(camera, ClipFlows(lambda i: camera.alive[i].image), FlatDepth(camera), CONFIG, torch.device("cpu"))
    window.take_all()
    window.compare_frames()
    weight = window.real[0].weight
    inside = open_from - CONFIG.mask_erosion
    assert (weight[:, :inside] == round(255 * CONFIG.hidden_color_weight)).all()
    assert (weight[:, inside:open_from] == 0).all(), "closer to what is learned"
    assert (weight[:, open_from:] == 51).all()


@pytest.mark.parametrize("still", [True, False])
def test_tissue_is_asked_to_be_opaque_before_a_moving_camera(still):
    """Else its dark parts grow transparent from segment to segment of a long clip, as nothing looks the same there."""
    camera = HalfDoubtful()
    camera.static_camera = still
    camera.show()
    window = Window(camera, ClipFlows(lambda i: camera.alive[i].image), FlatDepth(camera), CONFIG, torch.device("cpu"))
    window.take_all()
    opaque = window.real[0].opaque
    assert (opaque[:, :10] == 1).all(), "behind the instrument"
    assert (opaque[:, 10:30] == 0).all(), "the halo"
    assert (opaque[:, 30 + CONFIG.mask_erosion : -CONFIG.mask_erosion] == (0 if still else 1)).all(), "tissue"


def held_bytes() -> int:
    """Bytes of all numpy arrays and Python objects made since tracing began, and of all tensors."""
    gc.collect()
    tensors = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in torch_tensors()}
    return tracemalloc.get_traced_memory()[0] + sum(tensors.values())


def torch_tensors() -> list[torch.Tensor]:
    return [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]


def test_a_stream_is_fitted_in_flat_memory():
    camera = Camera()
    for _ in range(3):
        camera.show()
    tracemalloc.start()
    try:
        fit = started(camera)
        assert fit.take() is Pause.WAIT, "the source has nothing yet, and the fit goes on with what it has"
        held, errors = {}, []
        while fit.step < 300:
            if fit.step % 3 == 0:
                camera.show()
                assert isinstance(fit.take(), Frame)
            while len(fit.window.frames) > REACH:
                fit.forget()
            log = fit.advance()
            errors += log.squared_errors
            if fit.step in (60, 180, 300):
                held[fit.step] = held_bytes()
    finally:
        tracemalloc.stop()
    assert camera.shown == 103
    assert [frame.number for frame in fit.window.frames] == list(range(97, 103))
    assert list(camera.alive) == list(range(97, 103)), "priors were told what to forget"
    gaussians = len(fit.optimizer.base)
    assert gaussians > 150, "the residuals of frames that came and went placed new Gaussians"
    control = fit.optimizer.deformation.control
    assert len(control) <= 2 + REACH // 2 + 1 + 4
    # 80 frames came and went in between; their pictures alone are 460 kB.
    assert held[180] == pytest.approx(held[60], abs=100_000)
    assert held[300] == pytest.approx(held[60], abs=100_000)
    late = float(np.mean(errors[-40:]))
    assert -10 * np.log10(late) > 25, "the fit keeps up with the camera, where a flat picture has 15"


def test_a_clip_is_a_source_that_has_ended(tmp_path):
    clip = sliding_clip(tmp_path, frames=5)
    source = ClipFrames(clip, [0, 2, 4])
    frames = [source.next() for _ in range(3)]
    assert [(f.number, f.time) for f in frames] == [(i, float(clip.times[i])) for i in (0, 2, 4)]
    assert source.next() is Pause.END
    assert source.next() is Pause.END
    assert np.array_equal(frames[1].image, clip.image(2))
    assert np.shares_memory(frames[1].image, clip.frame(2).image), "one copy, however many ask"
    assert not np.shares_memory(frames[1].image, clip.image(2)), "who asks for an image may write to it"


def test_a_frame_is_in_memory_once():
    camera = Camera()
    for _ in range(4):
        camera.show()
    window = started(camera).window
    for frame, view, image in zip(window.frames, window.real, window.observations.images, strict=True):
        assert view.image.data_ptr() == frame.image.ctypes.data == image.ctypes.data


def test_frames_that_leave_take_their_views_along():
    camera = Camera()
    for _ in range(5):
        camera.show()
    fit = started(camera)
    virtual = fit.window.virtual_count
    before = [fit.window[len(fit.window.real) + 2 * gap].image for gap in range(4)]
    fit.maps.residual[:] = torch.arange(5.0)[:, None, None]
    fit.forget()
    assert [view.frame for view in fit.window.real] == [0, 1, 2, 3]
    assert [view.time for view in fit.window.real] == [k / RATE for k in (1, 2, 3, 4)]
    assert fit.window.virtual_count == virtual - 2
    assert all(fit.window[len(fit.window.real) + 2 * gap].image is before[gap + 1] for gap in range(3))
    assert fit.maps.residual[:, 0, 0].tolist() == [1, 2, 3, 4]
    assert fit.window.observations.times.tolist() == [k / RATE for k in (1, 2, 3, 4)]


def test_a_scene_that_grows_and_forgets_stays_as_it_is_in_between():
    camera = Camera()
    for _ in range(8):
        camera.show()
    fit = started(camera)
    for _ in range(10):
        fit.advance()
    times = [frame.time for frame in fit.window.frames]
    before = [fit.optimizer.packed_at(time) for time in times]
    camera.show()
    fit.take()
    for _ in range(7):
        fit.forget()
    after = [fit.optimizer.packed_at(time) for time in times]
    assert len(fit.optimizer.knot_steps) == len(fit.optimizer.deformation.control)
    assert fit.optimizer.control_moments.m.shape == fit.optimizer.deformation.control.shape
    torch.testing.assert_close(after[7:], before[7:], rtol=0, atol=1e-5)
    assert not torch.allclose(after[0], before[0], atol=1e-4), "what lies before is forgotten"


def test_a_deformation_over_the_whole_clip_refuses_a_stream():
    camera = Camera()
    for _ in range(3):
        camera.show()
    fit = started(camera)
    fit.optimizer.deformation = HexplaneDeformation.__new__(HexplaneDeformation)
    camera.show()
    with pytest.raises(ValueError, match="needs all times at the start"):
        fit.take()
    assert len(fit.window.frames) == 3, "nothing has entered"


@given(
    gaps=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12),
    first=st.floats(0, 1),
    further=st.floats(0, 3),
    at=st.floats(0, 1),
)
def test_knots_that_move_on_mean_the_same(gaps, first, further, at):
    """Basis functions within the time that is kept are those of before, at their new places."""
    knots = Knots(tuple(np.concatenate([[0.0], np.cumsum(gaps)]).tolist()))
    end = knots.breakpoints[-1]
    start = first * end
    moved, dropped, added = knots.covering(start, end + further)
    assert moved.count == knots.count - dropped + added
    assert moved.breakpoints[-1] >= end + further - 1e-6
    assert moved.breakpoints[0] <= start
    time = start + at * (end - start)
    index, weights = knots.locate(time)
    now, same = moved.locate(time)
    if now + dropped == index + 1:  # on a breakpoint, either interval will do
        weights, same = (*weights[1:], 0.0), same
    else:
        assert now + dropped == index
    np.testing.assert_allclose(same, weights, atol=1e-6)


def test_a_schedule_goes_on_and_starts_again_when_frames_change():
    class Views:
        real, virtual_count = [0] * 5, 8

    order = Schedule(Views, 0.5, seed=3, steps=20)
    first = [order[step] for step in range(20)]
    assert first == [Schedule(Views, 0.5, seed=3, steps=20)[step] for step in range(20)]
    more = [order[step] for step in range(20, 60)]
    assert sorted(set(more)) == list(range(13))
    assert more[:20] != first
    with pytest.raises(IndexError):
        order[19]
    Views.real = [0] * 2
    order.redraw(60)
    assert max(order[step] for step in range(60, 100)) <= 9


def test_a_window_without_depth_names_its_source():
    camera = Camera()
    camera.show()
    depth = FlatDepth(camera)
    blind = replace(depth.prediction(0), confidence=np.zeros((HEIGHT, WIDTH), np.float32))
    depth.prediction = lambda i: blind
    window = Window(camera, ClipFlows(lambda i: None), depth, CONFIG, torch.device("cpu"))
    with pytest.raises(InputError, match="camera 0: no training frame has depth on tissue"):
        window.take_all()
