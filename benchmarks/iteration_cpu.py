"""Times every part of a fit's iteration beside the rasterizer alone, in one run.

    python benchmarks/iteration_cpu.py [--gaussians 30000 50000 100000] [--repeats 30]

One iteration: evaluate the spline, render, loss and image gradient (L1 over a mask), gradient of the Gaussians, and Adam on
the canonical Gaussians and the four active control points.
"""

import argparse
from datetime import date

import torch
from rasterize_cpu import HEIGHT, WIDTH, camera, median_ms, scene_with

from endogs import native
from endogs.fit.config import FitConfig
from endogs.fit.optimizer import SplineAdam
from endogs.fit.step import Objective
from endogs.fit.views import View
from endogs.scene.spline import Knots, SplineDeformation

KNOTS = Knots.over(0.0, 1.0, 1 / 30)


def make_view() -> View:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator)
    return View(0.51, camera(), image, torch.full((HEIGHT, WIDTH), 255, dtype=torch.uint8), None)


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
        packed, _ = scene_with(count, 25, 0.0)
        config = FitConfig()
        deformation = SplineDeformation(torch.zeros(KNOTS.count, count, 14), KNOTS)
        optimizer = SplineAdam(packed.clone(), deformation, config, 1e-6)  # steps too small to change the work
        view, kernels = make_view(), native.module()
        objective = Objective(config, "logdepth", None, None)
        planes, planes_grad = torch.empty(5, HEIGHT, WIDTH), torch.empty(5, HEIGHT, WIDTH)
        grad = torch.empty_like(packed)
        pose, K = view.camera.world_to_camera, view.camera.K

        def render(packed=packed, planes=planes, pose=pose, K=K):
            return native.module().render_forward(packed, pose, K, 0.01, False, None, planes)

        splats, bins, _ = render()

        def loss(planes=planes, view=view, planes_grad=planes_grad):
            return kernels.photometric_loss(planes, view.image, view.weight, None, None, 1e-6, 0.0, 0.0, planes_grad)

        def backward(packed=packed, splats=splats, bins=bins, planes=planes, planes_grad=planes_grad, grad=grad):
            kernels.render_backward(
                packed, pose, K, 0.01, False, None, planes, splats, bins, planes_grad, grad, None, None, None
            )

        def iteration(optimizer=optimizer, view=view, objective=objective):
            result = objective.evaluate(optimizer.packed_at(view.time), view)
            optimizer.step(result.grad, view.time, 0.5)

        loss()
        times = [
            median_ms(work, options.repeats)
            for work in (
                lambda optimizer=optimizer: optimizer.packed_at(0.51),
                render,
                loss,
                backward,
                lambda optimizer=optimizer, grad=grad: optimizer.step(grad * 0, 0.51, 0.5),
                iteration,
            )
        ]
        rasterizer = times[1] + times[3]
        cells = " | ".join(f"{t:.2f}" for t in times)
        print(f"| {count} | {cells} | {times[5] / rasterizer:.2f} |")


if __name__ == "__main__":
    main()
