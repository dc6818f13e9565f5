"""A clip's depth is computed once, kept on disk, found again, and never found when it should not be."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import cv2
import numpy as np
import pytest
from safetensors.numpy import save
from samples.sliding_clip import HEIGHT, WIDTH, sliding_clip

import endogs
from endogs.clip import load_clip
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.priors.depth.clip_depth import ClipDepth, input_fingerprint
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.prediction import DepthPrediction
from endogs.priors.depth.temporal_depth import smooth_along_flow
from endogs.priors.motion.flow import ClipFlows
from endogs.progress import Progress

FRAMES = [0, 2, 3, 5]


class CountingPrior:
    """Depth is the red channel, and every question is counted."""

    kind, temporal, strength = "depth", False, 1.0

    def __init__(self):
        self.asked = 0

    def prepare(self, clip, frames, masks):
        return ["a note"]

    def predict(self, frame):
        self.asked += 1
        value = self.strength * (1 + frame.image[..., 0].astype(np.float32))
        return DepthPrediction(value, self.kind, frame.tissue_mask.astype(np.float32))

    def about(self):
        return {"prior": "counting", "kind": self.kind, "strength": self.strength}


def depth_of(clip, folder=None, prior=None, frames=FRAMES, masks=None):
    return ClipDepth(
        clip, prior or CountingPrior(), frames, masks or clip.tissue_mask, ClipFlows(clip.image), folder, threads=2
    )


@pytest.fixture
def clip(tmp_path):
    return sliding_clip(tmp_path / "clip", 6)


def test_predictions_are_computed_once_and_found_by_the_next_run(clip, tmp_path):
    priors = tmp_path / "out" / "priors"
    first, prior = depth_of(clip, priors), CountingPrior()
    seen = []
    first.precompute(FRAMES, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (first.computed, first.loaded, first.notes) == (4, 0, ["a note"])
    second = depth_of(clip, priors, prior)
    second.precompute(FRAMES)
    assert (second.computed, second.loaded, prior.asked) == (0, 4, 0)
    for i in FRAMES:
        a, b = first.prediction(i), second.prediction(i)
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.confidence, b.confidence)
        assert (a.kind, b.kind) == ("depth", "depth")
        np.testing.assert_allclose(a.value, 1 + clip.image(i)[..., 0], rtol=1e-3)
    assert prior.asked == 0
    assert len(list(priors.iterdir())) == 1


def test_what_predictions_depend_on_makes_another_set(clip, tmp_path):
    priors = tmp_path / "out" / "priors"

    def recomputed(**changes):
        depth = depth_of(changes.pop("clip", clip), priors, **changes)
        depth.precompute([2])
        sets.add(depth.folder)
        return depth.computed == 1

    sets = set()
    assert recomputed()
    assert not recomputed()
    stronger = CountingPrior()
    stronger.strength = 2.0
    assert recomputed(prior=stronger)
    assert not recomputed()
    assert recomputed(frames=[0, 2, 3])
    assert recomputed(masks=lambda i: clip.tissue_mask(i) & (np.arange(WIDTH) > 5))
    file = tmp_path / "clip" / "images" / "002.png"
    cv2.imwrite(str(file), cv2.imread(str(file))[::-1])
    os.utime(file, ns=(1, 1))
    assert recomputed(clip=load_clip(tmp_path / "clip" / "images", clip.options))
    assert set(priors.iterdir()) == sets, "every set has its own folder, and none is removed here"


def test_an_earlier_results_predictions_are_taken_over(clip, tmp_path):
    depth_of(clip, tmp_path / "earlier").precompute(FRAMES)
    prior, flows = CountingPrior(), ClipFlows(clip.image)
    depth = ClipDepth(clip, prior, FRAMES, clip.tissue_mask, flows, tmp_path / "new", earlier=tmp_path / "earlier")
    depth.precompute(FRAMES)
    assert (depth.loaded, prior.asked) == (4, 0)
    kept = [
        sorted((p.relative_to(top), p.read_bytes()) for p in top.rglob("*.safetensors"))
        for top in (tmp_path / "earlier", tmp_path / "new")
    ]
    assert kept[0] == kept[1]


def test_a_damaged_file_is_computed_again(clip, tmp_path):
    depth_of(clip, tmp_path / "priors").precompute(FRAMES)
    other = {"value": np.zeros((HEIGHT, WIDTH), np.int64), "confidence": np.zeros((HEIGHT, WIDTH), np.uint8)}
    for number, file in enumerate(sorted(tmp_path.glob("priors/*/*.safetensors"))):
        file.write_bytes([b"", file.read_bytes()[:200], save(other), save({"value": other["value"]})][number])
    again = depth_of(clip, tmp_path / "priors")
    again.precompute(FRAMES)
    assert (again.loaded, again.computed) == (0, 4)


def test_the_output_folder_is_no_input(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"1")
    outputs = (tmp_path / "out", tmp_path / "out.unfinished")
    before = input_fingerprint(tmp_path, outputs)
    for folder in outputs:
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    (tmp_path / ".out.endogs-lock").touch()
    assert input_fingerprint(tmp_path, outputs) == before
    (tmp_path / "images" / "b.png").write_bytes(b"1")
    assert input_fingerprint(tmp_path, outputs) != before


def test_threads_that_ask_at_once_get_one_computation(clip):
    prior = CountingPrior()
    depth = depth_of(clip, prior=prior)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: depth.prediction(3).value.sum(), range(32)))
    assert prior.asked == 1
    assert len(set(found)) == 1


def test_held_out_frames_are_never_looked_at(clip, tmp_path):
    def only_training_frames(i):
        assert i in FRAMES
        return images(i)

    images = clip.image
    clip.image = only_training_frames
    depth = depth_of(clip, prior=PhotometricDepth())
    depth.precompute([0])
    assert depth.computed == len(FRAMES), "blending over time needs all training frames"
    assert np.isfinite(depth.prediction(5).value).any()


def test_blending_removes_flicker_and_keeps_depth_still_frames():
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    still = (0.02 * x + 0.3 * np.sin(y / 9)).astype(np.float32)
    flicker = [cv2.GaussianBlur(generator.normal(0, 1, still.shape), (0, 0), 4) for _ in range(8)]
    values = [(still + f + 0.3 * k).astype(np.float32) for k, f in enumerate(flicker)]
    values[3][:5] = np.nan  # outside the view
    ones, grey = np.ones_like(still), np.full(still.shape, 90, np.uint8)
    zero = np.zeros((*still.shape, 2), np.float32)
    smooth = smooth_along_flow(values, [ones] * 8, [grey] * 8, lambda a, b: zero)
    inside = (slice(8, None), slice(None))

    def step(frames):
        changes = [(b - a)[inside] for a, b in pairwise(frames)]
        return np.mean([np.abs(c - np.median(c)).mean() for c in changes])

    assert step(smooth) < 0.6 * step(values)
    error = [np.abs(v - still - np.median((v - still)[inside]))[inside].mean() for v in smooth]
    assert np.mean(error) < np.mean([np.abs(f - np.median(f))[inside].mean() for f in flicker])
    assert np.isnan(smooth[3][:5]).all()
    medians = [float(np.median((v - still)[inside])) for v in smooth]
    np.testing.assert_allclose(np.diff(medians), 0.3, atol=0.1, err_msg="a frame's own level is kept")


def test_what_changed_its_brightness_is_not_blended():
    value = np.zeros((40, 48), np.float32)
    other = value.copy()
    other[10:30, 10:30] = 1
    dark, ones = np.full(value.shape, 90, np.uint8), np.ones_like(value)
    light = dark.copy()
    light[5:35, 5:35] = 200
    zero = np.zeros((40, 48, 2), np.float32)
    apart = smooth_along_flow([value, other], [ones] * 2, [dark, light], lambda a, b: zero)
    same = smooth_along_flow([value, other], [ones] * 2, [dark, dark], lambda a, b: zero)
    assert apart[1][20, 20] == 1
    assert same[1][20, 20] < 0.8


@pytest.mark.parametrize("level", [0, 255])
def test_a_clip_that_begins_black_or_white_is_reconstructed(tmp_path, level):
    clip = sliding_clip(tmp_path / "clip", 6)
    file = tmp_path / "clip" / "images" / "000.png"
    cv2.imwrite(str(file), np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    result = endogs.reconstruct(
        file.parent,
        out=tmp_path / "out",
        preset="fast",
        iterations=5,
        gaussians=200,
        clip=clip.options,
        every_frame=True,
    )
    assert len(result.scene) > 0
    assert result.record["depth"]["prior"] == "photometric"
    assert result.record["depth"]["mode"] == "fixed"
    assert result.record["depth"]["frames_computed"] == 5


def test_the_run_tells_which_depth_it_used_and_reuses_it(tmp_path):
    clip = write_phantom(Phantom(tmp_path / "clip", frames=6, width=64, height=48, instruments=0))
    options = {"preset": "fast", "iterations": 3, "gaussians": 200, "depth": "photometric"}
    first = endogs.reconstruct(clip, out=tmp_path / "out", **options)
    again = endogs.reconstruct(clip, out=tmp_path / "out", overwrite=True, **options)
    assert first.record["depth"]["frames_from_cache"] == 0
    assert again.record["depth"]["frames_computed"] == 0
    assert again.record["depth"]["frames_from_cache"] == 5
    assert again.metrics["mean"]["psnr"] == pytest.approx(first.metrics["mean"]["psnr"], abs=1e-6)
    assert len(list((tmp_path / "out" / "priors").iterdir())) == 1
    other = endogs.reconstruct(clip, out=tmp_path / "out", overwrite=True, **(options | {"depth": "given"}))
    assert other.record["depth"]["prior"] == "given"
    assert not (tmp_path / "out" / "priors").exists(), "predictions that serve no scene are gone"


class _Lines:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return False


def test_slow_priors_say_how_far_they_are(monkeypatch):
    clock = iter([0.0, 1.0, 12.0, 13.0])
    monkeypatch.setattr("endogs.progress.time.monotonic", lambda: next(clock))
    out = _Lines()
    with Progress("frame", bar="learned depth", stream=out) as progress:
        for done in (1, 2, 3):
            progress(done, 4)
    assert out.text == "learned depth: frame 2/4  12 s left\n"
