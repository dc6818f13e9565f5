"""Names that cannot be printed, that steer a terminal or lead in a circle: shown as text, or told in a sentence."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from endogs.cli import main


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "[red]clip[bold]", "\x1b]0;title\x07", "\u202eclip"])
def test_inspect_shows_a_name_as_text(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for i in range(2):
        picture = cv2.imencode(".png", np.full((16, 24, 3), 90 + i, np.uint8))[1]
        (folder / f"{i}.png").write_bytes(picture.tobytes())
    assert main(["inspect", str(folder), "--out", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\x07", "\u202e", "\udce9"}
    if name.startswith("["):
        assert name in "".join(said.split())


def test_links_in_a_circle_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert main(["reconstruct", str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("endogs: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
