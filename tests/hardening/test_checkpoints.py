"""A checkpoint is read like a stranger's file: whatever is in it ends in one sentence, and only the same run's goes on.

With ENDOGS_ATTACK set, twenty times as many damages are tried, with other seeds.
"""

import json
import os
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from samples.sliding_clip import InstrumentOnTheLeft, sliding_clip

from endogs.errors import InputError
from endogs.fit.checkpoint import FILE_NAME, checksum_of, load_checkpoint, save_checkpoint
from endogs.fit.config import AppearanceConfig, FitConfig
from endogs.fit.loop import Fit, run_fit
from endogs.fit.setup import new_optimizer
from endogs.fit.window import whole_clip
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.motion.flow import ClipFlows

LONG = bool(os.environ.get("ENDOGS_ATTACK"))
ROUNDS = 20 if LONG else 1
FRAMES = [0, 2, 3, 4, 5]
CONFIG = FitConfig(iterations=24, initial_gaussians=150, gaussians_cap=185, insertions=((0.3, 20),), mask_erosion=1)
FITS = {
    "spline": replace(CONFIG, rigidity_weight=0.5),
    "lit": replace(CONFIG, appearance=AppearanceConfig("lit", exposure=True)),
    "none": replace(CONFIG, deformation="none"),
    "lowrank": replace(CONFIG, deformation="lowrank"),
}
if LONG:
    FITS |= {kind: replace(CONFIG, deformation=kind) for kind in ("bases", "hexplane", "mlp")}
    FITS["sh"] = replace(CONFIG, appearance=AppearanceConfig("sh", 2, True))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return sliding_clip(tmp_path_factory.mktemp("clip"), frames=6).with_masks(InstrumentOnTheLeft())


@pytest.fixture(scope="module")
def views(clip):
    flows = ClipFlows(clip.image, finest_scale=0)
    depth = ClipDepth(clip, choose_depth_prior("auto", clip), FRAMES, clip.tissue_mask, flows)
    return whole_clip(clip, FRAMES, flows, depth, CONFIG, torch.device("cpu"))


def new_fit(clip, views, name, checkpoint=None):
    config = FITS[name]
    optimizer = new_optimizer(clip, views, config, torch.device("cpu"), checkpoint=checkpoint)
    return Fit(optimizer, views, config, 0, {"fit": {"a": 1}, "seed": 0})


def resumed(clip, views, name, folder) -> Fit:
    """What `reconstruct --resume` does with the file in a folder."""
    checkpoint = load_checkpoint(folder)
    fit = new_fit(clip, views, name, checkpoint)
    fit.restore(checkpoint)
    return fit


@pytest.fixture(scope="module")
def saved(clip, views, tmp_path_factory):
    """Folders with a checkpoint after 12 of 24 steps, by the name of the fit."""
    folders = {}

    def of(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            fit = new_fit(clip, views, name)
            for _ in range(12):
                fit.advance()
            fit.log.append({"step": 12, "loss": 0.5, "psnr": float("nan"), "gaussians": 150, "seconds": 1.5})
            save_checkpoint(fit.checkpoint(), folders[name])
        return folders[name]

    return of


def refused(clip, views, name, folder) -> str:
    """The one sentence that a file ends in."""
    with pytest.raises(InputError) as said:
        resumed(clip, views, name, folder)
    sentence = str(said.value)
    assert "\n" not in sentence
    assert "start anew with --overwrite" in sentence
    return sentence


@pytest.mark.parametrize("name", FITS)
def test_a_whole_file_goes_on_to_the_same_bits(clip, views, saved, name):
    whole = new_fit(clip, views, name)
    run_fit(whole, show=False)
    again = resumed(clip, views, name, saved(name))
    assert (again.step, len(again.log)) == (12, 1)
    assert np.isnan(again.log[0]["psnr"])
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_damaged_bytes_never_go_on(clip, views, saved, tmp_path):
    whole = (saved("spline") / FILE_NAME).read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    random = np.random.default_rng(os.getpid() if LONG else 5)
    for trial in range(60 * ROUNDS):
        data = bytearray(whole)
        kind = trial % 4
        if kind == 0:  # a bit of the tensors
            data[random.integers(header, len(data))] ^= 1 << random.integers(8)
        elif kind == 1:  # a bit of the header
            data[random.integers(0, header)] ^= 1 << random.integers(8)
        elif kind == 2:
            del data[random.integers(0, len(data)) :]
        else:
            start = random.integers(0, len(data))
            data[start : start + random.integers(1, 200)] = random.bytes(random.integers(0, 200))
        if data == whole:
            continue
        (tmp_path / FILE_NAME).write_bytes(data)
        refused(clip, views, "spline", tmp_path)


def rewritten(saved, tmp_path, change, about=None) -> None:
    """The spline's checkpoint with other content and a checksum that fits it."""
    tensors = load_file(saved / FILE_NAME)
    text = load_checkpoint(saved)._text()
    described = json.loads(text)
    change(tensors)
    if about is not None:
        about(described)
    text = json.dumps(described)
    metadata = {"endogs": text, "checksum": checksum_of(text, {k: v for k, v in tensors.items()})}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / FILE_NAME, metadata)


WRONG = [
    *(("step", value) for value in (-1, 25, 13, 10**18, 10**30, 1.5, True, "12", None, [12], float("nan"))),
    *(("log", value) for value in (None, {}, "log", [3], [{}], [{"step": "1"}], [{"step": 1}], 30 * [{"step": 1}])),
    *(("log", [{"step": 12, "seconds": value}]) for value in (-1, "1", None, [], {}, 10**30)),
    *(("log", [{"step": value, "seconds": 1.0}]) for value in (13, -1, 2.5, True, None)),
    ("log", [{"step": 9, "seconds": 1.0}, {"step": 3, "seconds": 1.0}]),
    *(("run", value) for value in (None, [], "run", {"fit": 3}, {"fit": []})),
    *(("format", value) for value in (None, 2, "endogs-checkpoint-0")),
]


@pytest.mark.parametrize(("key", "value"), WRONG, ids=lambda part: str(part)[:30])
def test_wrong_words_are_refused(clip, views, saved, tmp_path, key, value):
    rewritten(saved("spline"), tmp_path, lambda tensors: None, lambda about: about.update({key: value}))
    refused(clip, views, "spline", tmp_path)


def test_words_that_are_not_there_are_refused(clip, views, saved, tmp_path):
    for key in ("format", "step", "log", "run"):
        rewritten(saved("spline"), tmp_path, lambda tensors: None, lambda about, key=key: about.pop(key))
        refused(clip, views, "spline", tmp_path)
    tensors = load_file(saved("spline") / FILE_NAME)
    for metadata in (None, {}, {"endogs": "["}, {"endogs": "[" * 10**5}, {"endogs": "{}"}, {"endogs": "3"}):
        save_file(tensors, tmp_path / FILE_NAME, metadata)
        refused(clip, views, "spline", tmp_path)


TYPES = (torch.float16, torch.bfloat16, torch.float8_e5m2, torch.bool, torch.int16, torch.complex64)


@pytest.mark.parametrize("name", FITS)
def test_tensors_of_another_model_are_refused(clip, views, saved, tmp_path, name):
    """Every tensor: missing, of another type or shape, of another fit's size, not finite, out of range."""
    names = sorted(load_file(saved(name) / FILE_NAME))
    random = np.random.default_rng(len(name))
    for key in names if LONG or name == "spline" else random.choice(names, 4, replace=False):

        def trial(change, key=key):
            def on(tensors):
                tensors[key] = change(tensors[key])

            rewritten(saved(name), tmp_path, on)
            refused(clip, views, name, tmp_path)

        rewritten(saved(name), tmp_path, lambda tensors, key=key: tensors.pop(key))
        if key != "rigid_neighbours":  # there only when they are known
            refused(clip, views, name, tmp_path)
        trial(lambda t: t[None])
        trial(lambda t: torch.cat([t.reshape(-1), t.reshape(-1)]))
        trial(lambda t: t.double() if t.dtype != torch.float64 else t.float())
        trial(lambda t: t.to(TYPES[random.integers(len(TYPES))]))
        if key == "squared_error":
            continue
        worse = [float("nan"), float("inf"), -float("inf")] if key not in ("steps",) else [-1, 25, 2**62]
        example = load_file(saved(name) / FILE_NAME)[key]
        if not example.is_floating_point():
            worse = [-2, 10**6, -(2**31)]
        for value in worse:
            trial(
                lambda t, value=value: torch.cat([t.reshape(-1)[1:], torch.tensor([value], dtype=t.dtype)]).reshape(
                    t.shape
                )
            )


def test_more_or_fewer_gaussians_than_a_model_has_are_refused(clip, views, saved, tmp_path):
    def extend(tensors):
        for key in ("base", "base_m", "base_v"):
            tensors[key] = torch.cat([tensors[key], tensors[key]])

    rewritten(saved("none"), tmp_path, extend)
    assert "the run has at most 185" in refused(clip, views, "none", tmp_path)
    rewritten(saved("none"), tmp_path, lambda tensors: tensors.update(more=torch.zeros(1)))
    assert "unknown tensor 'more'" in refused(clip, views, "none", tmp_path)


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [1.0, 0.0], [0.0, float("inf")], [0.0, float("nan"), 1.0]])
def test_knots_that_are_none_are_refused(clip, views, saved, tmp_path, values):
    knots = torch.tensor(values, dtype=torch.float64)
    rewritten(saved("spline"), tmp_path, lambda tensors: tensors.update(breakpoints=knots))
    assert "no knots" in refused(clip, views, "spline", tmp_path)


def test_a_file_that_announces_much_is_refused_before_anything_is_made(clip, views, saved, tmp_path):
    """A header of 10^15 Gaussians without the bytes, and a sparse file that has them."""
    whole = (saved("none") / FILE_NAME).read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])
    for rows in (10**15, 2**26):
        size = rows * 14 * 4
        header["base"] = {"dtype": "F32", "shape": [rows, 14], "data_offsets": [0, size]}
        text = json.dumps({"__metadata__": header["__metadata__"], "base": header["base"]}).encode()
        with (tmp_path / FILE_NAME).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            if size < 2**40:
                file.truncate(8 + len(text) + size)
        refused(clip, views, "none", tmp_path)
