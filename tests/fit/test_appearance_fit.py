"""Fits of appearances: the loss falls, runs resume bit for bit, exposures and light come out."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from samples.sliding_clip import write_sliding_clip
from samples.small_fits import CONFIG, new_fit

from endogs.cli import main
from endogs.clip import ClipOptions, load_clip
from endogs.errors import FitDiverged, InputError
from endogs.evaluate.metrics.metrics import psnr_masked
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import AppearanceConfig
from endogs.fit.loop import run_fit
from endogs.fit.setup import new_optimizer
from endogs.gaussians import COLORS, MEANS, OPACITY
from endogs.geometry import invert_rigid
from endogs.phantom.config import Phantom
from endogs.phantom.light import Lamp
from endogs.phantom.render import Studio
from endogs.render import rasterize
from endogs.scene.appearance import Light
from endogs.scene.appearance.color_space import linear_to_srgb, srgb_to_linear
from endogs.scene.relight import relit
from endogs.scene.scene_file import load_scene

LOOKS = {
    "sh": AppearanceConfig("sh", sh_degree=1),
    "lit": AppearanceConfig("lit"),
    "exposure": AppearanceConfig(exposure=True),
    "all": AppearanceConfig("lit", exposure=True),
}
GAINS = 2.0 ** np.array([0.4, 0.0, -0.5, -0.2, 0.3, 0.0])


def read(folder):
    return load_clip(folder, ClipOptions(focal=50.0, fps=10.0, ignore_rows=("36:40",)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return read(write_sliding_clip(tmp_path_factory.mktemp("clip"), frames=6))


@pytest.fixture(scope="module")
def flickering(tmp_path_factory):
    """The sliding clip, its light multiplied by GAINS."""
    folder = write_sliding_clip(tmp_path_factory.mktemp("clip"), frames=6)
    for file, gain in zip(sorted(folder.glob("*.png")), GAINS, strict=True):
        linear = srgb_to_linear(torch.from_numpy(cv2.imread(str(file)) / 255)) * gain
        cv2.imwrite(str(file), np.rint(linear_to_srgb(linear).clamp(0, 1).numpy() * 255))
    return read(folder)


@pytest.mark.parametrize("look", LOOKS)
def test_the_loss_falls_and_a_resumed_run_is_the_same_run(clip, look, tmp_path):
    config = replace(CONFIG, appearance=LOOKS[look])
    whole = new_fit(clip, config)
    before = {name: t.clone() for name, t in whole.optimizer.state().items() if name.startswith("appearance.")}
    first = whole.advance().loss
    run_fit(whole, show=False)
    assert whole.log[-1]["loss"] < 0.9 * first
    trained = [name for name in before if name.removeprefix("appearance.") in AppearanceConfig().rates()]
    after = whole.optimizer.state()
    assert trained
    for name in trained:  # Gaussians came and went, so rows are compared with what all of them began as
        assert (
            float((after[name] - (before[name] if name.endswith("lamp") else before[name][:1])).abs().max()) > 1e-4
        ), name

    part = new_fit(clip, config)
    for _ in range(11):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    again = new_fit(clip, config)
    again.restore(load_checkpoint(tmp_path))
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_two_fits_of_the_same_views_start_alike(flickering):
    fit = new_fit(flickering, replace(CONFIG, appearance=LOOKS["exposure"]))
    again = new_optimizer(flickering, fit.window, fit.config, torch.device("cpu"))
    assert torch.equal(again.base, fit.optimizer.base)
    assert torch.equal(again.appearance.appearance.exposure.values, fit.optimizer.appearance.appearance.exposure.values)
    plain = new_optimizer(flickering, fit.window, CONFIG, torch.device("cpu"))
    assert not torch.equal(plain.base[:, COLORS], fit.optimizer.base[:, COLORS])


def test_a_light_that_is_not_finite_is_told_and_not_taken_over(clip):
    fit = new_fit(clip, replace(CONFIG, appearance=LOOKS["lit"]))
    fit.advance()
    fit.optimizer.appearance._tensors["colors.gloss"].data[3] = float("nan")
    before = fit.optimizer.base.clone()
    with pytest.raises(FitDiverged, match=r"step 1.*gloss"):
        fit.advance()
    assert torch.equal(fit.optimizer.base, before)


def test_exposures_of_frames_at_one_time_are_refused(tmp_path):
    """Before anything is fitted, and not by a traceback when the first frame is shown."""
    clip = load_clip(write_sliding_clip(tmp_path, 6), ClipOptions(focal=50.0, fps=10.0))
    clip.times[3] = clip.times[2]
    with pytest.raises(InputError, match=r"same time.*--exposure"):
        new_fit(clip, replace(CONFIG, appearance=LOOKS["all"]))


def test_the_exposure_of_each_frame_is_recovered(flickering):
    config = replace(CONFIG, iterations=120)
    plain, ours = new_fit(flickering, config), new_fit(flickering, replace(config, appearance=LOOKS["exposure"]))
    run_fit(plain, show=False)
    run_fit(ours, show=False)
    values = ours.optimizer.appearance.appearance.exposure.values
    gain, bias = values[:, 0].exp().mean(1).numpy(), values[:, 1].mean(1).numpy()
    level = 0.45 * gain + bias
    truth = GAINS[[0, 2, 3, 4, 5]] ** (1 / 2.4) * (0.45 + 0.055) - 0.055
    np.testing.assert_allclose(level / level.mean(), truth / truth.mean(), atol=0.03)
    assert truth.std() / truth.mean() > 0.1
    assert ours.psnr > plain.psnr + 0.5


class MovedLamp(Studio):
    """A phantom whose lamp is not at the lens."""

    offset = np.zeros(3)

    def lamp_at(self, world_to_camera):
        lamp = super().lamp_at(world_to_camera)
        return Lamp(
            lamp.position + invert_rigid(world_to_camera)[:3, :3] @ self.offset, lamp.intensity, lamp.reference_distance
        )


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A folder with the clip of a moving camera and a lit scene fitted to it by the command line."""
    folder = tmp_path_factory.mktemp("phantom")
    run("phantom", folder / "clip", "--frames", 10, "--width", 96, "--height", 80, "--fps", 4, "--camera", "moving",
        "--instruments", 0)  # fmt: skip
    fit(folder, "lit", "--colors", "lit", "--exposure")
    return folder


def run(*words):
    assert main([str(word) for word in words]) == 0


def fit(folder, name, *words):
    run("reconstruct", folder / "clip", "--out", folder / name, "--preset", "fast", "--iterations", 160, "--gaussians",
        2500, *words)  # fmt: skip


def test_light_explains_distance_and_moves(phantom):
    fit(phantom, "plain")
    plain, lit = load_scene(phantom / "plain").steady(), load_scene(phantom / "lit").steady()
    slopes = []
    for scene in (plain, lit):
        packed = scene.packed_at(0.0)
        green = srgb_to_linear(packed[:, COLORS.start + 1])
        seen = (torch.sigmoid(packed[:, OPACITY]) > 0.5) & (green > 0.005)
        distance = packed[seen, MEANS].norm(dim=1)
        slopes.append(np.polyfit(distance.log().numpy(), green[seen].log().numpy(), 1)[0])
    assert abs(slopes[1]) < 0.7 * abs(slopes[0])

    studio = MovedLamp(Phantom(phantom / "x", 10, 96, 80, 4.0, camera="moving", instruments=0))
    studio.offset = np.array([0.0, -12.0, 20.0])
    truth, errors = studio._frame(5).left.image, []
    for scene in (lit, relit(lit, Light((0.0, -12.0, 20.0)), "lit")):
        camera = scene.camera(5)
        image = rasterize(scene.gaussians_at(1.25, camera), camera).color.clamp(0, 1).numpy()
        errors.append(psnr_masked(image, truth, np.ones(truth.shape[:2], bool)))
    assert errors[1] > errors[0] + 3


def test_commands_relight_and_export_a_lit_scene(phantom, capsys):
    scene = phantom / "lit"
    run("evaluate", scene, "--out", phantom / "again.json")
    again, first = (json.loads(p.read_text())["mean"]["psnr"] for p in (phantom / "again.json", scene / "metrics.json"))
    assert again == pytest.approx(first, abs=1e-6)

    def picture(name, *words):
        run("render", scene, "--out", phantom / name, "--time", 1, *words)
        return cv2.imread(str(phantom / name / "000000.png")).astype(float)

    shown = picture("as-is")
    assert picture("bright", "--light.intensity", 2).mean() > 1.15 * shown.mean()
    left, right = (picture(f"at{x}", "--light.offset", x, 0, 0) for x in (-40, 40))
    assert (left - right)[:, :40].mean() > 5
    assert (right - left)[:, -40:].mean() > 5
    assert picture("matt", "--light.no-specular").mean() < shown.mean()
    assert np.abs(picture("albedo", "--light.ambient-only") - shown).mean() > 2
    picture("even", "--even-exposure")
    for verb in ("points", "splats"):
        run("export", verb, scene, "--time", 1, "--albedo", "--out", phantom / f"{verb}.ply")
    run("export", "html", scene, "--out", phantom / "page.html")
    assert main(["render", str(phantom / "plain"), "--out", str(phantom / "no"), "--light.intensity", "2"]) == 2
    assert "--colors lit" in capsys.readouterr().err
    assert main(["render", str(scene), "--out", str(phantom / "no"), "--light.intensity", "-1"]) == 2


def test_harmonics_end_to_end(phantom):
    fit(phantom, "sh", "--colors", "sh", "--sh-degree", 3)
    scene = load_scene(phantom / "sh")
    assert scene.appearance.colors.rest.shape[1:] == (15, 3)
    assert float(scene.appearance.colors.rest.abs().max()) > 1e-3
    first = scene.shown_at(0.0, scene.camera(0))
    assert not torch.equal(first, scene.shown_at(0.0, scene.camera(5)))  # another camera at the same time
    run("export", "html", phantom / "sh", "--out", phantom / "page.html")
    run("render", phantom / "sh", "--out", phantom / "sh.mp4")
