"""Recipes: what a data set is, where it comes from, and the options of its standard experiment, in scenes/*.toml.

`endogs reconstruct NAME --data DIR`, or with a recipe's file instead of the name: the recipe's options are defaults,
and those of the command line go before them. A recipe holds these keys and no others: title, layouts (kinds of
`endogs.clip.load`, of which the folder must have one), get, licence, citation, folder, units, and a table [options]
whose keys are those of the command line with underscores.
"""

from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from endogs.bounded_files import exists, expanded, is_file, read_toml
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.options import as_option
from endogs.pipeline.options import Reconstruct

TEXTS = ("title", "get", "licence", "citation", "folder", "units")
NOT_FOR_RECIPES = ("input", "data", "out", "resume", "overwrite", "live", "host", "port")
"""Options of one run, not of an experiment."""


@dataclass(frozen=True)
class Recipe:
    """A data set and its standard experiment."""

    path: Path
    """The TOML file."""
    title: str
    """The data set's name."""
    layouts: tuple[str, ...]
    """Kinds of clip that the data may be."""
    get: str
    """Where the data comes from, and what to do to get it."""
    licence: str
    """Under which terms."""
    citation: str
    """What to cite."""
    folder: str
    """What the folder given with --data holds."""
    units: str
    """Unit of lengths and where it comes from."""
    options: dict[str, Any]
    """Values by field of `Reconstruct`; groups of options are dataclasses."""


def scenes_folder() -> Path:
    """Where the recipes are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "scenes"
    return installed if installed.is_dir() else package.parent / "scenes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with endogs."""
    return sorted(path.stem for path in scenes_folder().glob("*.toml"))


def find_recipe(named: Path, data: Path | None) -> Recipe | None:
    """The recipe that the positional argument of `reconstruct` names, None when it names a clip.

    A name counts when --data is given or no clip of that name exists. Raises InputError when --data comes without a
    recipe, a recipe without --data, and as `load_recipe` does.
    """
    named = expanded(named)
    packaged = scenes_folder() / f"{named.name}.toml"
    known = named.parent == Path(".") and is_file(packaged)
    if named.suffix.lower() == ".toml":
        recipe = load_recipe(named)
    elif known and (data is not None or not exists(named)):
        recipe = load_recipe(packaged)
    elif data is not None:
        raise InputError(f"{named}: --data needs a recipe: a .toml file or one of {', '.join(recipe_names())}.")
    else:
        return None
    if data is None:
        raise InputError(
            f"{recipe.path}: say with --data where the data of {recipe.title} is: {recipe.folder}; get it from "
            f"{recipe.get}."
        )
    check_layout(recipe, data)
    return recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; InputError naming the file and the key for anything unknown, missing or of another type."""
    content = read_toml(path)
    for key in content:
        if key not in (*TEXTS, "layouts", "options"):
            raise InputError(f"{path}: unknown key {key}: a recipe has {', '.join(TEXTS)}, layouts and [options].")
    for key in TEXTS:
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise InputError(f"{path}: {key} must be a text: write one.")
    layouts = content.get("layouts")
    if not isinstance(layouts, list) or not layouts or not all(isinstance(kind, str) for kind in layouts):
        raise InputError(f"{path}: layouts must be a list of texts, the kinds of clip that the data may be.")
    options = content.get("options", {})
    if not isinstance(options, dict):
        raise InputError(f"{path}: options must be a table: write [options] above them.")
    texts = {key: " ".join(content[key].split()) for key in TEXTS}
    return Recipe(path=path, layouts=tuple(layouts), options=options_of(path, options), **texts)


def check_layout(recipe: Recipe, data: Path) -> None:
    """InputError saying what is missing when the folder `data` has none of the recipe's layouts."""
    from endogs.clip.load import LAYOUTS

    data = expanded(data)
    kinds = {layout.KIND: layout for layout in LAYOUTS}
    unknown = [kind for kind in recipe.layouts if kind not in kinds]
    if unknown:
        raise InputError(f"{recipe.path}: layouts names {unknown[0]}, but there are only {', '.join(kinds)}.")
    if not exists(data):
        raise InputError(f"{data}: no such file or folder: --data must name the data of {recipe.title}.")
    reasons = [(kind, kinds[kind].why_not(data, ClipOptions())) for kind in recipe.layouts]
    if all(reason is not None for _, reason in reasons):
        said = "; ".join(f"{kind}: {reason}" for kind, reason in reasons)
        raise InputError(f"{data}: not the data of {recipe.title} ({said}); expected: {recipe.folder}.")


def with_recipe(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of `Reconstruct` by name, completed by the recipe when `input` names one, and then without `data`.

    What is given goes before the recipe's. Raises InputError as `find_recipe` does.
    """
    data = options.get("data")
    recipe = find_recipe(Path(options["input"]), None if data is None else Path(data))
    if recipe is None or data is None:
        return options
    return {**recipe.options, **options, "input": expanded(Path(data)), "data": None}


def defaults(recipe: Recipe, start: float | None = None, end: float | None = None) -> Reconstruct:
    """The recipe's experiment, for a command line to change, in which `start` and `end` (s) are given or None.

    With only a start the recipe's part of the clip moves there and keeps its length.
    """
    default = replace(Reconstruct(recipe.path), **recipe.options)
    if start is None or end is not None or default.clip.end is None:
        return default
    length = default.clip.end - (default.clip.start or 0.0)
    return replace(default, clip=replace(default.clip, end=start + length))


def option_types() -> dict[str, tuple[str | None, Any]]:
    """Of each option of a recipe the field of `Reconstruct` that groups it, if any, and its type."""
    found: dict[str, tuple[str | None, Any]] = {}
    for name, hint in get_type_hints(Reconstruct).items():
        if is_dataclass(hint):
            found |= {inner: (name, kind) for inner, kind in get_type_hints(hint).items()}
        elif name not in NOT_FOR_RECIPES:
            found[name] = (None, hint)
    return found


def options_of(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Values by field of `Reconstruct`, of those that the file `path` gives by an option's name with underscores.

    Raises InputError naming the file and the option for one that is unknown or of another type.
    """
    kinds = option_types()
    plain: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if key not in kinds:
            raise InputError(f"{path}: unknown option {key}: use those of endogs reconstruct --help, with underscores.")
        group, hint = kinds[key]
        try:
            converted = as_option(value, hint)
        except TypeError:
            raise InputError(f"{path}: option {key} = {value!r} is not {_named(hint)}: correct it.") from None
        if group is None:
            plain[key] = converted
        else:
            grouped.setdefault(group, {})[key] = converted
    hints = get_type_hints(Reconstruct)
    return {**plain, **{group: hints[group](**inner) for group, inner in grouped.items()}}


def _named(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), [kind for kind in get_args(hint) if kind is not type(None)]
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is tuple:
        return "a list of " + " and ".join(dict.fromkeys(_named(kind) for kind in inner if kind is not Ellipsis))
    if inner:
        return " or ".join(_named(kind) for kind in inner)
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a text"}.get(
        hint, str(hint)
    )
