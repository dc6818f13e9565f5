"""Names that cannot be printed, that steer a terminal or lead in a circle: shown as text, or told in a sentence."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from endogs.cli import main
from endogs.errors import InputError
from endogs.pipeline.run_folder import claim
from endogs.priors.depth.clip_depth import input_fingerprint


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


def test_a_link_to_itself_among_the_frames_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "2.png").symlink_to("2.png")
    assert input_fingerprint(tmp_path / "clip", (tmp_path / "out",)) == []


def test_a_name_too_long_for_the_folders_beside_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"too long a name .* --out"):
        claim(None, "ü" * 120, resume=False, overwrite=False)
    claim(None, "ü" * 100, resume=False, overwrite=False).release()
    assert list(tmp_path.iterdir()) == []
