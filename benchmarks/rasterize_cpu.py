"""Times the CPU rasterizer against the arithmetic it cannot avoid, on this machine, in this run.

    python benchmarks/rasterize_cpu.py [--repeats 30] [--isa avx512|avx2|portable]

The floor counts 45 flops forward and 100 backward for every (pixel, Gaussian) pair with alpha >= 1/255, at the FMA rate
measured here a moment earlier on the same threads. Everything else (projection, sorting, binning, lanes of a SIMD block
outside the ellipse, memory) is overhead, and the ratio says how much.
"""

import argparse
import platform
import time
from collections.abc import Callable
from datetime import date

import torch

from endogs import native
from endogs.camera import Camera
from endogs.render.native import render_planes

WIDTH, HEIGHT = 640, 512
FORWARD_FLOPS, BACKWARD_FLOPS = 45, 100
SCENES = [(10_000, 25, 0.0), (30_000, 15, 0.0), (30_000, 25, 0.0), (30_000, 40, 0.0), (50_000, 25, 0.0)]
SCENES += [(100_000, 25, 0.0), (50_000, 38, 2.5)]
"""Gaussians, contributing pairs per pixel, mean opacity logit."""


def camera() -> Camera:
    K = torch.tensor([[570.0, 0, WIDTH / 2], [0, 570.0, HEIGHT / 2], [0, 0, 1]])
    return Camera(K, torch.eye(4), WIDTH, HEIGHT)


def make_scene(count: int, scale_px: float, opacity_logit: float) -> torch.Tensor:
    """Gaussians spread over a bumpy surface at depth 100, a little anisotropic, in random order."""
    generator = torch.Generator().manual_seed(count)
    uniform = torch.rand((count, 2), generator=generator)
    noise = torch.randn((count, 11), generator=generator)
    packed = torch.empty(count, 14)
    depth = 100 + 8 * torch.sin(6 * uniform[:, 0]) * torch.cos(5 * uniform[:, 1]) + noise[:, 0]
    packed[:, 0] = (uniform[:, 0] - 0.5) * WIDTH / 570 * depth
    packed[:, 1] = (uniform[:, 1] - 0.5) * HEIGHT / 570 * depth
    packed[:, 2] = depth
    packed[:, 3:7] = noise[:, 1:5]
    packed[:, 7:10] = torch.log(torch.tensor(scale_px * 100 / 570)) + 0.3 * noise[:, 5:8]
    packed[:, 10] = opacity_logit + noise[:, 8]
    packed[:, 11:14] = torch.rand((count, 3), generator=generator)
    return packed


def pairs_of(packed: torch.Tensor) -> int:
    view = camera()
    image = torch.empty(5, HEIGHT, WIDTH)
    splats, bins, _ = native.module().render_forward(packed, view.world_to_camera, view.K, 0.01, False, None, image)
    return int(native.module().contributing_pairs(splats, bins, WIDTH, HEIGHT))


def scene_with(count: int, per_pixel: float, opacity_logit: float) -> tuple[torch.Tensor, int]:
    """A scene whose pairs per pixel are within 2 % of what was asked, by scaling the Gaussians."""
    scale = 5.0
    for _ in range(12):
        packed = make_scene(count, scale, opacity_logit)
        pairs = pairs_of(packed)
        ratio = pairs / (WIDTH * HEIGHT) / per_pixel
        if abs(ratio - 1) < 0.02:
            break
        scale /= ratio**0.5
    return packed, pairs


def median_ms(work: Callable[[], object], repeats: int, wait: Callable[[], None] = lambda: None) -> float:
    """Median over `repeats` of the time until the work, and what `wait` waits for, is done."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]


def peak_flops() -> float:
    """Best of several bursts, in flop/s, on the threads in use."""
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        flops = native.module().peak_fma(4_000_000)
        best = max(best, flops / (time.perf_counter() - start))
    return best


def time_scene(packed: torch.Tensor, repeats: int) -> tuple[float, float]:
    """Forward and backward milliseconds through the torch operator."""
    view = camera()
    leaf = packed.clone().requires_grad_()
    upstream = torch.randn((5, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        forward = median_ms(lambda: render_planes(packed, view), repeats)
    planes = render_planes(leaf, view)
    backward = median_ms(lambda: torch.autograd.grad(planes, leaf, upstream, retain_graph=True), repeats)
    return forward, backward


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--isa", choices=native.instruction_sets(), default=native.instruction_set())
    options = parser.parse_args()
    native.use_instruction_set(options.isa)
    torch.set_num_threads(1)
    most = native.threads()
    print(f"{date.today()}  {platform.processor() or platform.machine()}  {most} threads  {options.isa}")
    peak = 0.0
    for threads in sorted({1, most}):
        native.set_threads(threads)
        peak = peak_flops()
        print(f"FMA peak on {threads} thread(s): {peak / 1e9:.0f} GFLOP/s")
    print("| Gaussians | per pixel | opacity | forward ms | backward ms | floor ms | x floor | 1 thread / all |")
    print("|---|---|---|---|---|---|---|---|")
    for count, per_pixel, logit in SCENES:
        packed, pairs = scene_with(count, per_pixel, logit)
        native.set_threads(1)
        single = sum(time_scene(packed, max(5, options.repeats // 3)))
        native.set_threads(most)
        peak = max(peak, peak_flops())  # a neighbour on the machine may have stolen from the first measurement
        floor = 1e3 * pairs * (FORWARD_FLOPS + BACKWARD_FLOPS) / peak
        forward, backward = time_scene(packed, options.repeats)
        total = forward + backward
        print(
            f"| {count} | {pairs / WIDTH / HEIGHT:.1f} | {logit:+.1f} | {forward:.2f} | {backward:.2f} | {floor:.2f} "
            f"| {total / floor:.2f} | {single / total:.2f} |"
        )


if __name__ == "__main__":
    main()
