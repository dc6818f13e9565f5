"""What refusals and notes about depth and instruments advise is chosen, and is refused no more."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from advised import option_in, options_in, read, the_one, told
from clip.drawn_frames import series, tissue
from layouts.nerfstudio import write_nerfstudio
from samples.clip_samples import write_endonerf
from samples.shaded_frames import OneFrame, bump, shaded, slant

from endogs.clip import Clip
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.instruments.choose import with_instrument_masks

MM = ("--depth-unit-mm", "0.01")


@pytest.fixture
def plain(tmp_path) -> Clip:
    return read(series(tmp_path, "{}.png", [tissue(i) for i in range(3)]))


def notes_with(clip, name: str) -> list[str]:
    """What the depth prior says before a fit; it is refused where it cannot work."""
    return choose_depth_prior(name, clip).prepare(clip, [0], clip.tissue_mask)


@pytest.mark.parametrize("name", ["given", "stereo"])
def test_a_prior_that_the_clip_has_no_input_for_names_some_that_work(name, plain):
    sentence = told(notes_with, plain, name)
    named = [words[1] for words in options_in(sentence) if words[0] == "--depth" and words[1:] not in ([], [name])]
    assert named
    for other in named:
        notes_with(plain, other)


def test_depth_in_another_unit_is_read_with_the_option(tmp_path):
    """Files that count in another unit than the file says put the tissue where no endoscope sees."""
    write_nerfstudio(tmp_path, depth=True)
    far = read(tmp_path, "--depth-unit-mm", "1000", "--pose-unit-mm", "1")
    sentence = told(notes_with, far, "given")
    assert ["--depth-unit-mm"] in options_in(sentence)
    assert notes_with(read(tmp_path, "--depth-unit-mm", "1"), "given") == []
    notes_with(far, option_in(sentence, "--depth")[1])


def test_depth_that_runs_against_the_light_is_read_as_inverse(tmp_path):

    write_endonerf(tmp_path, 3, masks=False)
    surface = slant()
    for folder in ("images", "depth"):
        for file in (tmp_path / folder).glob("*") if (tmp_path / folder).is_dir() else ():
            file.unlink()
        (tmp_path / folder).mkdir(exist_ok=True)
    rows = np.load(tmp_path / "poses_bounds.npy")
    rows.reshape(3, -1)[:, [4, 9, 14]] = (*surface.shape, 150)
    np.save(tmp_path / "poses_bounds.npy", rows)
    for i in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), shaded(surface)[..., ::-1])
        cv2.imwrite(str(tmp_path / "depth" / f"{i}.png"), (7e5 / surface).astype(np.uint16))
    sentence = the_one(notes_with(read(tmp_path, *MM), "given"), "near is dark")
    clip = read(tmp_path, *option_in(sentence, "--depth-is"), *MM)
    assert clip.has_inverse_depth
    assert not [note for note in notes_with(clip, "given") if "near is dark" in note]
    for i in range(3):
        cv2.imwrite(str(tmp_path / "depth" / f"{i}.png"), (100 * surface).astype(np.uint16))
    back = the_one(notes_with(read(tmp_path, "--depth-is", "inverse"), "given"), "near is dark")
    right = read(tmp_path, *option_in(back, "--depth-is"), *MM)
    assert right.has_depth
    assert not [note for note in notes_with(right, "given") if "near is dark" in note]


def test_flat_and_missing_depth_names_what_works():
    image = shaded(bump())
    flat = OneFrame(image, depth=np.full(image.shape[:2], 80, np.float32))
    notes_with(flat, option_in(the_one(notes_with(flat, "given"), "the same depth"), "--depth")[1])
    nowhere = OneFrame(image, depth=np.zeros(image.shape[:2], np.float32))
    notes_with(nowhere, option_in(told(notes_with, nowhere, "given"), "--depth")[1])


def test_masks_that_are_not_there_name_some_that_can_be_had(plain):
    sentence = told(with_instrument_masks, plain, "given")
    named = [words[1] for words in options_in(sentence)]
    assert len(named) == 2
    for name in named:
        with_instrument_masks(plain, name)


def test_a_depth_model_for_another_choice_is_said_with_its_own(plain):
    sentence = told(choose_depth_prior, "photometric", plain, Path("model.onnx"))
    assert ["--depth", "learned"] in options_in(sentence)
    assert "no such file" in told(choose_depth_prior, "learned", plain, Path("/nowhere/model.onnx"))
