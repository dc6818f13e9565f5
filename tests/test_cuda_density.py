"""Density control, Bloop, normals and bending on an NVIDIA GPU: the steps that the captured graph does not know."""

from dataclasses import replace

import pytest
import torch
from sliding_clip import sliding_clip
from test_fit_loop import CONFIG, new_fit

from endogs import native
from endogs.fit.config import McmcNumbers
from endogs.fit.loop import run_fit

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(bool(native.cuda_problem()), reason=f"no GPU can be used: {native.cuda_problem()}"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch has no CUDA"),
]
KINDS = {
    "absgrad": {"density": "absgrad"},
    "adaptive": {"density": "adaptive"},
    "mcmc": {"density": "mcmc", "mcmc": McmcNumbers(every=0.05)},
    "bloop": {"balance": "bloop"},
    "normals": {"normal_weight": 0.05},
    "bending": {"bending_weight": 0.02},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_takes_these_steps_one_by_one_and_comes_to_what_the_cpu_does(kind, tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    config = replace(CONFIG, iterations=40, **KINDS[kind])
    fits = [new_fit(clip, config, device=device) for device in ("cpu", "cuda")]
    for fit in fits:
        run_fit(fit, show=False)
        assert fit._cuda_steps is None
    cpu, gpu = fits
    assert gpu.optimizer.base.device.type == "cuda"
    assert gpu.optimizer.base.shape == cpu.optimizer.base.shape
    if "density" in KINDS[kind]:
        assert len(gpu.optimizer.base) > CONFIG.initial_gaussians
    assert gpu.psnr == pytest.approx(cpu.psnr, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_steps_gradient_is_the_cpus(kind, tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    results = []
    for device in ("cpu", "cuda"):
        fit = new_fit(clip, replace(CONFIG, **KINDS[kind]), device=device)
        fit._objective.watch_screen = True
        results.append(fit._objective.evaluate(fit.optimizer.packed_at(0.0), fit.views[0], 4.0))
    cpu, gpu = results
    for name in ("grad", "auxiliary", "screen_gradients"):
        expected, found = getattr(cpu, name), getattr(gpu, name)
        assert (expected is None) == (found is None)
        if expected is not None:
            assert (found.cpu() - expected).abs().max() <= 1e-3 * expected.abs().max()
