"""Learned depth through the real path: tiny models with random weights, saved to disk and loaded as a user would."""

import json
import logging

import cv2
import numpy as np
import pytest
from samples.sliding_clip import sliding_clip

import endogs
from endogs.errors import InputError
from endogs.priors.depth.learned import LearnedDepth
from endogs.priors.depth.learned_input import Preprocessing, read_preprocessing
from endogs.priors.depth.model_licence import licence_note, read_licence
from endogs.priors.depth.prediction import DepthInput, to_depth

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

DPT_LIKE = {
    "image_processor_type": "DPTImageProcessor",
    "do_resize": True, "size": {"height": 56, "width": 56}, "keep_aspect_ratio": True, "ensure_multiple_of": 14,
    "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [0.4, 0.45, 0.5], "image_std": [0.2, 0.25, 0.3],
}  # fmt: skip


COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(autouse=True)
def _quiet_and_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    transformers.logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)


def save_depth_anything(folder, estimation="relative", licence="apache-2.0"):
    """The architecture of Depth Anything V2, as small as it gets, with seeded random weights."""
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=24, num_attention_heads=2, num_hidden_layers=4, mlp_ratio=2, image_size=56, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=24, reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, head_in_index=-1, head_hidden_size=8,
        depth_estimation_type=estimation, max_depth=20,
    )  # fmt: skip
    model = transformers.DepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # weights large enough that the image is seen, and an output above the final ReLU
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.5 / weight[0].numel() ** 0.5)
        model.head.conv3.bias.fill_(200)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(DPT_LIKE))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\ntags:\n- depth\n---\n# A model\n")
    return model.eval()


def picture(height=60, width=90):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return (60 + 0.5 * cv2.GaussianBlur(noise, (0, 0), 3)).astype(np.uint8)


def frame(image):
    mask = np.ones(image.shape[:2], bool)
    mask[:10, :20] = False
    return DepthInput(image, mask, np.eye(3))


def test_depth_anything_from_a_folder_predicts_what_transformers_predicts(tmp_path):
    model = save_depth_anything(tmp_path)
    prior = LearnedDepth(str(tmp_path))
    image = picture()
    found = prior.predict(frame(image))
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    with torch.inference_mode():
        raw = model(**processor(images=image, return_tensors="pt")).predicted_depth
    expected = torch.nn.functional.interpolate(raw[None], image.shape[:2], mode="bicubic")[0, 0].numpy()
    assert found.kind == prior.kind == "disparity"
    inside = (slice(8, -8), slice(8, -8))  # OpenCV and torch continue an image beyond its border differently
    ratio = found.value[inside] / expected[inside]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.02)
    assert np.ptp(expected) > 0.01 * np.median(expected), "the test would pass for a constant otherwise"
    assert (found.confidence[:10, :20] == 0).all()
    assert found.confidence[30:, 30:].mean() > 0.9
    assert np.median(to_depth(found)[found.confidence > 0]) == pytest.approx(100, rel=1e-3)
    about = prior.about()
    assert (about["licence"], about["kind"]) == ("apache-2.0", "disparity")
    assert prior.prepare(None, [], None) == []


def test_the_kind_comes_from_the_model_and_can_be_overruled(tmp_path):
    save_depth_anything(tmp_path, "metric")
    assert LearnedDepth(str(tmp_path)).kind == "depth", "metres of rooms are depth up to a scale here"
    assert LearnedDepth(str(tmp_path), "disparity").kind == "disparity"
    with pytest.raises(InputError, match="must be one of"):
        LearnedDepth(str(tmp_path), "metric")


def test_another_architecture_loads_the_same_way(tmp_path):
    torch.manual_seed(1)
    config = transformers.GLPNConfig(
        num_encoder_blocks=4, depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
    )  # fmt: skip
    transformers.GLPNForDepthEstimation(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size_divisor": 32, "do_rescale": True}))
    prior = LearnedDepth(str(tmp_path))
    found = prior.predict(frame(picture(70, 100)))
    assert (found.kind, found.value.shape) == ("depth", (70, 100))
    assert np.isfinite(found.value).all()
    assert any("licence" in note for note in prior.prepare(None, [], None)), "nobody says which"


def test_a_hub_id_is_taken_from_the_local_cache(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--depth" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    save_depth_anything(snapshot, licence="cc-by-nc-4.0")
    (tmp_path / "models--someone--depth" / "refs").mkdir()
    (tmp_path / "models--someone--depth" / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    prior = LearnedDepth("someone/depth")
    assert prior.about()["model"] == "someone/depth"
    (note,) = prior.prepare(None, [], None)
    assert "NOT for commercial use (licence cc-by-nc-4.0)" in note
    assert LearnedDepth("someone/depth@" + COMMIT).about()["model"] == "someone/depth@" + COMMIT
    with pytest.raises(InputError, match=r"give --depth-model someone/else@COMMIT"):
        LearnedDepth("someone/else")
    with pytest.raises(InputError, match=r"someone/else@a{40}: neither a folder here nor to be had"):
        LearnedDepth("someone/else@" + "a" * 40)
    with pytest.raises(InputError, match="'main' is no commit"):
        LearnedDepth("someone/depth@main")


def test_folders_without_a_usable_model_are_told(tmp_path):
    with pytest.raises(InputError, match="no such model folder"):
        LearnedDepth(str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"no config\.json"):
        LearnedDepth(str(tmp_path))
    model = tmp_path / "model"
    save_depth_anything(model)
    weights = model / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink()
    with pytest.raises(InputError, match="has no weights"):
        LearnedDepth(str(model))
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors: not a whole safetensors file"):
        LearnedDepth(str(model))
    other = transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    classifier = tmp_path / "classifier"
    transformers.ViTForImageClassification(other).save_pretrained(classifier)
    with pytest.raises(InputError, match="not a depth model"):
        LearnedDepth(str(classifier))


def test_weights_of_another_model_are_told(tmp_path):
    save_depth_anything(tmp_path)
    from safetensors.torch import load_file, save_file

    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if not name.startswith("head")}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="the weights lack"):
        LearnedDepth(str(tmp_path))


def test_a_reconstruction_uses_the_model_and_records_its_licence(tmp_path, capsys):
    save_depth_anything(tmp_path / "model", licence="cc-by-nc-4.0")
    clip = sliding_clip(tmp_path / "clip", 5)
    options = {"preset": "fast", "iterations": 3, "gaussians": 200, "clip": clip.options}
    options |= {"depth": "learned", "depth_model": str(tmp_path / "model"), "out": tmp_path / "out"}
    first = endogs.reconstruct(clip.source, **options)
    assert "NOT for commercial use" in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "run.json").read_text())["depth"]
    assert (record["prior"], record["kind"], record["licence"]) == ("learned", "disparity", "cc-by-nc-4.0")
    assert record["frames_computed"] > 0
    assert first.scene.origin.depth_kind == "disparity"
    again = endogs.reconstruct(clip.source, overwrite=True, **options)
    assert again.record["depth"]["frames_computed"] == 0


def write_onnx(file, inputs=(("image", [1, 3, 28, 42]),), rank=4, metadata=None):
    """A graph whose output is the mean over the channels of its first input."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    axes = helper.make_tensor("axes", onnx.TensorProto.INT64, [1 if rank == 4 else 3], [1] if rank == 4 else [1, 2, 3])
    node = helper.make_node("ReduceMean", [inputs[0][0], "axes"], ["depth"], keepdims=0)
    graph = helper.make_graph(
        [node], "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs],
        [helper.make_tensor_value_info("depth", kind, None)],
        [axes],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    file.write_bytes(model.SerializeToString())
    return str(file)


@pytest.mark.parametrize("shape", [[1, 3, 28, 42], [1, 3, "height", "width"]])
def test_an_onnx_file_predicts(tmp_path, shape):
    pytest.importorskip("onnxruntime")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(DPT_LIKE))
    file = write_onnx(tmp_path / "model.onnx", (("pixels", shape),), metadata={"license": "cc-by-nc-sa-4.0"})
    prior = LearnedDepth(file, "depth")
    image = picture()
    found = prior.predict(frame(image))
    assert (prior.kind, found.value.shape) == ("depth", (60, 90))
    seen = ((image / 255 - DPT_LIKE["image_mean"]) / DPT_LIKE["image_std"]).mean(-1)
    inside = (slice(8, -8), slice(8, -8))
    assert np.corrcoef(found.value[inside].ravel(), seen[inside].ravel())[0, 1] > 0.98
    assert prior.about()["licence"] == "cc-by-nc-sa-4.0"
    assert "NOT for commercial use" in prior.prepare(None, [], None)[0]
    assert len(prior.prepare(None, [], None)) == 1
    (tmp_path / "preprocessor_config.json").unlink()
    assert "as for Depth Anything" in LearnedDepth(file, "depth").prepare(None, [], None)[0]
    with pytest.raises(InputError, match=r"does not say what it predicts.*--depth-model-output"):
        LearnedDepth(file)


def test_onnx_files_of_another_form_are_told(tmp_path):
    pytest.importorskip("onnxruntime")
    file = write_onnx(tmp_path / "two.onnx", (("image", [1, 3, 28, 42]), ("prompt", [1, 7])))
    with pytest.raises(InputError, match=r"takes image .*prompt .*one image as its only input"):
        LearnedDepth(file, "depth")
    with pytest.raises(InputError, match="depth model takes one float image"):
        LearnedDepth(write_onnx(tmp_path / "grey.onnx", (("image", [1, 1, 28, 42]),)), "depth")
    with pytest.raises(InputError, match="not a map"):
        LearnedDepth(write_onnx(tmp_path / "class.onnx", rank=1), "depth").predict(frame(picture()))
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable ONNX model"):
        LearnedDepth(str(tmp_path / "broken.onnx"), "depth")
    with pytest.raises(InputError, match="no such file"):
        LearnedDepth(str(tmp_path / "absent.onnx"), "depth")


@pytest.mark.parametrize("shape", [(60, 90), (512, 640), (90, 60)])
def test_preprocessing_equals_transformers(tmp_path, shape):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(DPT_LIKE | {"size": {"height": 70, "width": 98}}))
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    image = picture(*shape)
    expected = processor(images=image, return_tensors="np")["pixel_values"]
    found = read_preprocessing(tmp_path)(image)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 0.01, "a 8-bit step is 0.016"


def test_preprocessing_configurations(tmp_path):
    def read(**config):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
        return read_preprocessing(tmp_path)

    assert Preprocessing().input_size(512, 640) == (518, 644), "Depth Anything's"
    assert read(size=384).input_size(100, 300) == (384, 384)
    assert read(size_divisor=32).input_size(100, 95) == (96, 64)
    assert read(do_resize=False, size=384).input_size(100, 95) == (100, 95)
    assert read(do_rescale=False).rescale == 1
    assert read(image_mean=[0.1, 0.2, 0.3], image_std=0.5).mean == (0.1, 0.2, 0.3)
    with pytest.raises(InputError, match="not understood"):
        read(size={"longest": 3})
    (tmp_path / "preprocessor_config.json").write_text("[")
    with pytest.raises(InputError, match="not readable as JSON"):
        read_preprocessing(tmp_path)
    assert read_preprocessing(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("card", "licence", "free"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0", True),
        ("---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0", False),
        ("---\nlicense: other\nlicense_name: apple-amlr\n---\n", "apple-amlr", False),
        ('---\ntags: [a]\nlicense: "mit"\n---\n', "mit", True),
        ("# license: mit\n", None, False),
    ],
)
def test_licences(tmp_path, card, licence, free):
    (tmp_path / "README.md").write_text(card)
    assert read_licence(tmp_path) == licence
    assert (licence_note("m", licence) is None) == free
