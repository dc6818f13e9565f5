"""Options in words: how tyro reads the verbs' dataclasses, so that their help shows no Python.

`X | None` is an option that may be left out; its text says what happens then.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from types import NoneType
from typing import Annotated, Any, Union, get_args

from tyro.conf import UseAppendAction, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

from endogs.plain_text import plain

BARE = {"evaluate": {"--trajectory": "clip"}}
"""By verb: options that may stand without a word, and the word that they then mean."""
IN_WORDS = ConstructorRegistry()
"""The rules below, which go before tyro's own."""
ASKED = "asked"
"""Marks a question to tyro's own rules, so that ours do not answer it again."""


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """The command line with the words that options without one mean."""
    meant = BARE.get(arguments[0], {}) if arguments else {}
    found = []
    for word, following in zip_longest(arguments, arguments[1:]):
        found.append(word)
        if word in meant and (following is None or following.startswith("--")):
            found.append(meant[word])
    return found


@IN_WORDS.primitive_rule
def without_none(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    """`X | None` as X: None is no word to type."""
    kinds = get_args(info.type)
    if NoneType not in kinds:
        return None
    rest: Any = Union[tuple(kind for kind in kinds if kind is not NoneType)]  # noqa: UP007  # made at run time
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(rest, info.markers))
    if isinstance(spec, UnsupportedTypeAnnotationError):
        return spec
    words = spec.str_from_instance
    return replace(spec, str_from_instance=lambda value: [] if value is None else words(value))


@IN_WORDS.primitive_rule
def number_in_words(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    """An int or a float as tyro reads it, but for what is said about words that are none."""
    if info.type not in (int, float) or ASKED in info.markers:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(info.type, {*info.markers, ASKED}))
    if isinstance(spec, UnsupportedTypeAnnotationError):
        return spec
    kind = "a whole number" if info.type is int else "a number"

    def read(words: list[str]) -> Any:
        try:
            return info.type(words[0])  # type: ignore[call-arg]
        except ValueError:  # Python reads no int of more than 4300 digits
            raise ValueError(f"{plain(words[0], 40)} is not {kind} that can be read") from None

    return replace(spec, instance_from_str=read)


@IN_WORDS.struct_rule
def quiet(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass with each text as one paragraph, and without defaults that say nothing."""
    if ASKED in info.markers:
        return None
    spec = ConstructorRegistry.get_struct_spec(replace(info, markers=(*info.markers, ASKED)))
    if not isinstance(spec, StructConstructorSpec):
        return None
    return replace(spec, fields=tuple(_quiet_field(field) for field in spec.fields))


def _quiet_field(field: StructFieldSpec) -> StructFieldSpec:
    hint = None
    if isinstance(field.default, bool):
        hint = f"(default: {'on' if field.default else 'off'})"
    elif field.default is None or (field.default == () and UseAppendAction not in get_args(field.type)):
        hint = ""
    if hint is not None:
        quiet_type: Any = Annotated[field.type, arg(help_behavior_hint=hint)]
        field = replace(field, type=quiet_type)
    return replace(field, helptext=_paragraph(field.helptext))


def _paragraph(text: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    """The text without the line breaks of its docstring; looked for when help is asked, because that takes time."""

    def joined() -> str | None:
        said = text() if callable(text) else text
        return said and " ".join(said.split())

    return joined
