"""The compiled kernels of the fit's inner loop against float64 torch, on sizes that no vector length divides.

Tolerances are those of float32 arithmetic (unit roundoff u = 2^-24), stated beside each comparison; the reference gets
the very numbers that the kernel gets.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.gaussian_scenes import make_scene
from samples.step_problem import random, step_problem

from endogs import native
from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import photometric_loss
from endogs.fit.optimize.spline_adam import BETAS, Slice, adam_slice, adam_slices
from endogs.gaussians import CHANNELS
from endogs.render import Rendering
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import spline_evaluate

pytestmark = pytest.mark.skipif(not native.available(), reason="endogs was installed without its compiled part")

SETS = native.instruction_sets() if native.available() else ["none"]
COUNTS = (0, 1, 7, 1003)
SEVERAL_CHUNKS = 2057
"""Rows that two threads share: a chunk has 1024."""
SIZES = ((1, 1), (5, 3), (37, 53))
"""Height and width; a chunk has 8 rows."""
UNIT = Knots.evenly(0.0, 1.0, 1)
U = 2.0**-24


@pytest.fixture(autouse=True)
def _restored():
    """Leaves the kernels as they were."""
    chosen, threads = native.instruction_set(), native.threads()
    yield
    native.use_instruction_set(chosen)
    native.set_threads(threads)


@pytest.fixture(params=SETS)
def _each_set(request):
    native.use_instruction_set(request.param)


# Spline


@pytest.mark.usefixtures("_each_set")
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fraction", [0.0, 0.37, 1.0])
def test_spline_equals_float64(count, fraction):
    base, control, weights = random(count, CHANNELS), random(4, count, CHANNELS, seed=1), UNIT.locate(fraction)[1]
    ours = spline_evaluate(base, control, weights)
    truth = spline_evaluate(base.double(), control.double(), weights)
    size = base.abs() + sum(w * c.abs() for w, c in zip(weights, control, strict=True))
    # A weight is rounded, and each of four additions rounds once.
    assert ((ours - truth).abs() <= 6 * U * size).all()


# Adam


def adam_problem(count: int, slices: int) -> tuple[list[Slice], torch.Tensor]:
    """Slices with moments of earlier steps and their own step counts; the first row has never had a gradient."""
    made = []
    for i in range(slices):
        m, v = random(count, CHANNELS, seed=3 * i + 1), random(count, CHANNELS, seed=3 * i + 2, low=0.01)
        m[:1], v[:1] = 0, 0
        rate = 10 ** random(CHANNELS, seed=100 + i, low=-4, high=-1)
        made.append(Slice(random(count, CHANNELS, seed=3 * i), m, v, (1.0, 0.6, 0.3, 0.02)[i % 4], rate, 1 + 5 * i))
    grad = random(count, CHANNELS, seed=99)
    grad[:1] = 0
    return made, grad


@pytest.mark.usefixtures("_each_set")
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("slices", [1, 5, 8])
def test_adam_equals_float64(count, slices):
    ours, grad = adam_problem(count, slices)
    truth = [replace(s, param=s.param.double(), m=s.m.double(), v=s.v.double(), lr=s.lr.double()) for s in ours]
    before = [s.param.clone() for s in ours]
    # The kernel takes betas in float32; 1 - 0.999 in float32 would otherwise show as 1e-5 of v.
    betas = tuple(float(np.float32(b)) for b in BETAS)
    adam_slices(ours, grad, betas)
    for mine, exact, start in zip(ours, truth, before, strict=True):
        weight = float(np.float32(exact.weight))
        adam_slice(exact.param, exact.m, exact.v, grad.double() * weight, exact.lr, exact.step, betas)
        scaled = grad.abs() * weight
        assert ((mine.m - exact.m).abs() <= 6 * U * (exact.m.abs() + scaled)).all()
        assert ((mine.v - exact.v).abs() <= 6 * U * exact.v).all()
        # m may cancel, so its error is measured in units of what it is made of; then the parameter itself is rounded.
        spread = (exact.v / (1 - betas[1] ** exact.step)).sqrt().clamp_min(1e-30)
        update = exact.lr / (1 - betas[0] ** exact.step) * (exact.m.abs() + scaled) / spread
        assert ((mine.param - exact.param).abs() <= 16 * U * update + U * (start.abs() + update)).all()
        assert torch.equal(mine.param[:1], start[:1])


# Photometric loss


def loss_problem(size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """An image over noise, with pixels that are thinly covered, empty, unweighted, half weighted, of unknown depth."""
    height, width = size
    truth = random(height, width, 3, seed=1, low=0, high=255).to(torch.uint8)
    planes = torch.empty(5, height, width)
    planes[:3] = (truth / 255).movedim(-1, 0) + 0.1 * random(3, height, width, seed=2)
    planes[4] = random(height, width, seed=3, low=0.3, high=1)
    planes[3] = planes[4] * random(height, width, seed=4, low=50, high=90)
    depth = random(height, width, seed=5, low=50, high=90)
    weights = torch.tensor([0, 51, 128, 255], dtype=torch.uint8)
    color_weight = weights[(random(height, width, seed=6, low=0, high=3.99)).long()]
    depth_weight = weights[(random(height, width, seed=7, low=0, high=3.99)).long()]
    if height * width > 100:
        planes[:, 3:6, 4:9] = 0
        truth[4, 5] = 0  # drawn and true black: no gradient
        depth[20:24, 30:34] = 0
        color_weight[10:20, 10:20] = 0
    else:
        color_weight[0, 0] = depth_weight[0, 0] = 255
        planes[4, 0, 0] = 0.9
    return {
        "planes": planes,
        "truth": truth,
        "color_weight": color_weight,
        "depth": depth,
        "depth_weight": depth_weight,
    }


def run_loss(problem, color_scale, ssim_scale, depth_scale, with_depth):
    """The kernel's terms and gradient (5, H, W), which it must fill completely."""
    grad = torch.full_like(problem["planes"], float("nan"))
    depth = (problem["depth"], problem["depth_weight"]) if with_depth else (None, None)
    terms = native.module().photometric_loss(
        problem["planes"],
        problem["truth"],
        problem["color_weight"],
        *depth,
        color_scale,
        ssim_scale,
        depth_scale,
        grad,
    )
    return terms, grad


@pytest.mark.usefixtures("_each_set")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ssim_weight", [0.0, 0.2])
def test_color_loss_equals_float64(size, ssim_weight):
    problem = loss_problem(size)
    planes = problem["planes"].double().requires_grad_()
    weight = problem["color_weight"].double() / 255
    config = FitConfig(ssim_weight=ssim_weight)
    rendering = Rendering(planes[:3].movedim(0, -1), planes[3], planes[4])
    loss, terms = photometric_loss(rendering, problem["truth"], weight, config)
    loss.backward()
    seen = float(weight.sum())
    scales = (1 - ssim_weight) / (3 * seen), ssim_weight / (3 * seen)
    (absolute, squared, dissimilarity, depth), grad = run_loss(problem, *scales, 0.0, False)

    assert absolute / (3 * seen) == pytest.approx(terms["l1"], rel=1e-5)
    error = planes.detach()[:3].movedim(0, -1) - problem["truth"] / 255
    assert squared == pytest.approx(float((error.square() * weight[..., None]).sum()), rel=1e-5)
    assert depth == 0
    assert (grad[3:] == 0).all()
    if ssim_weight:
        # The variances are differences of second moments, of which float32 keeps 1e-7.
        assert dissimilarity / (3 * seen) == pytest.approx(terms["dssim"], abs=2e-5)
    else:
        assert dissimilarity == 0
    tolerance = (1e-4 if ssim_weight else 4 * U) * planes.grad.abs().max()
    assert ((grad - planes.grad).abs() <= tolerance).all()


@pytest.mark.usefixtures("_each_set")
@pytest.mark.parametrize("size", SIZES)
def test_depth_loss_equals_float64(size):
    problem = loss_problem(size)
    planes = problem["planes"].double().requires_grad_()
    known = (planes[4] > 0.5) & (planes[3] > 0) & (problem["depth"] > 0)
    weight = (problem["depth_weight"].double() / 255)[known]
    assert weight.sum() > 0
    inverse = planes[4][known] / planes[3][known]
    truth = ((inverse - 1 / problem["depth"].double()[known]).abs() * weight).sum()
    (60.0 * truth).backward()
    (_, _, _, depth), grad = run_loss(problem, 0.0, 0.0, 60.0, True)
    assert depth == pytest.approx(float(truth.detach()), rel=1e-4)
    assert (grad[:3] == 0).all()
    for plane in (3, 4):
        assert ((grad - planes.grad).abs()[plane] <= 8 * U * planes.grad[plane].abs()).all()


# Threads and instruction sets


def everything() -> list[torch.Tensor]:
    """What each kernel computes, on inputs large enough to be shared by threads."""
    base, control = random(SEVERAL_CHUNKS, CHANNELS), random(4, SEVERAL_CHUNKS, CHANNELS, seed=1)
    found = [spline_evaluate(base, control, UNIT.locate(0.37)[1])]
    slices, grad = adam_problem(SEVERAL_CHUNKS, 5)
    adam_slices(slices, grad)
    found += [tensor for s in slices for tensor in (s.param, s.m, s.v)]
    terms, image_grad = run_loss(loss_problem((37, 53)), 1.0, 0.5, 60.0, True)
    return [*found, torch.tensor(terms, dtype=torch.float64), image_grad]


@pytest.mark.usefixtures("_each_set")
def test_threads_change_no_bit():
    native.set_threads(1)
    alone = everything()
    for threads in (2, 3):
        native.set_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(alone, everything(), strict=True))


# Refusals


def test_wrong_shapes_are_named():
    kernels, rows = native.module(), torch.zeros
    with pytest.raises(ValueError, match=r"rows must be \(N, 14\)"):
        kernels.spline_forward(rows(3, 13), rows(4, 3, 14), [0.0] * 4, rows(3, 14))
    with pytest.raises(ValueError, match=r"rows must be \(N, 14\)"):
        kernels.spline_forward(rows(3, 14), rows(4, 3, 14), [0.0] * 4, rows(2, 14))
    with pytest.raises(ValueError, match=r"control points must be \(4, N, 14\)"):
        kernels.spline_forward(rows(3, 14), rows(3, 3, 14), [0.0] * 4, rows(3, 14))
    with pytest.raises(ValueError, match="4 weights"):
        kernels.spline_forward(rows(3, 14), rows(4, 3, 14), [0.0] * 3, rows(3, 14))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": []}, "between 1 and 8 slices"),
        ({"parameters": [torch.zeros(3, 14)] * 9}, "between 1 and 8 slices"),
        ({"second": []}, "one of everything per slice"),
        ({"gradient_scale": [1.0, 1.0]}, "one of everything per slice"),
        ({"rates": torch.zeros(1, 13)}, "one of everything per slice"),
        ({"gradient": torch.zeros(3, 13)}, r"rows must be \(N, 14\)"),
        ({"first": [torch.zeros(2, 14)]}, "slices must have the gradient's shape"),
    ],
)
def test_wrong_adam_arguments_are_named(change, message):
    arguments = {
        "parameters": [torch.zeros(3, 14)],
        "first": [torch.zeros(3, 14)],
        "second": [torch.zeros(3, 14)],
        "gradient": torch.zeros(3, 14),
        "gradient_scale": [1.0],
        "rates": torch.zeros(1, 14),
        "first_correction": [1.0],
        "second_correction": [1.0],
    }
    with pytest.raises(ValueError, match=message):
        native.module().adam_step(**(arguments | change), beta1=0.9, beta2=0.999, eps=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(4, 3, 5)}, "at least 5 planes"),
        ({"image": torch.zeros(6, 3, 5)}, "the 5 planes alone"),
        ({"image_grad": torch.zeros(5, 5, 3)}, "the gradient must have the image's shape"),
        ({"target": torch.zeros(5, 3, 3, dtype=torch.uint8)}, r"target must be \(H, W, 3\)"),
        ({"target": torch.zeros(3, 5, 4, dtype=torch.uint8)}, r"target must be \(H, W, 3\)"),
        ({"color_weight": torch.zeros(3, 4, dtype=torch.uint8)}, r"color_weight must be \(H, W\)"),
        ({"depth_target": torch.zeros(3, 5)}, "both a target and a weight"),
        (
            {"depth_target": torch.zeros(3, 4), "depth_weight": torch.zeros(3, 5, dtype=torch.uint8)},
            r"depth arrays must be \(H, W\)",
        ),
    ],
)
def test_wrong_loss_arguments_are_named(change, message):
    arguments = {
        "image": torch.zeros(5, 3, 5),
        "target": torch.zeros(3, 5, 3, dtype=torch.uint8),
        "color_weight": torch.zeros(3, 5, dtype=torch.uint8),
        "depth_target": None,
        "depth_weight": None,
        "image_grad": torch.zeros(5, 3, 5),
    }
    with pytest.raises(ValueError, match=message):
        native.module().photometric_loss(**(arguments | change), color_scale=1.0, ssim_scale=1.0, depth_scale=1.0)


def test_unknown_instruction_sets_and_no_threads_are_refused():
    with pytest.raises(ValueError, match="no instruction set named mmx"):
        native.use_instruction_set("mmx")
    for count in (0, -1, 2000):
        with pytest.raises(ValueError, match=r"threads must be in 1\.\.1024"):
            native.set_threads(count)


def render_forward(scene, size):
    image = torch.empty(5, *size)
    camera = scene.camera
    splats, bins, _ = native.module().render_forward(
        scene.packed, camera.world_to_camera, camera.K, camera.near, False, None, image
    )
    return image, splats, bins


def render_backward(scene, image, splats, bins):
    camera, grad = scene.camera, torch.empty_like(scene.packed)
    native.module().render_backward(
        scene.packed, camera.world_to_camera, camera.K, camera.near, False, None, image, splats, bins,
        torch.ones_like(image), grad, None, None, None,
    )  # fmt: skip
    return grad


@pytest.mark.skipif(len(SETS) < 2, reason="this machine has one instruction set")
def test_state_of_another_instruction_set_is_refused():
    scene = make_scene("ordinary", 17, (33, 17), seed=0).to(torch.float32)
    native.use_instruction_set(SETS[0])
    state = render_forward(scene, (17, 33))
    native.use_instruction_set(SETS[-1])
    with pytest.raises(ValueError, match="instruction set changed"):
        render_backward(scene, *state)
    native.use_instruction_set(SETS[0])
    assert render_backward(scene, *state).abs().max() > 0


def test_state_of_another_image_is_refused():
    scene = make_scene("ordinary", 17, (33, 17), seed=0).to(torch.float32)
    image, splats, bins = render_forward(scene, (17, 33))
    with pytest.raises(ValueError, match="an image of another size"):
        render_backward(scene, torch.zeros(5, 64, 64), splats, bins)
    fewer = replace(scene, packed=scene.packed[:5].contiguous())
    with pytest.raises(ValueError, match="another number of Gaussians"):
        render_backward(fewer, image, splats, bins)
    with pytest.raises(ValueError, match="two forward passes"):
        render_backward(scene, image, splats, render_forward(scene, (17, 33))[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packed": torch.zeros(17, 13)}, r"packed Gaussians must be \(N, 14\)"),
        ({"image_grad": torch.zeros(5, 33, 17)}, "the image and its gradient"),
        ({"packed_grad": torch.zeros(16, 14)}, "packed_grad"),
        ({"pose_grad": torch.zeros(3, 3, dtype=torch.float64)}, "pose_grad"),
        ({"features": torch.zeros(17, 2)}, "5 planes and one per feature"),
        ({"features_grad": torch.zeros(17, 2)}, "features_grad"),
        ({"absolute_grad": torch.zeros(16)}, "absolute_grad"),
        ({"world_to_camera": torch.eye(3)}, "world_to_camera"),
        ({"K": torch.eye(4)}, "K must be"),
        ({"bins": torch.zeros(9, dtype=torch.uint8)}, "bins are not what a forward pass left"),
        ({"splats": torch.zeros(9, dtype=torch.uint8)}, "splats are not what this forward pass left"),
    ],
)
def test_a_backward_pass_never_writes_beside_its_arrays(change, message):
    scene = make_scene("ordinary", 17, (33, 17), seed=0).to(torch.float32)
    image, splats, bins = render_forward(scene, (17, 33))
    arguments = {
        "packed": scene.packed,
        "world_to_camera": scene.camera.world_to_camera,
        "K": scene.camera.K,
        "features": None,
        "image": image,
        "splats": splats,
        "bins": bins,
        "image_grad": torch.ones_like(image),
        "packed_grad": torch.empty_like(scene.packed),
        "pose_grad": None,
        "features_grad": None,
        "absolute_grad": None,
    }
    with pytest.raises(ValueError, match=message):
        native.module().render_backward(**(arguments | change), near=0.1, antialiased=False)


# The fused step


@pytest.mark.usefixtures("_each_set")
@pytest.mark.parametrize("with_unseen", [False, True])
@pytest.mark.parametrize("ssim_weight", [0.0, 0.2])
@pytest.mark.parametrize("depth_kind", [None, "metric", "logdepth"])
@pytest.mark.parametrize("step", [0, 1])
def test_the_fused_step_equals_the_autograd_step(depth_kind, ssim_weight, with_unseen, step):
    objective, view, packed = step_problem(depth_kind, ssim_weight, with_unseen)
    fused = objective.evaluate(packed, view, step)
    slow = objective.by_autograd(packed.clone().requires_grad_(), view, step)
    assert fused.terms.keys() == slow.terms.keys()
    assert fused.terms == pytest.approx(slow.terms, rel=2e-5)
    assert fused.loss == pytest.approx(slow.loss, rel=2e-5)
    assert fused.squared_error == pytest.approx(slow.squared_error, rel=2e-5)
    assert torch.equal(fused.color, slow.color)
    assert torch.allclose(fused.depth, slow.depth, rtol=4 * U, atol=0)
    for channel in range(CHANNELS):
        mine, exact = fused.grad[:, channel], slow.grad[:, channel]
        assert ((mine - exact).abs() <= 1e-4 * exact.abs().max()).all()
    assert slow.grad.abs().max() > 0
