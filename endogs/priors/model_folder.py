"""Folders of models from strangers: which may be loaded, and where a model of the Hugging Face hub lies.

A model is numbers and the name of an architecture that transformers knows. What would run code of its own, unpickle, or
fetch more from the network is refused before transformers sees the folder, each in one sentence:
- `auto_map` in a configuration names Python files (transformers' `trust_remote_code`, which would ask on standard input
  and is off in every call here);
- weights in any form but safetensors are pickles;
- an adapter or a backbone by name would be downloaded.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from endogs.bounded_files import expanded, read_json
from endogs.errors import InputError

PINNED = {
    "depth-anything/Depth-Anything-V2-Small-hf": "5426e4f0f36572d16453bbda7a8389317b1bef99",
    "facebook/sam2.1-hiera-tiny": "de431c4043854a71d8101e17995dfe596bf101a5",
}
"""Commits of the models offered by default: whoever takes over an account there cannot change what runs here."""
WANTED = ["config.json", "*preprocessor_config.json", "README.md", "*.safetensors", "*.safetensors.index.json"]
"""What is downloaded of a model."""
WEIGHTS = "*.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
"""Endings of weights that are, or may be, pickles or other programs."""
INDEX = "model.safetensors.index.json"
LARGEST_CONFIG = 16 * 2**20
"""Bytes: an index of a hundred thousand tensors has about 10 MB."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_model_folder(folder: Path) -> dict[str, Any]:
    """The folder's config.json, of a model that may be loaded. Raises InputError, one sentence, for any other."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json, so this is no model folder; give the folder that holds it")
    for file in sorted(folder.glob("*config.json")):
        if any(key == "auto_map" for key, _ in _entries(_object(file))):
            raise InputError(
                f"{file}: the model asks for Python code of its own (auto_map), which endogs never runs; give a model "
                "of an architecture that transformers has"
            )
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder}: an adapter of another model, which would be downloaded; give a whole model")
    config = _object(folder / "config.json")
    for key, value in _entries(config):
        if key == "use_pretrained_backbone" and value:
            raise InputError(
                f"{folder}: config.json asks for a backbone to be downloaded ({key}); give a model that holds its own"
            )
    weights = weight_files(folder)
    if not weights:
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLES)
        if pickles:
            raise InputError(
                f"{folder}: the weights {pickles[0]} may hold code and are not read; give the model's *.safetensors"
            )
        raise InputError(f"{folder}: the model has no weights (*.safetensors); download them into this folder as well")
    for file in weights:
        _check_weights(file)
    if (folder / INDEX).exists():
        _check_index(folder)
    return config


def unloadable() -> tuple[type[Exception], ...]:
    """What transformers raises for configurations and weights that are not its architectures' own."""
    from huggingface_hub import errors
    from safetensors import SafetensorError

    by_type = getattr(errors, "StrictDataclassError", ValueError)  # of configurations, since huggingface_hub 0.32
    python = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError)
    return (*python, RuntimeError, TypeError, ValueError, SafetensorError, by_type)


def reason_of(error: BaseException) -> str:
    """The first line of what a library said, for a sentence."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files, none of them empty."""
    return sorted(file for file in folder.glob(WEIGHTS) if file.is_file() and file.stat().st_size > 0)


def model_folder(name: str, option: str) -> Path:
    """The folder that `name` is: a path, or the local copy of a hub's model, downloaded unless it was before.

    A hub's model is OWNER/NAME, at the commit that `PINNED` or OWNER/NAME@COMMIT says; nothing is downloaded without
    one. Raises InputError, naming the command line's `option`, for anything else, and when it cannot be had.
    """
    path = expanded(Path(name))
    if path.is_dir():
        return path
    if path.is_file():
        kind = "may hold code and is not read" if path.suffix.lower() in PICKLES else "is no model's folder"
        raise InputError(f"{path}: the file {kind}; give {option} a folder with config.json and *.safetensors")
    model, _, commit = name.partition("@")
    if name.startswith((".", "/", "~", "\\")) or model.count("/") != 1:
        raise InputError(f"{name}: no such model folder, and no hub id of the form OWNER/NAME; check {option}")
    if commit and not _COMMIT.fullmatch(commit):
        raise InputError(
            f"{name}: '{commit}' is no commit; give the 40 hexadecimal digits that the model's history on the hub shows"
        )
    return _of_hub(name, model, commit or PINNED.get(model), option)


def _of_hub(name: str, model: str, commit: str | None, option: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise InputError(f"{option} needs transformers ({error}); pip install 'endogs[learned]'") from error
    try:
        try:
            return Path(snapshot_download(model, revision=commit, allow_patterns=WANTED, local_files_only=True))
        except OSError:
            if commit is not None:
                return Path(snapshot_download(model, revision=commit, allow_patterns=WANTED))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise InputError(
            f"{name}: neither a folder here nor to be had from the Hugging Face hub ({reason_of(error)}); download the "
            f"model's folder by other means and give its path to {option}"
        ) from error
    raise InputError(
        f"{name}: neither a folder here nor downloaded before, and a name alone may stand for another model tomorrow; "
        f"give {option} {model}@COMMIT, with the 40 digits that the model's history on the hub shows"
    )


def _object(file: Path) -> dict[str, Any]:
    values = read_json(file, LARGEST_CONFIG)
    if not isinstance(values, dict):
        raise InputError(f"{file}: not a JSON object; take the file from the model's own folder")
    return values


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of a JSON value, at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from value.items()
    for one in inner:
        yield from _entries(one)


def _check_weights(file: Path) -> None:
    """Raises InputError where a file that is called safetensors is something else, a pickle for example."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np"):
            return
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: not a whole safetensors file ({error}); download it again") from error


def _check_index(folder: Path) -> None:
    """Raises InputError where a folder's index of its weights names others than safetensors files beside it."""
    shards = _object(folder / INDEX).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) and _are_texts(shards.values()) else {""}
    for name in names:
        if PurePosixPath(name).name != name or not name.endswith(".safetensors") or "\\" in name:
            raise InputError(
                f"{folder / INDEX}: it names the weights {name!r}, which are no safetensors file beside it; download "
                "the model again"
            )


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def keep_quiet() -> None:
    """Lets transformers and the hub's client say nothing but errors: one sentence of ours says what they led to."""
    from logging import ERROR, getLogger

    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    getLogger("huggingface_hub").setLevel(ERROR)
