"""Folders that look like models and ask for code, pickles in them, and ONNX files that are none."""

import json
import shutil

from attacker import evil
from attacker.case import Case, Workplace
from attacker.pickles import module_that_makes, pickle_that_makes, torch_file_that_makes
from attacker.samples import SMALL_FIT

CLASSES = ("AutoConfig", "AutoModelForDepthEstimation", "AutoModel", "AutoImageProcessor", "AutoProcessor")


def strange_model(at: Workplace) -> Case:
    """A model folder with something wrong, given to --depth-model or --sam2-model, or an ONNX file."""
    random = at.random
    shutil.copytree(at.sample("files"), at.folder, dirs_exist_ok=True)
    model = at.folder / "model"
    (model / "evil.py").write_text(module_that_makes(at.canary))
    config = json.loads((model / "config.json").read_text())
    act = random.choice(
        (
            "auto_map",
            "auto_map",
            "pickle",
            "torch",
            "config",
            "config",
            "weights",
            "onnx",
            "processor",
            "text",
            "custom",
        )
    )
    if act == "auto_map":
        config["auto_map"] = {
            name: f"evil.{random.choice(('Config', 'Model', '__init__'))}" for name in random.sample(CLASSES, 3)
        }
        config["model_type"] = random.choice(("evil", "depth_anything", "sam2_video", "dpt"))
        (model / "preprocessor_config.json").write_text(
            json.dumps({"auto_map": {"AutoImageProcessor": "evil.Model"}, "image_processor_type": "Evil"})
        )
    elif act in ("pickle", "torch"):
        (model / "model.safetensors").unlink()
        for name in ("pytorch_model.bin", "model.pt"):
            if act == "torch":
                torch_file_that_makes(model / name, at.canary)
            else:
                (model / name).write_bytes(pickle_that_makes(at.canary))
    elif act == "config":
        config, said = evil.harm_json(random, config)
        act += f" {said}"
    elif act == "weights":
        changed, said = evil.harm_bytes(random, (model / "model.safetensors").read_bytes())
        (model / "model.safetensors").write_bytes(changed)
        act += f" {said}"
    elif act == "processor":
        value, said = evil.harm_json(random, json.loads((model / "preprocessor_config.json").read_text()))
        (model / "preprocessor_config.json").write_text(json.dumps(value))
        act += f" {said}"
    elif act == "text":
        (model / "config.json").write_text(random.choice(("", "{", "[" * 5000, "\0", "null")))
    elif act == "custom":
        config |= {
            "custom_pipelines": {"depth-estimation": {"impl": "evil.Model", "pt": ["AutoModel"]}},
            "model_type": "evil",
            "trust_remote_code": True,
        }
    if isinstance(config, dict) and act != "text":
        config.pop("_name_or_path", None)
    if act != "text":
        (model / "config.json").write_bytes(json.dumps(config).encode("utf-8", "surrogatepass"))
    named = "model"
    if act == "onnx":
        content = random.choice((b"", b"\x08\x07\x12\x04evil", random.randbytes(300), pickle_that_makes(at.canary)))
        (at.folder / "model.onnx").write_bytes(content)
        named = "model.onnx"
    option = ("--masks", "sam2", "--sam2-model", named) if random.random() < 0.35 else ("--depth-model", named)
    arguments = ("reconstruct", "clip", "--out", "new", *SMALL_FIT, *option)
    return Case(f"model: {act}", arguments, ("model", "config.json", "evil", "onnx", "clip"))
