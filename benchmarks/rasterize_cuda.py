"""Times the GPU's rasterizer and training step beside gsplat's, and both beside the work that cannot be avoided.

    python benchmarks/rasterize_cuda.py [--repeats 50]

Three times per scene, each for both in the same run: drawing colour, depth and alpha; drawing and the gradient by every
attribute through autograd; and a whole training iteration (spline deformation, drawing, L1 over tissue, gradients, Adam
on the canonical Gaussians and four control points). Ours is the captured graph of a fit; gsplat's is what its users
write: deformation and loss in torch, torch's fused Adam. Ours reads its progress back every 50 steps, as a fit does.

The floor of an iteration adds up two times that follow one another: 45 flops forward and 100 backward for every (pixel,
Gaussian) pair with alpha >= 1/255 at the float32 rate of a matrix product measured here, and every byte that must move
at least once at the rate of a copy measured here: parameters and moments in and out, the control points once more for
the spline, packed rows and splats out and in, image planes and their gradients out and in.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import torch
from rasterize_cpu import BACKWARD_FLOPS, FORWARD_FLOPS, HEIGHT, WIDTH, camera, scene_with
from rasterize_cpu import median_ms as host_ms

from endogs.fit.config import FitConfig, LearningRates
from endogs.fit.cuda_steps import CudaSteps
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.view import View
from endogs.render.native import render_planes
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation

SCENES = [(50_000, 25), (120_000, 30), (200_000, 40), (1_000_000, 60)]
"""Gaussians, and contributing pairs per pixel."""
KNOTS = Knots.over(0.0, 1.0, 1 / 8)
ROW = 14 * 4
BYTES_PER_GAUSSIAN = 5 * 6 * ROW + 5 * ROW + 2 * ROW + 2 * 48
BYTES_PER_PIXEL = 4 + 4 * 5 * 4


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median over `repeats` of the host's time until the GPU is done."""
    return host_ms(work, repeats, torch.cuda.synchronize)


class OneView:
    """The views of a fit that has one."""

    depth_kind = "metric"
    anchor = None

    def __init__(self, view: View) -> None:
        self.view = view

    def __getitem__(self, index: int) -> View:
        return self.view

    def prepare(self, indices: object) -> None:
        """It is always ready."""
        del indices


def one_views_state(config: FitConfig, view: View, deterministic: bool) -> Any:
    """As much of a fit's state as the captured steps look at."""
    return SimpleNamespace(
        config=config,
        views=OneView(view),
        order=[0] * config.iterations,
        step=0,
        unseen=None,
        deterministic=deterministic,
        objective=Objective(terms_of(TermSetup(config, "metric", None, None)), config, "metric"),
        maps=ResidualMaps.empty(1, HEIGHT, WIDTH, "cuda"),
    )


def our_iteration(packed: torch.Tensor, view: View, repeats: int, deterministic: bool) -> float:
    """Milliseconds of a step, in runs of 50 as a fit takes them, with rates of 0: the same scene every time."""
    still = LearningRates(0.0, 0.0, 0.0, 0.0, 0.0, 0.5)
    config = replace(FitConfig(), base_rates=still, control_rates=still, iterations=50 * (repeats + 4))
    deformation = SplineDeformation.at_rest(len(packed), KNOTS, "cuda")
    optimizer = SplineAdam(packed.clone(), deformation, config, 1.0)
    runner = CudaSteps(optimizer, one_views_state(config, view, deterministic))
    at = iter(range(0, config.iterations, 50))
    return median_ms(lambda: runner.run(next(at), 50), repeats) / 50


def gsplat_iteration(packed: torch.Tensor, view: View, repeats: int) -> float:
    """Milliseconds of the same step as gsplat's users write it."""
    base = packed.clone().requires_grad_()
    control = [torch.zeros_like(packed).requires_grad_() for _ in range(4)]
    optimizer = torch.optim.Adam([base, *control], lr=0.0, fused=True)
    weights = KNOTS.locate(view.time)[1]
    truth, weight = view.image.float() / 255, (view.weight.float() / 255)[..., None]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        moved = base
        for w, c in zip(weights, control, strict=True):
            moved = moved + w * c
        rendering = gsplat_color(moved, view)
        loss = ((rendering - truth).abs() * weight).mean()
        loss.backward()
        optimizer.step()

    return median_ms(step, repeats)


def gsplat_color(packed: torch.Tensor, view: View) -> torch.Tensor:
    """Colour (H, W, 3) of gsplat's rendering."""
    return gsplat_planes(packed, view)[0][0, ..., :3]


def gsplat_planes(packed: torch.Tensor, view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """gsplat's own call, without endogs' input checks, which wait for the GPU: colour and depth, and alpha."""
    from gsplat import rasterization

    planes, alphas, _ = rasterization(
        packed[:, :3],
        packed[:, 3:7],
        packed[:, 7:10].exp(),
        packed[:, 10].sigmoid(),
        packed[:, 11:14],
        view.camera.world_to_camera[None],
        view.camera.K[None],
        WIDTH,
        HEIGHT,
        render_mode="RGB+D",
        packed=False,
    )
    return planes, alphas


def rates() -> tuple[float, float]:
    """Float32 flop/s of a matrix product, and bytes/s of a copy, read and written, on this GPU."""
    a = torch.randn(8192, 8192, device="cuda")
    torch.backends.cuda.matmul.allow_tf32 = False
    flops = 2 * 8192**3 / (1e-3 * median_ms(lambda: a @ a, 10))
    big = torch.randn(2**29, device="cuda")
    into = torch.empty_like(big)
    return flops, 2 * 4 * 2**29 / (1e-3 * median_ms(lambda: into.copy_(big), 10))


def measure(count: int, per_pixel: int, repeats: int) -> str:
    scene, pairs = scene_with(count, per_pixel, 0.0)
    packed = scene.cuda()
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator).cuda()
    full = torch.full((HEIGHT, WIDTH), 255, dtype=torch.uint8, device="cuda")
    view = View(0.51, camera().to("cuda"), image, full, None)
    on_host = camera()
    upstream = torch.randn((5, HEIGHT, WIDTH), generator=generator).cuda()
    leaf = packed.clone().requires_grad_()

    def gsplat_both() -> None:
        torch.autograd.grad(gsplat_planes(leaf, view), leaf, [up_planes, up_alphas])

    up_planes = upstream[:4].permute(1, 2, 0)[None].contiguous()
    up_alphas = upstream[4:].permute(1, 2, 0)[None].contiguous()
    with torch.no_grad():
        ours_forward = median_ms(lambda: render_planes(packed, on_host), repeats)
        their_forward = median_ms(lambda: gsplat_color(packed, view), repeats)
    ours_both = median_ms(lambda: torch.autograd.grad(render_planes(leaf, on_host), leaf, upstream), repeats)
    their_both = median_ms(gsplat_both, repeats)
    ours_step = our_iteration(packed, view, 10, False)
    ordered_step = our_iteration(packed, view, 6, True)
    their_step = gsplat_iteration(packed, view, repeats)
    flops, bandwidth = rates()
    arithmetic = 1e3 * pairs * (FORWARD_FLOPS + BACKWARD_FLOPS) / flops
    memory = 1e3 * (count * BYTES_PER_GAUSSIAN + WIDTH * HEIGHT * BYTES_PER_PIXEL) / bandwidth
    floor = arithmetic + memory
    return (
        f"| {count} | {pairs / WIDTH / HEIGHT:.0f} | {ours_forward:.3f} | {their_forward:.3f} "
        f"| {their_forward / ours_forward:.1f} | {ours_both:.3f} | {their_both:.3f} | {their_both / ours_both:.1f} "
        f"| {ours_step:.3f} | {their_step:.3f} | {their_step / ours_step:.1f} | {ordered_step / ours_step:.2f} "
        f"| {floor:.3f} | {100 * floor / ours_step:.0f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    flops, bandwidth = rates()
    name = torch.cuda.get_device_name()
    print(f"{date.today()}  {name}  torch {torch.__version__}  {flops / 1e12:.1f} TFLOP/s  {bandwidth / 1e12:.2f} TB/s")
    print("Milliseconds at 640 x 512; `x` is gsplat's time over ours.")
    print("| Gaussians | per pixel | forward | gsplat | x | + backward | gsplat | x | iteration | gsplat | x ", end="")
    print("| in fixed order / not | floor | reached |")
    print("|" + "---|" * 14)
    for count, per_pixel in SCENES:
        print(measure(count, per_pixel, options.repeats), flush=True)


if __name__ == "__main__":
    main()
