"""Damage to the files of a folder: by their kind where it is known, else by bytes; and as things of the disk."""

import io
import json
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from random import Random

import numpy as np

from attacker import evil
from attacker.pickles import pickle_that_makes
from attacker.pictures import harm_picture

TEXT_ENDINGS = {".txt", ".csv", ".xml", ".yaml", ".yml", ".ini", ".toml", ".tum", ".md", ".jsonl", ".html"}
PICTURE_ENDINGS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp"}


def pick_file(random: Random, root: Path) -> Path:
    """A file below `root`; every kind (folder and ending) has the same chance, so that pictures do not crowd it."""
    kinds: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            kinds.setdefault((str(path.parent), path.suffix.lower()), []).append(path)
    return random.choice(kinds[random.choice(sorted(kinds))])


def harm_folder(random: Random, root: Path, canary: Path) -> tuple[list[str], list[str]]:
    """One to three damages below `root`; returns what was done, and the names of the files concerned."""
    said, names = [], []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not any(path.is_file() for path in root.rglob("*")):
            break
        file = pick_file(random, root)
        what = harm_disk(random, root, file) if random.random() < 0.15 else harm_file(random, file, canary)
        said.append(f"{file.relative_to(root)}: {what}")
        names += [file.name, file.parent.name, file.stem]
    return said, names


def harm_file(random: Random, file: Path, canary: Path) -> str:
    """Make one file worse, as a file of its kind or as bytes; returns what was done."""
    if not stat.S_ISREG(file.stat().st_mode):  # what an earlier damage put in its place has no end
        return "left as it is"
    try:
        if random.random() < 0.88:
            return _harm_kind(random, file, canary)
    except (ValueError, KeyError, IndexError, OSError, RecursionError, zipfile.BadZipFile, zlib.error):
        pass  # it is no longer what its name says
    try:
        changed, said = evil.harm_bytes(random, file.read_bytes())
        file.write_bytes(changed)
    except OSError:
        return "left as it is"
    return said


def _harm_kind(random: Random, file: Path, canary: Path) -> str:
    ending = file.suffix.lower()
    content = file.read_bytes()
    if ending == ".json":
        return _json(random, file, content)
    if ending in TEXT_ENDINGS:
        text, said = evil.harm_text(random, content.decode("utf-8", "replace"))
        coding = random.choice(("utf-8",) * 8 + ("utf-16", "latin-1"))
        file.write_bytes(text.encode(coding, "surrogatepass" if coding == "utf-8" else "replace"))
        return said + ("" if coding == "utf-8" else f", as {coding}")
    if ending == ".npy":
        return harm_array(random, file, canary)
    if ending in PICTURE_ENDINGS:
        return harm_picture(random, file)
    if ending in (".xlsx", ".npz", ".zip"):
        return harm_zip(random, file)
    changed, said = evil.harm_bytes(random, content)
    file.write_bytes(changed)
    return said


def _json(random: Random, file: Path, content: bytes) -> str:
    if random.random() < 0.15:
        text, said = evil.harm_text(random, content.decode("utf-8", "replace"))
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        return said
    if random.random() < 0.05:
        depth = random.choice((100, 5000, 200_000))
        file.write_text(random.choice(("[", '{"a":')) * depth)
        return f"{depth} levels deep"
    value, said = evil.harm_json(random, json.loads(content))
    file.write_bytes(json.dumps(value).encode("utf-8", "surrogatepass"))
    return said


def harm_array(random: Random, file: Path, canary: Path) -> str:
    """An npy file with values, types or shapes of another kind, or a header that promises something else."""
    array = np.load(file)
    acts = (
        "nan",
        "inf",
        "huge",
        "zero",
        "type",
        "rows",
        "flat",
        "deep",
        "empty",
        "scalar",
        "header",
        "pickle",
        "structured",
    )
    act = random.choice(acts)
    if act in ("nan", "inf", "huge", "zero"):
        value = {"nan": np.nan, "inf": np.inf, "huge": 1e300, "zero": 0.0}[act]
        array = array.astype(np.float64)
        if array.size:
            array.ravel()[random.randrange(array.size)] = value
    elif act == "type":
        kinds = ("f2", "f4", "f8", ">f8", "i1", "u8", "?", "c16", "S3", "U3", "M8[s]", "m8[s]", "g")
        with np.errstate(all="ignore"):
            array = array.astype(np.float64).astype(random.choice(kinds))
    elif act == "rows":
        array = random.choice(
            (array[:-1], array[:0], np.concatenate([array, array]), array[:, :-1] if array.ndim > 1 else array)
        )
    elif act == "flat":
        array = array.ravel()
    elif act == "deep":
        array = array[None, ..., None]
    elif act == "empty":
        array = np.zeros((0, 0, 3)[: random.randrange(1, 4)])
    elif act == "scalar":
        array = np.float64(random.choice((1.0, np.nan)))
    elif act == "structured":
        array = np.zeros(3, [("a", "f8"), ("b", "i4")])
    elif act == "pickle":
        file.write_bytes(b"\x93NUMPY\x01\x00" + _npy_header("'|O'", "(1,)") + pickle_that_makes(canary))
        return "array: a pickle"
    else:
        shape = random.choice(
            ("(1000000000, 17)", "(-1, 17)", "(2**40,)", "'a'", "(10**30,)", "(3.5,)", "(0, 10**18)", "()")
        )
        file.write_bytes(
            b"\x93NUMPY\x01\x00" + _npy_header(random.choice(("'<f8'", "'<f4'", "'|V0'", "'x'")), shape) + b"\0" * 64
        )
        return f"array: a header of shape {shape}"
    with file.open("wb") as out:
        np.save(out, array)
    return f"array: {act} {array.dtype if hasattr(array, 'dtype') else ''} {getattr(array, 'shape', '')}"


def _npy_header(kind: str, shape: str) -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return len(text).to_bytes(2, "little") + text.encode()


def harm_zip(random: Random, file: Path) -> str:
    """A zip archive (xlsx, npz) with one member made worse, missing or renamed."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(members))
    act = random.choice(("content", "content", "content", "content", "missing", "renamed", "bytes"))
    said = act
    if act == "missing":
        del members[name]
    elif act == "renamed":
        members[random.choice(("../../x", "/etc/x", "A" * 300, "x.xml", "\x1b[2J"))] = members.pop(name)
    elif name.endswith((".xml", ".rels")) and act == "content":
        text, said = evil.harm_text(random, members[name].decode("utf-8", "replace"))
        members[name] = text.encode("utf-8", "replace")
    else:
        members[name], said = evil.harm_bytes(random, members[name])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    content = packed.getvalue()
    if act == "bytes":
        content, said = evil.harm_bytes(random, content)
    file.write_bytes(content)
    return f"{name}: {said}"


def harm_disk(random: Random, root: Path, file: Path) -> str:
    """Something that is no file in a file's place, or a file in another's; returns what was done."""
    act = random.choice(
        (
            "missing",
            "folder",
            "pipe",
            "loop",
            "nowhere",
            "zero",
            "full",
            "big",
            "other",
            "renamed",
            "extra",
            "proc",
            "double",
        )
    )
    names = ("..data", "x" * 250, "\x1b[2Jx", "a\nb", b"\xff\xfe".decode("utf-8", "surrogateescape"), "²", "-rf", "a;b")
    if act == "extra":
        (file.parent / (random.choice(names)[:200] + file.suffix)).write_bytes(file.read_bytes())
        return "a stranger's name beside it"
    if act == "double":
        shutil.copytree(file.parent, root.parent / "double", symlinks=True, dirs_exist_ok=True)
        (file.parent / "double").symlink_to(root)
        return "a folder that contains itself"
    if act == "renamed":
        file.rename(file.parent / (random.choice(names)[:200] + file.suffix))
        return "renamed"
    if act == "other":
        others = [path for path in sorted(root.rglob("*")) if path.is_file() and path != file]
        if others:
            file.write_bytes(random.choice(others).read_bytes())
        return "another file's content"
    file.unlink()
    if act == "folder":
        file.mkdir()
    elif act == "pipe":
        os.mkfifo(file)
    elif act == "loop":
        file.symlink_to(file.name)
    elif act == "nowhere":
        file.symlink_to("/nonexistent/x")
    elif act in ("zero", "full"):
        file.symlink_to(f"/dev/{act}")
    elif act == "proc":
        file.symlink_to(random.choice(("/proc/self/environ", "/proc/self/mem", "/sys/kernel/mm")))
    elif act == "big":
        with file.open("wb") as out:
            out.truncate(random.choice((1 << 33, 1 << 30)))
    return act
