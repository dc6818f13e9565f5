"""Times every part of a fit's iteration beside the rasterizer alone, in one run.

    python benchmarks/iteration_cpu.py [--gaussians 30000 50000 100000] [--repeats 30]

One iteration: evaluate the spline, render, loss and image gradient (L1 over a mask), gradient of the Gaussians, and
Adam on the canonical Gaussians and the four active control points.
"""

import argparse
from dataclasses import replace
from datetime import date

import torch
from rasterize_cpu import HEIGHT, WIDTH, camera, median_ms, scene_with

from endogs import native
from endogs.fit.config import FitConfig, LearningRates
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.view import View
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation

KNOTS = Knots.over(0.0, 1.0, 1 / 30)


def make_view() -> View:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator)
    return View(0.51, camera(), image, torch.full((HEIGHT, WIDTH), 255, dtype=torch.uint8), None)


def measure(count: int, repeats: int) -> list[float]:
    """Median milliseconds of spline, render, loss, backward and Adam, each alone, and of the whole iteration."""
    packed, _ = scene_with(count, 25, 0.0)
    still = LearningRates(0.0, 0.0, 0.0, 0.0, 0.0, 0.5)  # the same work, and the same scene every time
    config = replace(FitConfig(), base_rates=still, control_rates=still)
    deformation = SplineDeformation(torch.zeros(KNOTS.count, count, 14), KNOTS)
    optimizer = SplineAdam(packed.clone(), deformation, config, 1.0)
    view, kernels = make_view(), native.module()
    objective = Objective(terms_of(TermSetup(config, "logdepth", None, None)), config, "logdepth")
    planes, planes_grad = torch.empty(5, HEIGHT, WIDTH), torch.empty(5, HEIGHT, WIDTH)
    grad = torch.empty_like(packed)
    eye = (view.camera.world_to_camera, view.camera.K, 0.01, False, None)

    def render() -> tuple:
        return kernels.render_forward(packed, *eye, planes)

    splats, bins, _ = render()

    def loss() -> None:
        kernels.photometric_loss(planes, view.image, view.weight, None, None, 1e-6, 0.0, 0.0, planes_grad)

    def backward() -> None:
        kernels.render_backward(packed, *eye, planes, splats, bins, planes_grad, grad, None, None, None)

    def iteration() -> None:
        result = objective.evaluate(optimizer.packed_at(view.time), view, 0)
        optimizer.step(result.grad, view.time, 0.5)

    parts = (
        lambda: optimizer.packed_at(view.time),
        render,
        loss,
        backward,
        lambda: optimizer.step(grad, view.time, 0.5),
        iteration,
    )
    return [median_ms(part, repeats) for part in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gaussians", type=int, nargs="+", default=[30_000, 50_000, 100_000])
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{date.today()}  {native.threads()} threads  {native.instruction_set()}  25 per pixel")
    print("| Gaussians | spline ms | render ms | loss ms | backward ms | Adam ms | iteration ms | x rasterizer |")
    print("|---|---|---|---|---|---|---|---|")
    for count in options.gaussians:
        times = measure(count, options.repeats)
        cells = " | ".join(f"{t:.2f}" for t in times)
        print(f"| {count} | {cells} | {times[5] / (times[1] + times[3]):.2f} |")


if __name__ == "__main__":
    main()
