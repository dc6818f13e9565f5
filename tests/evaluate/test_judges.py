"""Our image measures against other people's programs on the same images, and what they do at the edges."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation

from endogs.errors import InputError
from endogs.evaluate.metrics.flip import flip, flip_map, flip_pair
from endogs.evaluate.metrics.lpips import load_lpips
from endogs.evaluate.metrics.ms_ssim import ms_ssim
from endogs.evaluate.metrics.trajectory import read_true_cameras, scene_trajectory_errors, trajectory_errors


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


def path_of(count=30, seed=0):
    """A winding trajectory, T_world_camera (n, 4, 4), and a drifting, turned, shifted and scaled estimate of it."""
    generator = np.random.default_rng(seed)
    turns = np.cumsum(generator.normal(0, 0.05, (count, 3)), 0)
    true = np.tile(np.eye(4), (count, 1, 1))
    true[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    true[:, :3, 3] = np.cumsum(generator.normal(0, 2, (count, 3)), 0)
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix()
    moved[:3, 3] = [40, -7, 12]
    estimated = moved @ true
    estimated[:, :3, 3] = 1.3 * estimated[:, :3, 3] + generator.normal(0, 0.3, (count, 3))
    noise = Rotation.from_rotvec(generator.normal(0, 0.01, (count, 3))).as_matrix()
    estimated[:, :3, :3] = estimated[:, :3, :3] @ noise
    return estimated, true


@pytest.mark.parametrize("alignment", ["none", "rigid", "similarity"])
def test_trajectory_errors_are_evos(alignment):
    metrics = pytest.importorskip("evo.core.metrics", reason="evo is not installed")
    from evo.core.trajectory import PosePath3D

    estimated, true = path_of()
    found = trajectory_errors(estimated, true, alignment)
    reference, moved = (PosePath3D(poses_se3=list(poses.copy())) for poses in (true, estimated))
    if alignment != "none":
        moved.align(reference, correct_scale=alignment == "similarity")
    for relation, ours in (
        (metrics.PoseRelation.translation_part, found.rpe_translation_rmse),
        (metrics.PoseRelation.rotation_angle_deg, found.rpe_rotation_degrees_rmse),
    ):
        judge = metrics.RPE(relation, 1, metrics.Unit.frames)
        judge.process_data((reference, moved))
        assert ours == pytest.approx(judge.get_statistic(metrics.StatisticsType.rmse), rel=1e-6)
    judge = metrics.APE(metrics.PoseRelation.translation_part)
    judge.process_data((reference, moved))
    assert found.ate_rmse == pytest.approx(judge.get_statistic(metrics.StatisticsType.rmse), rel=1e-6)
    assert found.ate_median == pytest.approx(judge.get_statistic(metrics.StatisticsType.median), rel=1e-6)


def test_a_trajectory_file_is_matched_by_time(tmp_path):
    _, true = path_of(6)
    times = np.arange(6) / 10
    quats = Rotation.from_matrix(true[:, :3, :3]).as_quat()
    rows = [" ".join(map(str, (t, *p[:3, 3], *q))) for t, p, q in zip(times, true, quats, strict=True)]
    file = tmp_path / "poses.tum"
    file.write_text("# a comment\n" + "\n".join(reversed(rows)) + "\n")
    world_to_camera = np.linalg.inv(true)
    found = scene_trajectory_errors(read_true_cameras(file, times[1:]), world_to_camera[1:], "mm")
    assert (found.poses, found.alignment) == (5, "rigid")
    assert found.ate_rmse < 1e-6
    scaled = world_to_camera.copy()
    scaled[:, :3, 3] *= 2
    true = read_true_cameras(file, times)
    assert scene_trajectory_errors(true, scaled, "relative").ate_rmse < 1e-6, "relative scenes have no scale"
    assert scene_trajectory_errors(true, scaled, "mm").ate_rmse > 0.5
    with pytest.raises(InputError, match="times are not those"):
        read_true_cameras(file, times + 100)
    for text, message in (
        ("1 2 3\n", "not a TUM trajectory"),
        ("a b\n", "is not a TUM trajectory"),
        ("0 0 0 0 0 0 0 0", "zeros"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            read_true_cameras(file, times)
