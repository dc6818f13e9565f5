"""Several coloured anchors inside one Gaussian (ColorGS, arXiv 2508.18696) against more Gaussians, on single frames.

    python benchmarks/color_anchors.py IMAGE [IMAGE ...] [--width 64] [--gaussians 600] [--iterations 300]

Each image, shrunk to `--width`, is fitted by 2D Gaussians blended front to back, all pixels times all Gaussians in
plain torch: what the colours of K anchors can show does not depend on the third dimension or on the kernels. The
colour of a Gaussian at the whitened offset u from its centre is c + sum_k exp(-lambda |u - A_k|^2) c_k, with c, c_k,
A_k and lambda trained. Parameters are counted as in 3D: 14 a Gaussian, 5 K + 1 more with K anchors. Seconds are for
this torch code: ratios only.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

ANCHOR_RADIUS, START_SHARPNESS = 0.7, 0.5
"""Anchors start on a circle of so many standard deviations; lambda starts here, per squared standard deviation."""


def read(path: Path, width: int) -> Tensor:
    """(h, width, 3) sRGB in [0, 1]."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path} is not a picture")
    height = round(image.shape[0] * width / image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small[..., ::-1].copy()).float() / 255


def start(image: Tensor, count: int, anchors: int, seed: int) -> dict[str, Tensor]:
    """`count` Gaussians spread evenly over the image, in its colours."""
    height, width = image.shape[:2]
    generator = torch.Generator().manual_seed(seed)
    places = torch.quasirandom.SobolEngine(2, scramble=True, seed=seed).draw(count) * torch.tensor([width, height])
    pixel = places.long()
    spacing = (width * height / count) ** 0.5
    around = torch.arange(anchors) * 2 * torch.pi / max(anchors, 1)
    ring = ANCHOR_RADIUS * torch.stack([around.cos(), around.sin()], 1)
    return {
        "mean": places,
        "log_scale": torch.full((count, 2), float(np.log(0.6 * spacing))),
        "angle": 3 * torch.rand(count, generator=generator),
        "opacity": torch.full((count,), 1.4),
        "color": image[pixel[:, 1], pixel[:, 0]].clone(),
        "anchor": ring.repeat(count, 1, 1),
        "anchor_color": torch.zeros(count, anchors, 3),
        "log_sharpness": torch.full((count,), float(np.log(START_SHARPNESS))),
    }


RATES = {
    "mean": 0.1, "log_scale": 0.02, "angle": 0.02, "opacity": 0.05, "color": 0.01, "anchor": 0.02,
    "anchor_color": 0.01, "log_sharpness": 0.02,
}  # fmt: skip
"""Adam's step sizes; pixels for the means. They decay to a tenth."""


def draw(g: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """Colours (P, 3) at pixels (P, 2), Gaussians blended in the order of their index over black."""
    cos, sin = g["angle"].cos(), g["angle"].sin()
    offset = pixels[:, None] - g["mean"]
    inverse = (-g["log_scale"]).exp()
    u = (cos * offset[..., 0] + sin * offset[..., 1]) * inverse[:, 0]
    v = (cos * offset[..., 1] - sin * offset[..., 0]) * inverse[:, 1]
    alpha = (torch.sigmoid(g["opacity"]) * torch.exp(-0.5 * (u * u + v * v))).clamp_max(0.999)
    through = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha[:, :-1]], 1), 1)
    weight = alpha * through
    color = weight @ g["color"]
    sharpness = g["log_sharpness"].exp()
    for k in range(g["anchor"].shape[1]):
        near = torch.exp(-sharpness * ((u - g["anchor"][:, k, 0]) ** 2 + (v - g["anchor"][:, k, 1]) ** 2))
        color = color + (weight * near) @ g["anchor_color"][:, k]
    return color


def fit(image: Tensor, count: int, anchors: int, iterations: int, seed: int) -> tuple[float, float]:
    """PSNR in dB and seconds of a fit with the L1 loss."""
    height, width = image.shape[:2]
    grid = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    pixels, goal = torch.stack(grid, -1).reshape(-1, 2), image.reshape(-1, 3)
    g = {name: value.requires_grad_() for name, value in start(image, count, anchors, seed).items()}
    optimizer = torch.optim.Adam([{"params": [g[name]], "lr": rate} for name, rate in RATES.items()])
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / iterations))
    began = time.perf_counter()
    for _ in range(iterations):
        optimizer.zero_grad()
        (draw(g, pixels) - goal).abs().mean().backward()
        optimizer.step()
        decay.step()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        error = (draw(g, pixels).clamp(0, 1) - goal).square().mean()
    return float(-10 * torch.log10(error)), seconds


def main() -> None:
    """Fit each image with and without anchors, at equal parameters and at equal Gaussians; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="+")
    for name, value in (("width", 64), ("gaussians", 600), ("iterations", 300), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    counts = {k: round(args.gaussians * 14 / (14 + (5 * k + 1) * (k > 0))) for k in (0, 2, 4)}
    for path in args.images:
        image = read(path, args.width)
        print(f"{path.name}, {image.shape[1]}x{image.shape[0]}")
        rows = [(0, counts[0]), (2, counts[2]), (4, counts[4])]  # as many numbers
        rows += [(0, counts[2]), (0, counts[4])]  # as many Gaussians as those with anchors
        rows += [(2, counts[0]), (0, round(counts[0] ** 2 / counts[2]))]  # as many numbers again
        for anchors, count in rows:
            psnr, seconds = fit(image, count, anchors, args.iterations, args.seed)
            size = count * (14 + (5 * anchors + 1) * (anchors > 0))
            print(f"  {anchors} anchors, {count} Gaussians, {size} numbers: {psnr:.2f} dB, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
