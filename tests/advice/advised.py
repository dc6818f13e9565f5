"""Reads the advice out of what a command says, and does it as a user would: by typing the options that it names."""

import re
from pathlib import Path
from typing import Annotated

import tyro
from command_options import verb_options

from endogs.cli import parse
from endogs.clip import Clip, load_clip
from endogs.doctor.config import Doctor
from endogs.errors import InputError
from endogs.pipeline.config import Inspect

INSPECT = Annotated[Inspect, tyro.conf.subcommand("inspect")] | Doctor
"""Two verbs, because a union of one would have no subcommands."""
WORDS = {
    option: frozenset().union(*(options.get(option, frozenset()) for options in verb_options().values()))
    for options in verb_options().values()
    for option in options
}
VALUE = re.compile(r' ("[^"]*"|[^\s;]+)')


def options_in(sentence: str) -> list[list[str]]:
    """The options that a sentence names, each as the words to type: the option, and the value where it gives one.

    A value is quoted, a number, a range, a path, NAME=..., or a word that the option is known to take.
    """
    found = []
    for named in re.finditer(r"(?<![\w-])(--[a-z][a-z-]*[a-z])", sentence):
        words, at = [named[1]], named.end()
        while (value := VALUE.match(sentence, at)) and _is_value(named[1], value[1].rstrip(",.:;)")):
            words.append(value[1].rstrip(",.:;)").strip('"'))
            at = value.end()
            if value[1][-1] in ",.:;)":
                break
        found.append(words)
    return found


def _is_value(option: str, word: str) -> bool:
    return bool(re.match(r'["/\d]|-\d|[a-z]+=', word)) or word in WORDS.get(option, ())


def option_in(sentence: str, option: str, which: int = 0) -> list[str]:
    """The words to type for `option`, with the value that the sentence gives, or the `which`-th if it gives several."""
    given = [words for words in options_in(sentence) if words[0] == option and len(words) > 1]
    assert given, f"no {option} with a value in: {sentence}"
    return given[which]


def names(sentence: str, option: str) -> str:
    """`option`, which the sentence must name, with a value or without."""
    assert option in [words[0] for words in options_in(sentence)], f"no {option} in: {sentence}"
    return option


def read(path: Path, *words: str) -> Clip:
    """The clip of `endogs inspect PATH WORDS`; a test fails where the command line does not know the words."""
    config = parse(["inspect", str(path), *words], INSPECT)
    return load_clip(config.input, config.clip)


def said(path: Path, *words: str) -> list[str]:
    """All that `endogs inspect` would say: the refusal, or the notes and what `reconstruct` would refuse."""
    try:
        clip = read(path, *words)
    except InputError as error:
        return [str(error)]
    return [*clip.notes, *clip.contradictions]


def sentence(path: Path, about: str, *words: str) -> str:
    """The one of the sentences said that is `about` something; a test fails where there is none."""
    return the_one(said(path, *words), about)


def the_one(sentences: list[str], about: str) -> str:
    fitting = [text for text in sentences if about in text]
    assert fitting, f"nothing about {about!r} in {sentences}"
    return fitting[-1]


def told(call, *arguments, **options) -> str:
    """The refusal of a call; a test fails where there is none."""
    try:
        call(*arguments, **options)
    except InputError as error:
        return str(error)
    raise AssertionError("nothing was refused")
