"""Training on an NVIDIA GPU: its steps are the CPU's, a replay does what was captured, and failures are said."""

import json
from dataclasses import replace

import pytest
import torch
from samples.given_state import GivenViews, given_state
from samples.sliding_clip import InstrumentOnTheLeft, sliding_clip, write_sliding_clip
from samples.small_fits import new_fit
from samples.step_problem import step_problem, unseen_area

from endogs import native
from endogs.camera import Camera
from endogs.cli import main
from endogs.errors import FitDiverged
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import FitConfig
from endogs.fit.cuda_steps import CudaSteps
from endogs.fit.graph_steps import GraphSteps
from endogs.fit.loop import run_fit
from endogs.fit.objective.objective import Objective
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.view import View
from endogs.gaussians import ATTRIBUTES, CHANNELS, LOG_SCALES
from endogs.scene import Knots, SplineDeformation, StaticDeformation

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(bool(native.cuda_problem()), reason=f"no GPU can be used: {native.cuda_problem()}"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch has no CUDA"),
]
KNOTS = Knots.evenly(0.0, 1.0, 4)
CONFIG = FitConfig(iterations=24, initial_gaussians=150, gaussians_cap=185, insertions=((0.3, 20), (0.5, 30)))


def on_gpu(view: View) -> View:
    names = ("image", "weight", "depth", "depth_weight", "hidden")
    moved = {name: None if getattr(view, name) is None else getattr(view, name).cuda() for name in names}
    return replace(view, **moved)


def optimizer_of(packed: torch.Tensor, config: FitConfig, device: str, moving: bool = True) -> SplineAdam:
    generator = torch.Generator().manual_seed(5)
    control = 0.01 * torch.randn(KNOTS.count, len(packed), CHANNELS, generator=generator)
    shape = SplineDeformation(control.to(device), KNOTS) if moving else StaticDeformation()
    return SplineAdam(packed.clone().to(device), shape, config, 0.05)


def cuda_steps(
    objective: Objective, views: list[View], optimizer: SplineAdam, unseen=None, steps=24, deterministic=False,
    as_graph=True,
) -> CudaSteps:  # fmt: skip
    anchor = objective.terms[0].setup.anchor
    given = GivenViews([on_gpu(view) for view in views], objective.depth_kind, anchor)
    order = [step % len(views) for step in range(steps)]
    state = given_state(objective.config, given, order, unseen, deterministic=deterministic)
    return CudaSteps(optimizer, state, as_graph=as_graph)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("with_unseen", [False, True])
@pytest.mark.parametrize("ssim_weight", [0.0, 0.2])
@pytest.mark.parametrize("depth_kind", [None, "metric", "logdepth", "depth", "disparity"])
def test_a_step_is_the_cpus(depth_kind, ssim_weight, with_unseen, moving):
    objective, view, packed = step_problem(depth_kind, ssim_weight, with_unseen)
    view = replace(view, time=1.3)
    cpu, gpu = (optimizer_of(packed, objective.config, device, moving) for device in ("cpu", "cuda"))
    steps = cuda_steps(objective, [view], gpu, unseen_area() if with_unseen else None)
    expected = objective.evaluate(cpu.packed_at(view.time), view, 0)
    cpu.step(expected.grad, view.time, 0.0)
    log = steps.run(0, 1)
    assert log.terms.keys() == expected.terms.keys()
    assert log.terms == pytest.approx(expected.terms, rel=2e-4)
    assert log.loss == pytest.approx(expected.loss, rel=2e-4)
    assert log.squared_errors[0] == pytest.approx(expected.squared_error, rel=2e-4)
    assert gpu.base_steps == cpu.base_steps
    assert gpu.knot_steps == cpu.knot_steps
    pairs = [(gpu.base_moments.m, cpu.base_moments.m)]
    if moving:
        pairs.append((gpu.control_moments.m, cpu.control_moments.m))
    for mine, other in pairs:
        assert float(other.abs().max()) > 0
        for columns in ATTRIBUTES.values():
            off = (mine[..., columns].cpu() - other[..., columns]).abs().max()
            assert off <= 2e-3 * other[..., columns].abs().max()
    # Adam's first step is the sign of the gradient: where that is clear, the parameters agree.
    clear = cpu.base_moments.m.abs() > 1e-2 * cpu.base_moments.m.abs().amax(0)
    off = (gpu.base.cpu() - cpu.base).abs() / (gpu.base_rates.cpu() + 1e-12)
    assert off[clear].max() < 0.05


def parameters_after(steps: int, **options) -> tuple[torch.Tensor, torch.Tensor]:
    objective, view, packed = step_problem("logdepth", 0.2, True)
    views = [replace(view, time=0.4 + k, frame=k) for k in range(3)]
    optimizer = optimizer_of(packed, objective.config, "cuda")
    runner = cuda_steps(objective, views, optimizer, unseen_area(), deterministic=True, **options)
    for first in range(0, steps, 7):
        runner.run(first, min(7, steps - first))
    return optimizer.base, optimizer.deformation.control


def test_a_replayed_graph_does_what_the_kernels_do_one_by_one():
    replayed, eager = (parameters_after(24, as_graph=as_graph) for as_graph in (True, False))
    start = step_problem("logdepth", 0.2, True)[2]
    assert not torch.equal(replayed[0].cpu(), start)
    assert all(torch.equal(a, b) for a, b in zip(replayed, eager, strict=True))


def test_too_little_room_for_entries_is_made_up_for(monkeypatch):
    roomy = parameters_after(24)
    monkeypatch.setattr(CudaSteps, "_probe", lambda self: 64)
    tight = parameters_after(24)
    assert all(torch.equal(a, b) for a, b in zip(roomy, tight, strict=True))


def test_what_is_not_finite_stops_the_fit_and_is_not_taken_over():
    objective, view, packed = step_problem(None, 0.0, False)
    optimizer = optimizer_of(packed, objective.config, "cuda")
    steps = cuda_steps(objective, [view], optimizer)
    steps.run(0, 5)
    optimizer.base[3, LOG_SCALES] = torch.nan
    before = optimizer.deformation.control.clone()
    with pytest.raises(FitDiverged, match=r"step 5: a Gaussian is not finite"):
        steps.run(5, 5)
    assert torch.equal(optimizer.deformation.control, before)
    assert optimizer.base_steps == 5


def fit_on_gpu(clip, config=CONFIG, deformation="spline"):
    return new_fit(clip, config, deformation=deformation, device="cuda", deterministic=True)


@pytest.mark.parametrize("deformation", ["spline", "none"])
def test_the_loss_falls_and_the_cap_holds(clip, deformation):
    fit = fit_on_gpu(clip, replace(CONFIG, iterations=60), deformation=deformation)
    first = fit.advance(1).loss
    run_fit(fit, show=False)
    assert fit.step == 60
    assert fit.log[-1]["loss"] < 0.8 * first
    assert 150 * 0.8 < fit.optimizer.base.shape[0] <= CONFIG.gaussians_cap
    assert fit.psnr > 20


def test_resuming_is_bit_identical_when_asked_for(clip, tmp_path):
    whole = fit_on_gpu(clip)
    run_fit(whole, show=False)
    part = fit_on_gpu(clip)
    while part.step < 11:
        part.advance(11 - part.step)
    save_checkpoint(part.checkpoint(), tmp_path)
    again = fit_on_gpu(clip)
    again.restore(load_checkpoint(tmp_path))
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in ours)


def test_hidden_tissue_is_kept_rigid_between_captured_steps(tmp_path):
    """As on the processor: relaxations come after every fourth step."""

    clip = sliding_clip(tmp_path / "clip", frames=6).with_masks(InstrumentOnTheLeft())
    config = replace(CONFIG, iterations=40, rigidity_weight=0.5)
    gpu, cpu, without = (
        fit_on_gpu(clip, config), new_fit(clip, config), fit_on_gpu(clip, replace(config, rigidity_weight=0.0))
    )  # fmt: skip
    for fit in (gpu, cpu, without):
        run_fit(fit, show=False)
    assert isinstance(gpu.stepper, GraphSteps)
    assert gpu.psnr == pytest.approx(cpu.psnr, abs=0.5)
    assert not torch.equal(gpu.checkpoint().tensors["control"], without.checkpoint().tensors["control"])


def test_a_fit_of_ordinary_size_needs_less_than_two_gigabytes():
    """640 x 512, 100 000 Gaussians, 63 frames and as many control points as the default preset gives them."""
    height, width, count, frames = 512, 640, 100_000, 63
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    generator = torch.Generator().manual_seed(0)
    packed = torch.zeros(count, CHANNELS)
    packed[:, :2] = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) / 6
    packed[:, 2] = 100
    packed[:, 3] = 1
    packed[:, 7:10] = -0.5
    packed[:, 10] = 1
    packed[:, 11:] = torch.rand(count, 3, generator=generator)
    K = torch.tensor([[600.0, 0, 0], [0, 600, 0], [0, 0, 1]])
    camera = Camera(K, torch.eye(4), width, height)
    image = torch.randint(0, 255, (height, width, 3), dtype=torch.uint8, generator=generator)
    weight = torch.full((height, width), 255, dtype=torch.uint8)
    views = [View(float(k), camera, image.cuda().clone(), weight.cuda().clone(), k) for k in range(frames)]
    knots = Knots.evenly(0.0, 2.0, 32)
    config = FitConfig()
    optimizer = SplineAdam(packed.cuda(), SplineDeformation.at_rest(count, knots, "cuda"), config, 0.17)
    steps = CudaSteps(optimizer, given_state(config, GivenViews(views, "metric"), list(range(frames))))
    steps.run(0, 30)
    more = count // 5  # what an insertion adds
    optimizer.append(optimizer.base[:more].clone(), optimizer.deformation.control[:, :more].clone())
    steps.release()
    steps.run(30, 33)
    peak = torch.cuda.max_memory_allocated() - before
    print(f"peak {peak / 1e6:.0f} MB, room for {steps.capacity} entries")
    assert peak < 2e9


def test_reconstruct_on_the_gpu_is_as_good_as_on_the_cpu(tmp_path):
    frames = write_sliding_clip(tmp_path / "clip", frames=17)
    psnr = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        options = ["--preset", "fast", "--gaussians", "1500", "--iterations", "150", "--device", device]
        assert main(["reconstruct", str(frames), "--out", str(out), *options]) == 0
        psnr[device] = json.loads((out / "metrics.json").read_text())["mean"]["psnr"]
        used = json.loads((out / "run.json").read_text())["device"]
        assert used == ("cpu" if device == "cpu" else torch.cuda.get_device_name())
    assert psnr["cuda"] > psnr["cpu"] - 0.3
