"""safetensors files taken apart and put together again without the library, so that anything can stand in them."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from attacker import evil

SIZES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2},
    **{"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8, "F8_E8M0": 1, "F4": 1},
}
"""Bytes per number by the format's names of types."""
NUMPY = {
    "F32": np.float32,
    "F64": np.float64,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "U8": np.uint8,
    "BOOL": bool,
}


@dataclass
class Tensors:
    """A file's content: by name the type, the shape and the bytes; and its metadata, text by name."""

    tensors: dict[str, tuple[str, list[int], bytes]]
    metadata: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "Tensors":
        """Of a sound file."""
        content = path.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        body = content[8 + length :]
        return cls({n: (e["dtype"], e["shape"], body[slice(*e["data_offsets"])]) for n, e in header.items()}, metadata)

    def write(self, path: Path) -> None:
        """Under the names and types as they are, true or not."""
        header: dict[str, Any] = {"__metadata__": self.metadata}
        body, at = [], 0
        for name, (kind, shape, content) in self.tensors.items():
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(content)]}
            body.append(content)
            at += len(content)
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))

    def array(self, name: str) -> np.ndarray:
        """A tensor's numbers, to be changed and put back with `put`."""
        kind, shape, content = self.tensors[name]
        return np.frombuffer(content, NUMPY[kind]).reshape(shape).copy()

    def put(self, name: str, array: np.ndarray, kind: str | None = None) -> None:
        """Replace a tensor, or add one."""
        kinds = {np.dtype(value): key for key, value in NUMPY.items()}
        found = kind or kinds[array.dtype]
        self.tensors[name] = (found, list(array.shape), np.ascontiguousarray(array, NUMPY[found]).tobytes())


VALUES = (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e30, -1e30, 1e-40, 1e-45, 0.0, -0.0, 1e10, -1e10, 88.8, -200.0, 3.4e38)


def harm_tensors(random: Random, file: Tensors) -> str:
    """One tensor made worse; returns what was done."""
    if not file.tensors:
        return "nothing to harm"
    inner = [name for name in sorted(file.tensors) if name.startswith(("deformation.", "appearance."))]
    name = random.choice(inner if inner and random.random() < 0.5 else sorted(file.tensors))
    kind, shape, content = file.tensors[name]
    acts = (
        "values",
        "values",
        "values",
        "type",
        "type",
        "retype",
        "rows",
        "cut",
        "flat",
        "deep",
        "empty",
        "drop",
        "rename",
        "extra",
        "bytes",
        "all",
    )
    act = random.choice(acts)
    if kind not in NUMPY and act in ("values", "type", "rows", "cut", "all"):
        act = "retype"
    if act in ("values", "all"):
        array = file.array(name)
        value = random.choice(VALUES)
        with np.errstate(all="ignore"):
            array = array.astype(np.float64)
            for _ in range(random.choice((1, 1, 5, 50))):
                if array.size:
                    array.ravel()[random.randrange(array.size)] = value
            if act == "all":
                array[...] = value
            file.put(name, array.astype(NUMPY[kind]), kind)
        return f"{name}: {act} {value}"
    if act == "type":
        other = random.choice(sorted(NUMPY))
        with np.errstate(all="ignore"):
            file.put(name, file.array(name).astype(NUMPY[other]), other)
        return f"{name}: {kind} became {other}"
    if act == "retype":
        other = random.choice(sorted(SIZES))
        bytes_needed = int(np.prod(shape, dtype=np.int64)) * SIZES[other]
        file.tensors[name] = (other, shape, (content * (bytes_needed // max(len(content), 1) + 1))[:bytes_needed])
        return f"{name}: {kind} called {other}"
    if act in ("rows", "cut"):
        array = file.array(name)
        axis = random.randrange(array.ndim) if array.ndim else 0
        if array.ndim:
            piece = np.take(array, [0], axis) if array.shape[axis] else array
            array = np.concatenate([array, piece], axis) if act == "rows" else np.delete(array, np.s_[-1:], axis)
        file.put(name, array, kind)
        return f"{name}: shape {array.shape}"
    if act in ("flat", "deep", "empty"):
        numbers = int(np.prod(shape)) if shape else 1
        new = {"flat": [numbers], "deep": [1, *shape, 1], "empty": [0, *shape[1:]]}[act]
        file.tensors[name] = (kind, new, b"" if act == "empty" else content)
        return f"{name}: shape {new}"
    if act == "drop":
        del file.tensors[name]
    elif act == "rename":
        file.tensors[random.choice((name + "_", name.upper(), *evil.TEXTS[:14]))] = file.tensors.pop(name)
    elif act == "extra":
        other = random.choice(
            ("x", "deformation.x", "appearance.x", "visibility.drawn", "deformation.", "base ", "\x1b[2J")
        )
        file.tensors[other] = file.tensors[name]
        return f"the extra tensor {other!r}"
    else:
        file.tensors[name] = (kind, shape, random.randbytes(len(content)))
    return f"{name}: {act}"


def harm_metadata(random: Random, file: Tensors, key: str = "endogs") -> str:
    """The JSON beside the tensors made worse; returns what was done."""
    turn = random.random()
    if turn < 0.06:
        file.metadata[key] = random.choice(("", "null", "[]", "3", "{", "\x00", "[" * 100_000, '{"a":' * 5000, "NaN"))
        return "metadata: no object"
    if turn < 0.14:
        text, said = evil.harm_text(random, file.metadata[key])
        file.metadata[key] = text
        return f"metadata: {said}"
    try:
        found = json.loads(file.metadata[key])
    except (ValueError, RecursionError):
        return "metadata: no object any more"
    value, said = evil.harm_json(random, found)
    file.metadata[key] = json.dumps(value)
    return f"metadata {said}"


def resize_all(random: Random, file: Tensors) -> str:
    """Another size wherever one stands, so that the tensors still fit each other; returns what was done."""
    known = [name for name in file.tensors if file.tensors[name][0] in NUMPY]
    sizes = sorted({size for name in known for size in file.tensors[name][1] if size > 0})
    if not sizes:
        return "nothing to resize"
    old = random.choice(sizes)
    new = random.choice((old + 1, old - 1, 1, 2 * old, 3, 0))
    for name in known:
        array = file.array(name)
        for axis, size in enumerate(array.shape):
            if size == old:
                array = np.take(array, np.arange(new) % old, axis)
        file.put(name, array)
    return f"size {old} became {new}"


FINITE = (
    0.0,
    1e-45,
    1e-40,
    1e-20,
    1e-8,
    80.0,
    88.7,
    -88.0,
    -104.0,
    1e4,
    -1e4,
    1e10,
    -1e10,
    1e19,
    -1e19,
    1e30,
    3.4e38,
    -3.4e38,
)


def strain(random: Random, file: Tensors) -> str:
    """Finite float32 values at the ends of what there is, in a tensor, a column or a row; returns what was done."""
    floats = [name for name in sorted(file.tensors) if file.tensors[name][0] == "F32" and file.array(name).size]
    if not floats:
        return "nothing to strain"
    name = "base" if "base" in floats and random.random() < 0.4 else random.choice(floats)
    array, value = file.array(name), np.float32(random.choice(FINITE))
    where = random.choice(("all", "column", "column", "columns", "row", "times"))
    if where == "all" or array.ndim == 0:
        array[...] = value
    elif where == "columns":
        start = random.randrange(array.shape[-1])
        array[..., start : start + 4] = value
    elif where == "column":
        array[..., random.randrange(array.shape[-1])] = value
    elif where == "row":
        array[random.randrange(array.shape[0])] = value
    else:
        with np.errstate(all="ignore"):
            array = np.nan_to_num(array * value)
    file.put(name, array)
    return f"{name}: {where} {value}"
