"""SAM 2 with random weights through the real loading path: prompts, memory in both directions, and refusals."""

import json

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file
from samples.tiny_sam2 import write_tiny_sam2
from samples.tool_clip import HEIGHT, WIDTH, shaft, write_tool_clip

from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.priors.instruments.clicks import Click
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.instruments.corrections import Corrections
from endogs.priors.instruments.prompts import read_prompts
from endogs.priors.instruments.sam2 import IMAGENET_MEAN, IMAGENET_STD, _Frames, follow_with_sam2, normalization_of
from endogs.priors.instruments.sam2_clicks import Sam2Clicks

pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return write_tiny_sam2(tmp_path_factory.mktemp("sam2"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(write_tool_clip(tmp_path_factory.mktemp("tool") / "clip", 5))


def test_a_mask_prompt_comes_back_on_its_own_frame_only(model_folder, clip, tmp_path):
    """Random weights cannot follow anything, but the prompted frame's memory is the prompt itself."""
    file = tmp_path / "mask.png"
    cv2.imwrite(str(file), shaft(68).astype(np.uint8) * 255)
    seen = []
    found = follow_with_sam2(
        clip,
        Sam2Options(str(model_folder), sam2_mask=(f"2:{file}",)),
        lambda done, total: seen.append((done, total)),
    )
    mask = found.masks.instrument(2)
    assert (mask & shaft(68)).sum() / (mask | shaft(68)).sum() > 0.8
    assert len(found.masks) == 5
    assert seen == [(k, 5) for k in range(1, 6)]
    assert "1 prompt" in found.note
    assert found.masks.halo(2).any()


def test_clicks_and_boxes_are_instruments_of_their_own(model_folder, clip):
    options = Sam2Options(str(model_folder), sam2_click=("1:20,60",), sam2_box=("3:0,40,70,80",))
    prompts = read_prompts(options, clip)
    assert [(p.frame, p.instrument, p.labels) for p in prompts] == [(1, 0, (1,)), (3, 1, (2, 3))]
    found = follow_with_sam2(clip, options)
    assert found.masks.instrument(0).shape == (HEIGHT, WIDTH)


def test_without_a_prompt_sam2_follows_what_is_found(model_folder, clip, tmp_path):
    found = follow_with_sam2(clip, Sam2Options(str(model_folder)))
    shown = [found.masks.instrument(i) for i in range(5)]
    best = max((m & shaft(60 + 4 * i)).sum() / (m | shaft(60 + 4 * i)).sum() for i, m in enumerate(shown))
    assert best > 0.7
    bare = load_clip(write_tool_clip(tmp_path / "bare", 3, instrument=False))
    with pytest.raises(InputError, match="nothing to follow"):
        follow_with_sam2(bare, Sam2Options(str(model_folder)))


def test_frames_are_normalized_as_the_model_says(model_folder, clip, tmp_path):
    frames = _Frames(clip, 32, (IMAGENET_MEAN, IMAGENET_STD))
    resized = cv2.resize(clip.image(4), (32, 32), interpolation=cv2.INTER_AREA)[..., 0] / 255
    np.testing.assert_allclose(frames[4][0].numpy(), (resized - 0.485) / 0.229, atol=1e-5)
    assert (len(frames), tuple(frames[0].shape)) == (5, (3, 32, 32))
    assert normalization_of(model_folder) == (IMAGENET_MEAN, IMAGENET_STD)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    assert normalization_of(tmp_path) == ((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sam2_click": ("9:1,1",)}, "no frame 9"),
        ({"sam2_click": ("0:1",)}, "F:X,Y"),
        ({"sam2_click": ("0:500,1",)}, "outside the frames"),
        ({"sam2_box": ("0:50,1,20,9",)}, "box is empty"),
        ({"sam2_mask": ("0",)}, "F:FILE"),
        ({"sam2_mask": ("0:missing.png",)}, "missing.png"),
    ],
)
def test_prompts_that_do_not_fit_are_one_sentence(clip, options, words):
    with pytest.raises(InputError, match=words):
        read_prompts(Sam2Options(**options), clip)


def test_a_mask_prompt_of_another_size_or_empty_is_refused(clip, tmp_path):
    for name, mask, words in (
        ("small.png", np.full((5, 6), 255, np.uint8), "6 x 5"),
        ("empty.png", np.zeros((HEIGHT, WIDTH), np.uint8), "empty"),
    ):
        cv2.imwrite(str(tmp_path / name), mask)
        with pytest.raises(InputError, match=words):
            read_prompts(Sam2Options(sam2_mask=(f"0:{tmp_path / name}",)), clip)


def test_folders_that_are_no_model_are_one_sentence(model_folder, clip, tmp_path):
    (tmp_path / "config.json").write_text((model_folder / "config.json").read_text())
    with pytest.raises(InputError, match="no weights"):
        follow_with_sam2(clip, Sam2Options(str(tmp_path)))
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match="model type bert"):
        follow_with_sam2(clip, Sam2Options(str(tmp_path)))
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        follow_with_sam2(clip, Sam2Options(str(tmp_path)))


def test_clicks_of_the_editor_go_to_sam2_and_what_it_gives_up_is_removed(model_folder, clip):
    """An object for each added thing; a click that removes is a second point of it. Random weights find nothing to
    speak of, so that the masks are a stand-in's."""
    model, asked = Sam2Clicks(clip, Sam2Options(str(model_folder))), []
    left = np.arange(WIDTH) < 30

    class Noted:
        def follow(self, click, against=()):
            asked.append((click, tuple(against)))
            assert [mask.shape for mask in model.follow(click, against)] == [(HEIGHT, WIDTH)] * 5
            return [shaft(60 + 4 * i) & (left if against else ~left | left) for i in range(5)]

    corrections = Corrections(clip, lambda i: np.zeros((HEIGHT, WIDTH), bool), None, Noted())
    added, taken = Click(2, 40 / WIDTH, 62 / HEIGHT, True), Click(2, 50 / WIDTH, 57 / HEIGHT, False)
    corrections.apply(added)
    assert all(np.array_equal(corrections.instrument(i), shaft(60 + 4 * i)) for i in range(5))
    corrections.apply(taken)
    assert asked == [(added, ()), (added, (taken,))]
    assert all(np.array_equal(corrections.instrument(i), shaft(60 + 4 * i) & left) for i in range(5))
    # What SAM 2 did not add is taken away as without it.
    corrections.apply(Click(4, 10 / WIDTH, 65 / HEIGHT, False, 5 / WIDTH))
    assert len(asked) == 2
    assert not corrections.instrument(4)[65, 10]
