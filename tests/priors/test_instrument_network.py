"""The instrument network: its weights are the package's, its answers are log odds, and it knows tools from tissue."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from samples.open3d_there import require_open3d

from endogs.errors import InputError
from endogs.phantom.config import Phantom
from endogs.priors.instruments.network import FARTHEST, WEIGHTS, InstrumentNetwork, input_size
from endogs.priors.instruments.network_layers import STATES, STRIDE, InstrumentLayers


@pytest.fixture(scope="module")
def network() -> InstrumentNetwork:
    return InstrumentNetwork.load()


@pytest.fixture(scope="module")
def phantom_views():
    """Image and instrument mask of a frame of the project's own phantom, without instruments and with two."""
    require_open3d()
    from endogs.phantom.render import Studio

    views = []
    for count in (0, 2):
        config = Phantom(Path("unused"), frames=1, width=320, height=256, instruments=count, seed=3)
        view = next(Studio(config).frames()).left
        views.append((view.image, view.instrument))
    return views


def likeliest(states):
    return max(states, key=states.get)


def test_the_weights_are_small_and_float16():
    assert WEIGHTS.stat().st_size <= 1.5e6, "they travel in the wheel"
    assert {value.dtype for value in load_file(WEIGHTS).values()} == {torch.float16}


def test_folding_the_normalisation_changes_no_answer():
    torch.manual_seed(0)
    layers = InstrumentLayers()
    x = torch.rand(2, 3, 64, 80) * 2 - 1
    layers.train()(x)  # moves the running means off their defaults
    with torch.no_grad():
        odds, states = layers.eval()(x)
        folded_odds, folded_states = layers.folded()(x)
    torch.testing.assert_close(folded_odds, odds, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(folded_states, states, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(512, 640), (1080, 1920), (90, 120), (24, 700), (17, 16)])
def test_any_frame_gives_log_odds_that_span_it(network, shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    sight = network.look(image)
    rows, columns = input_size(*shape)
    assert sight.log_odds.shape == (rows, columns)
    assert sight.log_odds.dtype == np.float32
    assert rows % STRIDE == columns % STRIDE == 0
    assert rows * columns <= 1.2 * 320 * 256, "what is paid for a frame is bounded"
    assert np.abs(sight.log_odds).max() <= FARTHEST
    assert tuple(sight.states) == STATES
    assert sum(sight.states.values()) == pytest.approx(1, abs=1e-5)


def test_the_same_frame_gives_the_same_bits(network):
    image = np.random.default_rng(1).integers(0, 255, (256, 320, 3), dtype=np.uint8)
    np.testing.assert_array_equal(network.log_odds(image), network.log_odds(image))


def test_an_instrument_is_found_and_tissue_is_not(network, phantom_views):
    image, truth = phantom_views[1]
    mask = cv2.resize(network.log_odds(image), truth.shape[::-1]) > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    image, _ = phantom_views[0]
    assert (network.log_odds(image) > 0).mean() < 0.003


def test_outside_the_view_there_are_no_instruments_and_inside_they_stay_in_place(network, phantom_views):
    image, truth = phantom_views[1]
    frame = np.zeros((400, 600, 3), np.uint8)
    view = np.zeros((400, 600), bool)
    frame[60:316, 200:520], view[60:316, 200:520] = image, True
    odds = network.log_odds(frame, view)
    full = cv2.resize(odds, (600, 400))
    expected = np.zeros_like(view)
    expected[60:316, 200:520] = truth
    assert (full[~view] < 0).all()
    assert ((full > 0) & expected).sum() / ((full > 0) | expected).sum() > 0.75


def test_a_black_frame_and_dense_smoke_are_named(network, phantom_views):
    image, _ = phantom_views[1]
    assert likeliest(network.look(image).states) == "tissue"
    assert likeliest(network.look(np.full_like(image, 4)).states) == "black"
    smoke = np.clip(0.12 * image.astype(float) + 0.88 * np.array([140, 138, 135]), 0, 255).astype(np.uint8)
    assert likeliest(network.look(smoke).states) == "smoke"


def test_missing_damaged_and_foreign_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.safetensors: the weights of the instrument network are missing"):
        InstrumentNetwork.load(tmp_path / "gone.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(InputError, match="no weights of the instrument network"):
        InstrumentNetwork.load(damaged)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, foreign)
    with pytest.raises(InputError, match="another network"):
        InstrumentNetwork.load(foreign)
    copied = Path(shutil.copy(WEIGHTS, tmp_path / "copied.safetensors"))
    InstrumentNetwork.load(copied)
