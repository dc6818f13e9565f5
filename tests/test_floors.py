"""The house stands: rooms import downwards only, and what must stay light is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "endogs"
FLOORS = {
    "geometry": 1,
    "camera": 1,
    "gaussians": 1,
    "errors": 1,
    "native": 1,
    "device": 1,
    "depth_colors": 1,
    "output": 1,
    "partial_names": 1,
    "file_lock": 1,
    "folder_swap": 1,
    "system_refusals": 1,
    "plain_text": 1,
    "bounded_files": 1,
    "bounded_arrays": 1,
    "memory_budget": 1,
    "options": 1,
    "open3d_library": 1,
    "exr_library": 1,
    "version": 1,
    "late_names": 1,
    "progress": 1,
    "text_encoding": 1,
    "render": 2,
    "clip": 3,
    "scene": 3,
    "priors": 4,
    "phantom": 4,
    "seeding": 5,
    "tracking": 5,
    "pictures": 5,
    "fit": 6,
    "export": 6,
    "evaluate": 6,
    "doctor": 6,
    "live": 7,
    "pipeline": 7,
    "batches": 8,
    "cli": 9,
    "cli_words": 9,
    "standard_streams": 9,
    "__main__": 9,
    "__init__": 9,  # the front door names the rooms' main functions, and loads them when they are first used
}
HEAVY = ("torch", "numpy", "cv2", "open3d", "scipy", "av", "safetensors", "transformers", "viser")
NOTHING_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The room or module of the ground floor that a file belongs to, e.g. "fit" or "camera"."""
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
    """Rooms of the file's own floor or above, other than its own, that it uses. The ground floor is one room in many
    files; the top floor may use everything.
    """
    floor, found = FLOORS[room_of(path)], set()
    for used in rooms_used(ast.parse(path.read_text())) - {room_of(path)}:
        if FLOORS[used] >= max(floor, 2) and floor < 9:
            found.add(used)
    return found


def test_every_room_has_a_floor():
    assert {room_of(path) for path in MODULES} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_downwards_only(path):
    assert upward_imports(path) == set()


def file_of(name: str) -> Path | None:
    """The file of a dotted name of the package; None for what is no file of it."""
    place = PACKAGE.parent / name.replace(".", "/")
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file() and PACKAGE in file.parents), None)


def home_of(module: str, name: str) -> Path | None:
    """The file where `name`, imported from `module`, is made: packages hand on names of their files."""
    file = file_of(f"{module}.{name}") or file_of(module)
    if file is None or file.name != "__init__.py" or file == file_of(f"{module}.{name}"):
        return file
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            return home_of(str(node.module), name)
    return file


def imported_files(path: Path) -> set[Path]:
    """Files of the package that a file imports, for types or inside functions too. Packages import nothing: they name
    what others may have from them."""
    found: set[Path | None] = set()
    for node in ast.walk(ast.parse(path.read_text())) if path.name != "__init__.py" else ():
        if isinstance(node, ast.Import):
            found |= {file_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {home_of(str(node.module), alias.name) for alias in node.names}
    return {file for file in found if file is not None and file != path}


def circles(imports: dict[Path, set[Path]]) -> list[str]:
    """Files that import each other, by whatever way round, as sentences."""
    reached: dict[Path, set[Path]] = {}
    for start in imports:
        seen: set[Path] = set()
        waiting = list(imports[start])
        while waiting:
            file = waiting.pop()
            if file not in seen:
                seen.add(file)
                waiting += imports.get(file, set())
        reached[start] = seen
    return sorted(name_of(path) for path in imports if path in reached[path])


def test_no_file_imports_itself_by_a_detour():
    assert circles({path: imported_files(path) for path in MODULES}) == []


KINDS = {"SplineDeformation", "StaticDeformation", "BasesDeformation", "HexplaneDeformation", "MlpDeformation",
         "LowrankDeformation", "LitColors", "HarmonicColors", "SplineAdam", "AutogradAdam"}  # fmt: skip
"""What a new deformation, colour model or optimizer would have to be asked for beside."""
HOMES = ("scene/deformation/", "scene/appearance/", "fit/optimize/")


@pytest.mark.parametrize("path", [p for p in MODULES if not name_of(p).startswith(HOMES)], ids=name_of)
def test_nobody_asks_for_the_kind_of_a_deformation_or_an_optimizer(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
            assert not asked & KINDS, ast.unparse(node)


def test_a_name_that_a_package_hands_on_is_that_of_its_file():
    assert home_of("endogs.clip", "Clip") == PACKAGE / "clip" / "clip.py"
    assert home_of("endogs.clip.layouts", "video") == PACKAGE / "clip" / "layouts" / "video.py"
    assert home_of("endogs.render", "rasterize_packed") == PACKAGE / "render" / "backends.py"
    assert home_of("numpy", "ndarray") is None


def test_a_circle_is_found():
    one, two, three = (PACKAGE / name for name in ("a.py", "b.py", "c.py"))
    assert circles({one: {two}, two: {three}, three: {one}}) == ["a.py", "b.py", "c.py"]
    assert circles({one: {two, three}, two: {three}, three: set()}) == []


def test_a_scene_knows_no_clip_and_a_fit_no_pipeline():
    for path in MODULES:
        used = rooms_used(ast.parse(path.read_text()))
        if room_of(path) == "scene":
            assert not used & {"clip", "priors"}, path
        if room_of(path) == "fit":
            assert not used & {"pipeline", "live"}, path


def test_the_search_sees_imports_wherever_they_hide():
    source = """
import endogs.fit.loop
from endogs import native, __version__
HOME = "endogs.export:run_points"
def late():
    from endogs.evaluate.metrics.metrics import psnr
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
        ("import endogs.clip.load", ("torch", "open3d")),
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
