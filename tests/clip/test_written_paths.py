"""Paths in a data set's files that were written by other systems lead to the files that are there."""

import unicodedata

import pytest

from endogs.clip.files.written_paths import resolved

NAME = "K\u00f6rper 7.png"


@pytest.mark.parametrize(
    ("there", "written"),
    [
        (NAME, unicodedata.normalize("NFD", f"images/{NAME}")),
        (unicodedata.normalize("NFD", NAME), f"images/{NAME}"),
        (NAME, "images/K%C3%B6rper%207.png"),
        ("a 7.png", "file:///home/other/images/a%207.png"),
        ("a%207.png", "images/a%207.png"),
        ("A 7.PNG", "C:\\data\\images\\a 7.png"),
    ],
)
def test_names_are_found_however_they_are_written(tmp_path, there, written):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / there).write_bytes(b"?")
    assert resolved(tmp_path, written).samefile(tmp_path / "images" / there)


@pytest.mark.parametrize("written", ["images/b%207.png", "%2525252525", "images/%00.png", "%2e%2e/%2e%2e/x.png"])
def test_what_is_not_there_stays_as_it_stands(tmp_path, written):
    (tmp_path / "images").mkdir()
    assert resolved(tmp_path, written) == tmp_path / written
