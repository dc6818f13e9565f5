"""Depth from parallax: exact where flow and poses are, silent where they say nothing, and honest about it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError
from endogs.geometry import invert_rigid, look_at, pixel_rays
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.priors.depth import inside_out
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.depth.parallax import ParallaxDepth
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.prediction import DepthInput
from endogs.priors.depth.residual_flow import PosedFrame, sharpened
from endogs.priors.depth.triangulation import InverseDepth, fused, triangulated
from endogs.priors.motion.flow import ClipFlows

WIDTH, HEIGHT = 60, 44
K = np.array([[55.0, 0, 31], [0, 53, 21], [0, 0, 1]])
STILL = np.eye(4)
SEEN = (np.ones((HEIGHT, WIDTH), bool),) * 2


def pose(x=0.0, y=0.0, z=0.0):
    return look_at(np.array([x, y, z]), np.array([0.3 * x, 0, 80.0]), np.array([0.0, -1, 0]))


def bumpy():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return 60 + 8 * np.sin(x / 9) + 5 * np.cos(y / 7)


def exact_flow(depth, a, b):
    """Flow (H, W, 2) of a still scene of depth (H, W) from one pose to another."""
    points = pixel_rays(K, WIDTH, HEIGHT) * depth[..., None]
    move = b @ invert_rigid(a)
    seen = (points @ move[:3, :3].T + move[:3, 3]) @ K.T
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (seen[..., :2] / seen[..., 2:] - np.stack([x + 0.5, y + 0.5], -1)).astype(np.float32)


@pytest.mark.parametrize("to", [pose(4), pose(0, -3), pose(1, 1, 9), pose(-2, 0, -6)])
def test_depth_of_an_exact_flow_is_exact(to):
    depth = bumpy()
    found = triangulated(exact_flow(depth, STILL, to), None, SEEN, (K, K), to)
    firm = found.deviation < 0.05 * found.value
    assert firm.mean() > 0.4
    np.testing.assert_allclose(1 / found.value[firm], depth[firm], rtol=2e-3)


def test_the_deviation_is_that_of_a_noisy_flow():
    depth, to = bumpy(), pose(4, 1)
    noise = np.random.default_rng(0).normal(0, 0.3, (HEIGHT, WIDTH, 2)).astype(np.float32)
    found = triangulated(exact_flow(depth, STILL, to) + noise, None, SEEN, (K, K), to)
    assert found.noise == pytest.approx(0.3, rel=0.1)
    known = found.value > 0
    errors = (found.value - 1 / depth)[known] / found.deviation[known]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(1, rel=0.15)


def test_what_moves_across_the_epipolar_line_is_left_out():
    depth, to = bumpy(), pose(4)
    flow = exact_flow(depth, STILL, to)
    flow[10:20, 10:20, 1] += 2
    found = triangulated(flow, None, SEEN, (K, K), to)
    assert not found.value[10:20, 10:20].any()
    assert np.isinf(found.deviation[10:20, 10:20]).all()
    assert (found.value[25:] > 0).mean() > 0.9


def test_a_camera_that_turns_fixes_no_depth():
    turned = STILL.copy()
    angle = 0.05
    turned[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    flow = exact_flow(bumpy(), STILL, turned)
    flow += np.random.default_rng(0).normal(0, 0.1, flow.shape).astype(np.float32)
    found = triangulated(flow, None, SEEN, (K, K), turned)
    assert not (found.deviation < found.value).any()


def test_estimates_that_agree_outvote_one_that_does_not():
    def said(value, deviation=0.001):
        plane = np.full((2, 3), value, np.float32)
        return InverseDepth(plane, np.where(plane > 0, deviation, np.inf).astype(np.float32), 0.3)

    value, deviation = fused([said(0.020), said(0.0205), said(0.04), said(0)])
    np.testing.assert_allclose(value, 0.02025, rtol=1e-5)
    np.testing.assert_allclose(deviation, 0.001 / np.sqrt(2), rtol=1e-4)
    value, deviation = fused([said(0), said(0)])
    assert not value.any()
    assert np.isinf(deviation).all()


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A rigid phantom that a moving camera looks at, with its true depth."""
    still = {"breathing": 0, "peristalsis": 0, "pull": 0, "instruments": 0}
    folder = write_phantom(
        Phantom(tmp_path_factory.mktemp("moving") / "clip", frames=12, width=200, height=160, camera="moving", **still)
    )
    return load_clip(folder, look=False)


@dataclass
class Seen:
    """A clip of which only the pictures, poses and intrinsics are known."""

    clip: object

    def __getattr__(self, name):
        return False if name in ("has_depth", "has_right") else getattr(self.clip, name)


def test_a_frame_that_shows_no_tissue_has_no_depth_and_hinders_no_other(moving):
    def tissue_mask(i):
        return np.zeros_like(moving.tissue_mask(i)) if i == 5 else moving.tissue_mask(i)

    prior = ParallaxDepth(PhotometricDepth())
    prior.prepare(moving, list(range(12)), tissue_mask)
    assert not prior.predict(DepthInput.of(moving, 5, tissue_mask(5))).confidence.any()
    beside = prior.predict(DepthInput.of(moving, 6))
    truth = moving.depth(6)
    sure = (beside.confidence > 0.3) & (truth > 0)
    assert sure.mean() > 0.3
    assert np.abs(beside.value[sure] / truth[sure] - 1).mean() < 0.1


def test_a_rigid_phantoms_depth(moving):
    frames = list(range(12))
    prior = ParallaxDepth(PhotometricDepth())
    notes = prior.prepare(moving, frames, moving.tissue_mask)
    assert "depth is triangulated from the camera's motion: of the tissue" in notes[-1]
    assert prior.kind == "metric"
    errors, trusted = [], []
    for i in (1, 6, 10):
        found = prior.predict(DepthInput.of(moving, i))
        truth = moving.depth(i)
        sure = (found.confidence > 0.3) & (truth > 0)
        trusted.append(sure.mean())
        errors.append(np.abs(found.value[sure] / truth[sure] - 1))
        assert (found.value > 0).mean() > 0.95, "holes are filled"
    assert np.mean(trusted) > 0.3
    assert np.median(np.concatenate(errors)) < 0.03


def test_breathing_tissue_has_parallax_beside_its_own_motion(tmp_path):
    options = {"breathing": 6, "peristalsis": 0, "pull": 0, "instruments": 0, "fps": 4}
    clip = load_clip(
        write_phantom(Phantom(tmp_path / "clip", frames=18, width=120, height=96, camera="moving", **options)),
        look=False,
    )
    frames = list(range(18))
    prior = ParallaxDepth(PhotometricDepth())
    notes = prior.prepare(clip, frames, clip.tissue_mask)
    assert any("the tissue moves as a whole beside the poses, by" in note for note in notes)
    assert prior.tissue is not None
    assert np.ptp([prior.tissue.offset(frame) for frame in frames], axis=0).max() > 5
    ratios = []
    for i in (1, 7, 11, 16):
        found = prior.predict(DepthInput.of(clip, i))
        sure = (found.confidence > 0.3) & (clip.depth(i) > 0)
        assert sure.mean() > 0.3
        ratios.append(found.value[sure] / clip.depth(i)[sure])
    middle = np.median(np.concatenate(ratios))
    assert np.median(np.abs(np.concatenate(ratios) / middle - 1)) < 0.06


def test_every_frame_has_others_far_enough_away_in_a_clip_of_few(moving, monkeypatch):
    monkeypatch.setattr("endogs.priors.depth.parallax.OFFSETS", (1, 2, 3, 4, 6, 8))
    prior = ParallaxDepth(PhotometricDepth())
    monkeypatch.setattr(prior, "_score", lambda offset: (offset, 1.0, 0.1, 0.1))
    prior.prepare(moving, list(range(9)), moving.tissue_mask)
    assert prior.about()["offsets"][0] == 4
    assert (prior.predict(DepthInput.of(moving, 4)).value > 0).any()


def test_predictions_do_not_depend_on_who_asks_first(moving, monkeypatch):
    monkeypatch.setattr("endogs.priors.depth.parallax.OFFSETS", (3,))
    frames = list(range(12))
    found = []
    for order in ([5], [11, 4, 8, 6, 5]):
        prior = ParallaxDepth(PhotometricDepth())
        prior.prepare(moving, frames, moving.tissue_mask)
        predictions = {i: prior.predict(DepthInput.of(moving, i)) for i in order}
        found.append(predictions[5].value)
    np.testing.assert_array_equal(*found)


def test_a_still_camera_has_no_parallax(clip):
    with pytest.raises(InputError, match="needs a camera that moves and its poses; use --depth photometric"):
        ParallaxDepth(PhotometricDepth()).prepare(clip, [0, 1, 2], clip.tissue_mask)


def test_poses_of_another_clip_are_not_triangulated(moving):
    """Poses that say sideways where the camera went elsewhere: refused when asked for, said when chosen by itself."""
    wrong = Seen(moving)
    wrong.world_to_camera = np.stack([pose(0, 9.0 * (-1) ** i) for i in range(12)])
    wrong.static_camera = False
    frames = list(range(12))
    with pytest.raises(InputError, match="too little parallax"):
        ParallaxDepth(PhotometricDepth()).prepare(wrong, frames, moving.tissue_mask)
    prior = ParallaxDepth(PhotometricDepth(), by_itself=True)
    assert "no depth from parallax, though the camera moves" in prior.prepare(wrong, frames, moving.tissue_mask)[-1]
    assert prior.kind == "logdepth"
    plain = PhotometricDepth()
    plain.prepare(wrong, frames, moving.tissue_mask)
    frame = DepthInput.of(moving, 4)
    np.testing.assert_array_equal(prior.predict(frame).value, plain.predict(frame).value)


def test_it_is_chosen_where_the_camera_moves_and_nothing_better_is_there(moving, clip):
    assert isinstance(choose_depth_prior("auto", Seen(moving)), ParallaxDepth)
    assert isinstance(choose_depth_prior("parallax", moving), ParallaxDepth)
    assert not isinstance(choose_depth_prior("auto", moving), ParallaxDepth)
    assert isinstance(choose_depth_prior("auto", clip), PhotometricDepth)


def test_the_cache_knows_the_poses(moving, tmp_path):
    frames = [0, 2, 4, 6, 8, 10]
    flows = ClipFlows(moving.image)
    first = ClipDepth(moving, ParallaxDepth(PhotometricDepth()), frames, moving.tissue_mask, flows, tmp_path)
    moved = replace(Seen(moving))
    moved.world_to_camera = moving.world_to_camera.copy()
    moved.world_to_camera[:, :3, 3] *= 2
    other = ClipDepth(moved, ParallaxDepth(PhotometricDepth()), frames, moving.tissue_mask, flows, tmp_path)
    assert first.folder != other.folder
    assert ClipOptions() == moving.options


def test_a_rough_depth_is_sharpened_by_a_frame_far_away(moving):
    """Depth that is off by 6 % here and there comes out truer, and frames that are not there say nothing."""
    true = moving.depth(0)
    y, x = np.mgrid[: moving.height, : moving.width]
    rough = (1 / np.where(true > 0, true, np.median(true)) * np.exp(0.06 * np.sin(x / 25) * np.cos(y / 30))).astype(
        "f4"
    )
    posed = [
        PosedFrame(grey(moving.image(i)), moving.tissue_mask(i), moving.K[i], moving.world_to_camera[i])
        for i in (0, 11)
    ]
    found = sharpened(*posed, rough, 2)
    here, known = true[1::2, 1::2], (found.value > 0) & (true[1::2, 1::2] > 0)
    assert known.mean() > 0.5
    before, after = (np.median(np.abs(w[known] * here[known] - 1)) for w in (rough[1::2, 1::2], found.value))
    assert after < 0.8 * before
    nothing = replace(posed[1], tissue=np.zeros_like(posed[1].tissue))
    assert not sharpened(posed[0], nothing, rough, 2).value.any()


class Reversed(PhotometricDepth):
    """Takes dark for near."""

    def predict(self, frame):
        guess = super().predict(frame)
        return replace(guess, value=-guess.value)


def test_depth_that_runs_against_the_light_is_doubted(moving):
    """As where a path of one eye is inside out, with far points near."""
    said = []
    for fill in (PhotometricDepth(), Reversed()):
        notes = ParallaxDepth(fill).prepare(moving, list(range(len(moving))), moving.tissue_mask)
        said.append([note for note in notes if "runs against the light" in note])
    assert said[0] == []
    assert len(said[1]) == 1
    assert "--focal" in said[1][0]


def test_the_rank_correlation_is_spearmans_where_both_are_known():
    random = np.random.default_rng(2)
    depth = random.uniform(1, 9, (20, 30)).astype(np.float32)
    guess = (depth + random.uniform(0, 9, depth.shape)).astype(np.float32)
    guess[:5] = 0
    found = inside_out.correlation_where_known(depth, guess)
    assert found == pytest.approx(spearmanr(depth[5:], guess[5:], axis=None).statistic, abs=1e-6)
    assert inside_out.correlation_where_known(depth, np.zeros_like(depth)) is None
