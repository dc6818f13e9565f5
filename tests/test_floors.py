"""The house stands: rooms import downwards only, and what must stay light is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "endogs"
FLOORS = {
    "geometry": 0,
    "camera": 0,
    "gaussians": 0,
    "errors": 0,
    "native": 0,
    "device": 0,
    "depth_colors": 0,
    "output": 0,
    "partial_names": 0,
    "file_lock": 0,
    "folder_swap": 0,
    "system_refusals": 0,
    "plain_text": 0,
    "text_encoding": 0,
    "bounded_files": 0,
    "bounded_arrays": 0,
    "memory_budget": 0,
    "options": 0,
    "version": 0,
    "open3d_library": 0,
    "render": 1,
    "clip": 2,
    "priors": 3,
    "scene": 4,
    "fit": 5,
    "pictures": 5,
    "export": 6,
    "evaluate": 6,
    "phantom": 6,
    "doctor": 6,
    "live": 7,
    "pipeline": 7,
    "cli": 8,
    "option_words": 8,
    "standard_streams": 8,
    "__main__": 8,
    "__init__": 8,  # the front door names the rooms' main functions, and loads them when they are first used
}
HEAVY = ("torch", "numpy", "cv2", "open3d", "scipy", "av", "safetensors", "transformers", "viser")
NOTHING_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The room or floor-0 module that a file belongs to, e.g. "fit" or "camera"."""
    return Path(name_of(path).split("/")[0]).stem


def rooms_used(tree: ast.AST) -> set[str]:
    """Rooms named by any import, at the top or inside a function, and by any string such as "endogs.fit:run"."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            names = [node.value]
        for name in names:
            parts = name.replace(":", ".").split(".")
            if parts[0] == "endogs" and len(parts) > 1 and parts[1] in FLOORS:
                found.add(parts[1])
    return found


def upward_imports(path: Path) -> set[str]:
    """Rooms of the file's own floor or above, other than its own, that it uses. Floor 0 is one room in many files; the
    top floor may use everything.
    """
    floor, found = FLOORS[room_of(path)], set()
    for used in rooms_used(ast.parse(path.read_text())) - {room_of(path)}:
        if FLOORS[used] >= max(floor, 1) and floor < 8:
            found.add(used)
    return found


def test_every_room_has_a_floor():
    assert {room_of(path) for path in MODULES} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_downwards_only(path):
    assert upward_imports(path) == set()


def test_the_search_sees_imports_wherever_they_hide():
    source = """
import endogs.fit.loop
from endogs import native, __version__
HOME = "endogs.export:run_points"
def late():
    from endogs.evaluate.metrics import psnr
"""
    assert rooms_used(ast.parse(source)) == {"fit", "native", "export", "evaluate"}


def test_rooms_are_named_after_something():
    assert [name_of(p) for p in MODULES if {p.stem, *p.relative_to(PACKAGE).parts} & NOTHING_NAMES] == []


def test_files_hold_one_idea():
    assert [name_of(p) for p in MODULES if len(p.read_text().splitlines()) >= 400] == []


@pytest.mark.parametrize(
    ("statement", "stays_out"),
    [
        ("import endogs, endogs.cli", HEAVY),
        ("import endogs.fit, endogs.clip, endogs.export, endogs.phantom, endogs.doctor", ("open3d", "transformers")),
        (
            "import endogs.pipeline.reconstruct, endogs.evaluate.evaluate, endogs.phantom.writer",
            ("open3d", "transformers"),
        ),
        ("import endogs.clip.layouts", ("torch", "open3d")),
    ],
)
def test_heavy_libraries_load_only_when_used(statement, stays_out):
    code = f"import sys; {statement}; print([name for name in {stays_out} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("config", [p for p in MODULES if p.name == "config.py"], ids=name_of)
def test_settings_are_read_without_heavy_libraries(config):
    tree = ast.parse(config.read_text())
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert not {name.split(".")[0] for name in imported} & set(HEAVY)
