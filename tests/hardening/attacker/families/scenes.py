"""Scene files with damaged bytes, tensors and metadata, met by every verb that opens a scene."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

from attacker import evil
from attacker.case import Case, Workplace
from attacker.families.verbs import scene_command
from attacker.pickles import pickle_that_makes, torch_file_that_makes
from attacker.samples import SCENES
from attacker.tensors import Tensors, harm_metadata, harm_tensors, resize_all, strain


def damaged_scene(at: Workplace) -> Case:
    """A sound scene beside its clip, its file made worse, and a verb."""
    random, kind = at.random, at.random.choice(sorted(SCENES))
    shutil.copytree(at.sample(f"scene-{kind}"), at.folder, dirs_exist_ok=True)
    path = at.folder / "out" / "scene.safetensors"
    turn = random.random()
    if turn < 0.12:
        changed, said = evil.harm_bytes(random, path.read_bytes())
        path.write_bytes(changed)
    elif turn < 0.2:
        said = _harm_header(at, path)
    else:
        file, done = Tensors.read(path), []
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            act = random.random()
            if act < 0.3:
                done.append(harm_tensors(random, file))
            elif act < 0.4:
                done.append(resize_all(random, file))
            elif act < 0.52:
                done.append(strain(random, file))
            elif act < 0.8:
                done.append(harm_metadata(random, file))
            else:
                done.append(mislead(at, file))
        file.write(path)
        said = "; ".join(done)
    arguments, seconds = scene_command(random, random.choice(("out", "out/scene.safetensors")))
    names = ("scene.safetensors", "out", "clip")
    return Case(f"{kind} scene, {said}", arguments, names, view_seconds=seconds)


def _harm_header(at: Workplace, path: Path) -> str:
    """The file's outermost structure: its length, its header's entries, or something else under its name."""
    random, content = at.random, path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    act = random.choice(("length", "entry", "entry", "entry", "pickle", "torch", "zip", "text"))
    if act == "length":
        value = random.choice((0, 1, length + 1, length - 1, 2**40, 2**63, 2**64 - 1, 100_000_000))
        path.write_bytes(struct.pack("<Q", value) + content[8:])
    elif act == "entry":
        header, act = evil.harm_json(random, json.loads(content[8 : 8 + length]))
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    elif act == "pickle":
        path.write_bytes(pickle_that_makes(at.canary))
    elif act == "torch":
        torch_file_that_makes(path, at.canary)
    else:
        path.write_bytes({"zip": b"PK\x03\x04", "text": b"hello, I am a scene"}[act] * 20)
    return f"header: {act}"


def mislead(at: Workplace, file: Tensors) -> str:
    """Metadata of the right kind of value that asks for something: a file, a model, a call, a size, a terminal."""
    random = at.random
    try:
        about: dict[str, Any] = json.loads(file.metadata["endogs"])
        inner = about["metadata"]
        config = inner.setdefault("config", {})
        act = random.choice(("sam2", "hub", "input", "paths", "size", "title", "names", "clip", "times", "model"))
        if act == "sam2":
            config |= {
                "masks": "sam2",
                "sam2": {
                    "sam2_model": random.choice(
                        (at.url, "stranger/model", "/etc", "clip", "facebook/sam2.1-hiera-tiny")
                    )
                },
            }
        elif act == "hub":
            config |= {
                "masks": "sam2",
                "sam2": {"sam2_model": "stranger/model", "sam2_mask": ["0:/etc/passwd"], "sam2_click": ["0:1,1"]},
            }
        elif act == "input":
            config["input"] = random.choice(
                (at.url, at.url + "/x.m3u8", "/etc/passwd", "/dev/zero", "~", "/", "..", "-", "\x00", 5, ["clip"])
            )
        elif act == "paths":
            config["clip"] = {
                **(config.get("clip") or {}),
                random.choice(("ignore_mask", "calibration")): random.choice(
                    ("/etc/passwd", "/dev/zero", "/", "", 3, at.url, [], {})
                ),
            }
        elif act == "size":
            about["width"], about["height"] = random.choice(
                ((16384, 16384), (10**9, 10**9), (1, 10**6), (60000, 2), (2**31, 1), (2**63, 2**63))
            )
        elif act == "title":
            inner["clip"] = random.choice(evil.TEXTS)
        elif act == "names":
            inner |= {
                "versions": random.choice(evil.TEXTS),
                "split": random.choice(evil.TEXTS),
                "depth_prior": random.choice(evil.TEXTS),
            }
        elif act == "clip":
            config["clip"] = {
                **(config.get("clip") or {}),
                random.choice(
                    ("crop", "ignore_rows", "stride", "max_size", "start", "end", "fps", "focal")
                ): evil.json_values(random),
            }
        elif act == "times":
            frames = len(about["times"])
            about["times"] = random.choice(
                (
                    [0.0] * frames,
                    [1e300] * frames,
                    [i * 1e-320 for i in range(frames)],
                    [0.0] * 10**6,
                    [0.0],
                    [-5.0 + i for i in range(frames)],
                )
            )
        else:
            inner["depth_prior"] = {"prior": "learned", "model": random.choice((at.url, "stranger/model", "/etc"))}
        file.metadata["endogs"] = json.dumps(about)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "nothing to mislead with"
    return f"metadata misleads by {act}"
