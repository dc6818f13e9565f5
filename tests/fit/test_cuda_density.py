"""Bloop, normals and the peers' density control on an NVIDIA GPU: the steps that the captured graph does not know."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from samples.sliding_clip import sliding_clip
from samples.small_fits import CONFIG, new_fit

from endogs import native
from endogs.fit.eager_steps import EagerSteps
from endogs.fit.loop import run_fit

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from comparison.peers.adaptive import AdaptiveNumbers

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(bool(native.cuda_problem()), reason=f"no GPU can be used: {native.cuda_problem()}"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch has no CUDA"),
]
KINDS = {
    "adaptive": {"density": "adaptive", "density_numbers": AdaptiveNumbers(threshold=1e-6)},
    "bloop": {"balance": "bloop"},
    "normals": {"normal_weight": 0.05},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_takes_these_steps_one_by_one_and_comes_to_what_the_cpu_does(kind, tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    config = replace(CONFIG, iterations=40, **KINDS[kind])
    fits = [new_fit(clip, config, device=device) for device in ("cpu", "cuda")]
    for fit in fits:
        assert isinstance(fit.stepper, EagerSteps)
        run_fit(fit, show=False)
    cpu, gpu = fits
    assert gpu.optimizer.base.device.type == "cuda"
    assert gpu.optimizer.base.shape == cpu.optimizer.base.shape
    assert len(gpu.optimizer.base) == CONFIG.gaussians_cap
    assert gpu.psnr == pytest.approx(cpu.psnr, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_steps_gradient_is_the_cpus(kind, tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    results = []
    for device in ("cpu", "cuda"):
        fit = new_fit(clip, replace(CONFIG, **KINDS[kind]), device=device)
        results.append(fit.objective.evaluate(fit.optimizer.packed_at(0.0), fit.window[0], 0))
    cpu, gpu = results
    for name in ("grad", "auxiliary"):
        expected, found = getattr(cpu, name), getattr(gpu, name)
        assert (expected is None) == (found is None)
        if expected is not None:
            assert (found.cpu() - expected).abs().max() <= 1e-3 * expected.abs().max()
