"""Models from strangers: no code of theirs runs, nothing is unpickled, nothing is fetched, nobody is asked."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.pipeline.reconstruct import reconstruct
from endogs.priors.depth.learned import LearnedDepth
from endogs.priors.depth.learned_input import read_preprocessing
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.instruments.sam2 import follow_with_sam2
from endogs.priors.model_folder import PINNED, check_model_folder, model_folder

pytest.importorskip("transformers", reason="transformers is not installed")

TRAP = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch):
    def asked(*words):
        raise AssertionError(f"asked on standard input: {words}")

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path):
    """Configuration and weights of a model that transformers does not know."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "glpn"}))
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def users(folder):
    """Everything that loads a model from a folder."""
    yield lambda: LearnedDepth(str(folder))
    yield lambda: follow_with_sam2(None, Sam2Options(str(folder)))


CODE = {"AutoConfig": "trap.Trap", "AutoModelForDepthEstimation": "trap.Trap"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"model_type": "trap", "auto_map": CODE}),
        ("config.json", {"model_type": "depth_anything", "auto_map": CODE}),
        ("config.json", {"model_type": "glpn", "backbone_config": {"auto_map": CODE}}),
        ("config.json", {"model_type": "glpn", "auto_map": {"AutoConfig": "someone/else--trap.Trap"}}),
        ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "trap.Trap"}}),
        ("video_preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "trap.Trap"}}),
    ],
)
def test_code_of_a_models_own_never_runs(folder, file, content):
    (folder / "trap.py").write_text(TRAP)
    (folder / file).write_text(json.dumps(content))
    for use in users(folder):
        with pytest.raises(InputError, match="Python code of its own"):
            use()
    assert not (folder / "ran").exists()
    assert "trap" not in sys.modules


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "tf_model.h5", "flax_model.msgpack"])
def test_weights_that_may_be_pickles_are_refused_before_they_are_opened(folder, name):
    class Trap:
        def __reduce__(self):
            return (open, (str(folder / "ran"), "w"))

    (folder / "model.safetensors").unlink()
    torch.save(Trap(), folder / name)
    for use in users(folder):
        with pytest.raises(InputError, match=rf"the weights {name} may hold code and are not read"):
            use()
    with pytest.raises(InputError, match="may hold code and is not read"):
        LearnedDepth(str(folder / name))
    torch.save(Trap(), folder / "model.safetensors")
    for use in users(folder):
        with pytest.raises(InputError, match="not a whole safetensors file"):
            use()
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("shard", ["../other.safetensors", "/other.safetensors", "model.bin", "..\\a.safetensors", 3])
def test_an_index_that_names_other_files_is_refused(folder, shard):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(InputError, match="no safetensors file beside it"):
        check_model_folder(folder)


def test_what_would_be_downloaded_is_refused(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/else"}))
    with pytest.raises(InputError, match="an adapter of another model"):
        LearnedDepth(str(folder))
    (folder / "adapter_config.json").unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "dpt", "use_pretrained_backbone": True}))
    with pytest.raises(InputError, match="a backbone to be downloaded"):
        LearnedDepth(str(folder))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "[" * 100_000,
        '{"model_type": []}',
        '{"model_type": "glpn", "hidden_sizes": "many"}',
        '{"model_type": "dpt", "backbone_config": 3}',
        '{"model_type": "depth_anything", "backbone_config": {"model_type": "resnet"}}',
        '{"model_type": "no-such-model"}',
        '{"model_type": "glpn", "quantization_config": {"quant_method": "bitsandbytes"}}',
    ],
    ids=range(9),
)
def test_strange_configurations_are_one_sentence(folder, text):
    (folder / "config.json").write_text(text)
    for use in users(folder):
        with pytest.raises(InputError) as caught:
            use()
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"size": 10**9},
        {"size": -3},
        {"size": {"height": 10, "width": "x"}},
        {"image_mean": "grey"},
        {"image_mean": [0.5]},
        {"image_mean": 0.5, "image_std": 0},
        {"resample": [1]},
        {"ensure_multiple_of": "14"},
        {"ensure_multiple_of": 10**9},
        {"rescale_factor": None},
    ],
)
def test_strange_preprocessings_are_one_sentence(tmp_path, values):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"preprocessor_config\.json"):
        read_preprocessing(tmp_path)


def test_models_of_the_hub_are_pinned(monkeypatch):
    asked = []

    def here(model, **options):
        asked.append(options)
        return "here"

    monkeypatch.setattr("huggingface_hub.snapshot_download", here)
    for model, commit in PINNED.items():
        assert str(model_folder(model, "--depth-model")) == "here"
        assert asked[-1]["revision"] == commit
    assert not [pattern for pattern in asked[-1]["allow_patterns"] if pattern.endswith((".py", ".bin", ".pt", "*"))]
    assert {Sam2Options().sam2_model} <= set(PINNED)


def test_reconstruct_says_it_before_the_fit(folder, tmp_path):
    from samples.sliding_clip import write_sliding_clip

    (folder / "config.json").write_text(json.dumps({"model_type": "trap", "auto_map": CODE}))
    source = write_sliding_clip(tmp_path / "clip", 3)
    with pytest.raises(InputError, match="Python code of its own"):
        reconstruct(source, depth="learned", depth_model=str(folder), clip=ClipOptions(), out=tmp_path / "out")
    assert not (tmp_path / "out" / "scene.safetensors").exists()
