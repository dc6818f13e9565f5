"""Text, files and memory of unknown origin: shown, read and granted within bounds."""

import os
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endogs.bounded_files import DEEPEST_JSON, parse_json, read_bytes, read_json, read_text
from endogs.errors import InputError
from endogs.memory_budget import available_bytes, machine_bytes, require_memory
from endogs.plain_text import plain


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text):
    shown = plain(text)
    assert all(letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in shown)
    assert not set(shown) & {"\x1b", "\n", "\r", "\x9b", "\u202e", "\x07"}


def test_plain_text_stays_and_escapes_are_shown():
    assert plain("Darm 3 µm, 大腸") == "Darm 3 µm, 大腸"
    assert plain("\x1b]0;title\x07") == "\\x1b]0;title\\x07"
    assert plain(os.fsdecode(b"caf\xe9.mp4")) == "caf\\xe9.mp4"
    assert len(plain(string.ascii_letters * 100)) == 2000


def test_files_without_an_end_or_too_long_are_refused_before_they_are_read(tmp_path):
    with pytest.raises(InputError, match="regular"):
        read_bytes(tmp_path, 10)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="regular"):  # opening it would wait for a writer
        read_bytes(pipe, 10)
    with pytest.raises(InputError, match="regular"):
        read_bytes(type(pipe)("/dev/zero"), 10)
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=str(2**40)):
        read_bytes(sparse, 10)
    with pytest.raises(InputError, match="cannot be opened"):
        read_text(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot be opened"):
        read_text(tmp_path / ("n" * 300))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 70 + "]" * 70, '{"a":' * 70 + "1" + "}" * 70, "NaN", "-Infinity", "1e999", "9" * 400, "{"],
)
def test_json_that_cannot_be_used_is_a_value_error(text, tmp_path):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)
    file = tmp_path / "it.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"it\.json"):
        read_json(file)


def test_json_that_can_be_used_is_read(tmp_path):
    deep = "[" * (DEEPEST_JSON - 1) + "]" * (DEEPEST_JSON - 1)
    parse_json(deep)
    file = tmp_path / "it.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, "x"]}')  # Windows' byte order mark
    assert read_json(file) == {"a": [1, 2.5, "x"]}


def test_memory_is_refused_before_it_is_asked_for():
    assert 0 < available_bytes() <= machine_bytes()
    require_memory(1e6, "a small thing", "no remedy needed")
    with pytest.raises(InputError, match=r"^scene: drawing needs 1000000\.0 GB .*: use --max-size\.$"):
        require_memory(1e15, "scene: drawing", "use --max-size")
