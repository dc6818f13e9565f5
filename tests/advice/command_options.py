"""What every command's options are and which values they take, read from the dataclasses that make the commands."""

import types
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from endogs import cli
from endogs.pictures.config import LightOptions


def verb_options() -> dict[str, dict[str, frozenset[str]]]:
    """By verb, as "evaluate" or "export mesh": its options, each with the words it takes, which are none for numbers,
    paths and switches.
    """
    found = {}
    for verb in get_args(cli.Verb):
        kind, named = get_args(verb)
        if kind is cli.Export:
            kinds = get_args(get_args(get_type_hints(cli.Export, include_extras=True)["what"])[0])
            found |= {f"export {name.name}": options_of(one) for one, name in map(get_args, kinds)}
        else:
            found[named.name] = options_of(kind)
    return found


def options_of(kind: type, prefix: str = "") -> dict[str, frozenset[str]]:
    options: dict[str, frozenset[str]] = {}
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if is_dataclass(inner):
            options |= options_of(inner, "light." if inner is LightOptions else "")
        elif "Positional" not in repr(hint):
            option = "--" + prefix + field.name.replace("_", "-")
            options[option] = words_of(hint)
            if inner is bool:
                options[option.replace("--" + prefix, "--" + prefix + "no-")] = frozenset()
    return options


def words_of(hint: Any) -> frozenset[str]:
    """The words of all Literals in a type."""
    if get_origin(hint) is Literal:
        return frozenset(str(word) for word in get_args(hint))
    if get_origin(hint) in (Annotated, Union, types.UnionType, tuple):
        return frozenset().union(*(words_of(part) for part in get_args(hint) if part is not Ellipsis))
    return frozenset()
