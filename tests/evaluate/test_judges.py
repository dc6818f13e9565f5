"""Our image measures against other people's programs on the same images, and what they do at the edges."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from endogs.errors import InputError
from endogs.evaluate.metrics.flip import flip, flip_map, flip_pair
from endogs.evaluate.metrics.lpips import load_lpips
from endogs.evaluate.metrics.ms_ssim import ms_ssim


def pair(height=192, width=208, seed=0):
    """A smooth picture in uint8, and the same with noise, a red patch and a dark line."""
    generator = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(generator.random((height, width, 3)).astype(np.float32), (0, 0), 4)
    target = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    other = np.clip(target.astype(int) + generator.integers(-25, 25, target.shape), 0, 255).astype(np.uint8)
    other[30:60, 40:90] = [255, 20, 30]
    other[100:102] = 0
    return other, target


@pytest.mark.parametrize("seed", [0, 1])
def test_flip_is_the_authors(seed):
    judge = pytest.importorskip("flip_evaluator", reason="the FLIP authors' package is not installed")
    other, target = pair(seed=seed)
    as_floats = [(image / 255).astype(np.float32) for image in (target, other)]
    error, mean, _ = judge.evaluate(*as_floats, "LDR", applyMagma=False)
    assert flip(other, target) == pytest.approx(mean, abs=1e-4)
    np.testing.assert_allclose(flip_map(other, target), error[..., 0], atol=5e-4)


def test_flip_of_equal_images_is_zero_and_instruments_are_perfect():
    other, target = pair()
    assert flip(target, target) == 0
    assert flip(np.zeros_like(target), np.full_like(target, 255)) > 0.9
    mask = np.zeros(target.shape[:2], bool)
    mask[:, :100] = True
    whole, inside = flip_pair(other, target, mask)
    assert 0 < whole < inside, "what is zeroed in both images counts as equal"
    assert np.isnan(flip_pair(other, target, np.zeros_like(mask))[1])
    assert flip(other, target, mask) == whole


@pytest.mark.parametrize("size", [(192, 208), (512, 640)])
def test_ms_ssim_is_pytorch_msssims(size):
    judge = pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is not installed")
    other, target = pair(*size)
    tensors = [torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None] for image in (other, target)]
    assert ms_ssim(other, target) == pytest.approx(float(judge.ms_ssim(*tensors, data_range=1.0)), abs=1e-5)


def test_ms_ssim_needs_room_and_takes_odd_sizes():
    other, target = pair(513, 641)
    assert ms_ssim(target, target) == pytest.approx(1, abs=1e-6)
    even = ms_ssim(other[:512, :640], target[:512, :640])
    assert ms_ssim(other, target) == pytest.approx(even, abs=5e-3)
    assert np.isnan(ms_ssim(other[:160], target[:160]))
    mask = np.ones(target.shape[:2], bool)
    mask[20:70, 30:100] = False
    assert ms_ssim(other, target, mask) > ms_ssim(other, target), "the red patch is hidden"


class AlexNetFeatures(torch.nn.Sequential):
    """AlexNet's features in torchvision's layout, which is not installed here."""

    def __init__(self):
        conv, relu, pool = torch.nn.Conv2d, torch.nn.ReLU, torch.nn.MaxPool2d
        first = [conv(3, 64, 11, 4, 2), relu(), pool(3, 2), conv(64, 192, 5, 1, 2), relu(), pool(3, 2)]
        rest = [conv(192, 384, 3, 1, 1), relu(), conv(384, 256, 3, 1, 1), relu(), conv(256, 256, 3, 1, 1), relu()]
        super().__init__(*first, *rest)


def test_lpips_is_torchmetrics_with_the_same_weights(tmp_path, monkeypatch):
    judge = pytest.importorskip("torchmetrics.functional.image.lpips", reason="torchmetrics is not installed")
    torch.manual_seed(0)
    monkeypatch.setattr(judge, "_get_tv_model_features", lambda net, pretrained=False: AlexNetFeatures())
    net = judge._LPIPS(pretrained=False, net="alex", pnet_rand=True).eval()
    for layer in net.lins:
        torch.nn.init.uniform_(layer.model[1].weight, 0, 0.1)
    torch.save(net.state_dict(), tmp_path / "lpips.pth")
    other, target = pair(96, 128)
    a, b = (torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None] for image in (other, target))
    found = load_lpips(tmp_path / "lpips.pth")(other, target)
    with torch.no_grad():
        assert found["lpips_alex"] == pytest.approx(float(net(2 * a - 1, 2 * b - 1)), rel=1e-4)
        assert found["lpips_alex_unscaled"] == pytest.approx(float(net(a, b)), rel=1e-4)
    assert found["lpips_alex"] != pytest.approx(found["lpips_alex_unscaled"], rel=0.02), "two conventions, two numbers"


def tiny_weights(channels=4):
    generator = torch.Generator().manual_seed(1)
    weights, before = {}, 3
    for k, (number, side) in enumerate({0: 11, 3: 5, 6: 3, 8: 3, 10: 3}.items()):
        weights[f"features.{number}.weight"] = torch.randn(channels, before, side, side, generator=generator) / side
        weights[f"features.{number}.bias"] = torch.zeros(channels)
        weights[f"lin{k}.model.1.weight"] = torch.rand(1, channels, 1, 1, generator=generator)
        before = channels
    return weights


def test_lpips_weights_come_from_files_or_the_user_is_told(tmp_path):
    weights = tiny_weights()
    (tmp_path / "both").mkdir()
    save_file({k: v for k, v in weights.items() if "features" in k}, tmp_path / "both" / "alexnet.safetensors")
    torch.save({k: v for k, v in weights.items() if "lin" in k}, tmp_path / "both" / "linear.pth")
    other, target = pair(64, 70)
    metric = load_lpips(tmp_path / "both")
    assert metric(other, target)["lpips_alex"] > 0
    assert metric(target, target) == {"lpips_alex": 0, "lpips_alex_unscaled": 0}
    mask = np.zeros(target.shape[:2], bool)
    assert metric(other, target, mask)["lpips_alex"] == 0, "all is zeroed"
    assert np.isnan(metric(other[:40], target[:40])["lpips_alex"])

    with pytest.raises(InputError, match=r"lin0\.model\.1\.weight is missing"):
        load_lpips(tmp_path / "both" / "alexnet.safetensors")
    wrong = weights | {"features.3.weight": torch.zeros(4, 5, 5, 5)}
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(InputError, match=r"features.3.weight has the shape \(4, 5, 5, 5\)"):
        load_lpips(tmp_path / "wrong.safetensors")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_lpips(tmp_path / "text.pth")
    with pytest.raises(InputError, match="no LPIPS weights here"):
        load_lpips(tmp_path / "absent")
