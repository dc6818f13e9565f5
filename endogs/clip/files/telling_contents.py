"""What a file beside the frames seems to hold by its first bytes, whatever its name: cameras, poses, times or masks."""

import re
from itertools import pairwise
from pathlib import Path

from endogs.text_encoding import decoded

TABLES = (".txt", ".csv", ".tsv", ".dat", ".tum", ".log")
TREES = (".json", ".yaml", ".yml", ".xml")
HEAD = 4096
"""Bytes that are looked at."""
LEAST_TIMES = 3
"""Numbers that go up and are times; fewer are settings."""
POSE_COLUMNS = (7, 8, 12, 13, 16, 17)
"""Position and quaternion, a 3 x 4 or a 4 x 4 matrix; each with or without a time."""
KEYS = (
    ("masks", r"\bimagePath\b|\bsegmentations?\b|\bannotations\b"),
    (
        "poses",
        r"\b(transform_?matrix|c2w|w2c|cam(era)?_?(to|2)_?world|world_?(to|2)_?cam(era)?|extrinsics?|quaternion)\b",
    ),
    (
        "a calibration",
        r"\b(fl_x|fx|camera_?matrix|intrinsics?|focal_?length|dist(ortion)?_?coeff\w*|cam0|K1|M1|principal_?point)\b",
    ),
    ("times", r"\b(fps|frame_?rate|time_?stamps?)\b"),
)
"""Names of entries that tell what a JSON, YAML or XML holds; the first that is there does."""
ROTATION = re.compile(r"q_?[wxyz]|quat\w*|roll|pitch|yaw|r[xyz]")
TIME = re.compile(r"t|time\w*|stamps?|\w*time_?s(ec\w*)?|seconds?|ms|\w*timestamp\w*")


def held(path: Path) -> str | None:
    """What the start of a table, tree or .npy file says that it holds, such as "poses"; None where it says nothing."""
    suffix = path.suffix.lower()
    if suffix not in (*TABLES, *TREES, ".npy"):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    if suffix == ".npy":
        return _of_shape(head)
    text = decoded(head)
    if suffix in TREES:
        return next((what for what, pattern in KEYS if re.search(pattern, text, re.I)), None)
    lines = text.splitlines()
    return _of_table(lines[:-1] if len(head) == HEAD else lines)


def _of_shape(head: bytes) -> str | None:
    """What an array is by the shape in its header."""
    found = re.search(rb"'shape': \(([\d, ]*)\)", head[:256]) if head.startswith(b"\x93NUMPY") else None
    shape = [int(size) for size in re.findall(rb"\d+", found[1])] if found else []
    if shape[-2:] in ([4, 4], [3, 4]) and len(shape) < 4:
        return "poses"
    if shape[-2:] == [3, 3] and len(shape) < 4:
        return "a calibration"
    return "poses" if len(shape) == 2 and shape[0] > 1 and shape[1] in POSE_COLUMNS else None


def _of_table(lines: list[str]) -> str | None:
    """What rows of numbers are, by their columns and the names above these."""
    rows: list[list[float]] = []
    names: list[str] = []
    for line in lines:
        words = re.split(r"[,;\s]+", line.strip(" ,;\t#[]"))
        if words == [""]:
            continue
        try:
            row = [float(word.strip("[]")) for word in words]
        except ValueError:
            if rows and not line.lstrip().startswith(("#", "%", "/")):
                return None
            names = [word.lower() for word in words] if not rows else names
            continue
        rows.append(row)
    if not rows or len({len(row) for row in rows}) > 1:
        return None
    columns = len(rows[0])
    if len(rows) == 3 == columns:
        return "a calibration"
    is_matrix = columns == 4 and len(rows) in (3, 4)
    if is_matrix or any(map(ROTATION.fullmatch, names)) or (columns in POSE_COLUMNS and len(rows) > 1):
        return "poses"
    rises = len(rows) >= LEAST_TIMES and all(before[-1] < after[-1] for before, after in pairwise(rows))
    return "times" if rises and (columns == 1 or (columns == 2 and any(map(TIME.fullmatch, names)))) else None
