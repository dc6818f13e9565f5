"""Runs into a folder of their own."""

import json
from pathlib import Path

import torch
from safetensors.torch import save

from endogs.fit.checkpoint import Checkpoint, checksum_of, load_checkpoint
from endogs.pipeline.result_files import read_result
from endogs.pipeline.run_folder import RunFolder, claim


def checkpoint(token: str) -> bytes:
    """The file of a whole checkpoint of the run `token`."""
    text = Checkpoint(0, {}, {"token": token}, [])._text()
    tensors = {"base": torch.zeros(3)}
    return save(tensors, {"endogs": text, "checksum": checksum_of(text, tensors)})


NAMES = ("scene.safetensors", "metrics.json", "metrics.jsonl", "preview.mp4")
CHECKPOINT = "checkpoints/last.safetensors"


def fill(folder: RunFolder, token: str, names=NAMES) -> None:
    """Write a run's files, of which each holds the token."""
    folder.begin()
    if folder.resumes is None:
        folder.forget_earlier()
    for name in names:
        (folder.work / name).parent.mkdir(parents=True, exist_ok=True)
        data = checkpoint(token) if name == CHECKPOINT else f"{token} {name}".encode()
        (folder.work / name).write_bytes(data)


def run(out: Path, token: str, complete: bool = True, names=NAMES, **options: bool) -> Path:
    """What a run does with its folder."""
    folder = claim(out, "clip", options.get("resume", False), options.get("overwrite", False))
    try:
        fill(folder, token, names if complete else (*names[:1], CHECKPOINT))
        return folder.publish({"token": token}, complete)
    finally:
        folder.release()


def token_of(folder: Path) -> str:
    """The one run that all files of a whole result are of."""
    result = read_result(folder)
    assert result is not None
    assert result.whole(folder)
    tokens = {(folder / name).read_text().split()[0] for name in result.files if name != CHECKPOINT}
    if CHECKPOINT in result.files:
        tokens.add(load_checkpoint(folder / "checkpoints").run["token"])
    assert {json.loads((folder / "run.json").read_text())["token"]} == tokens
    return tokens.pop()
