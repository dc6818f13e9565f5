"""Where endogs runs: without a home, a terminal, a locale, streams, a folder to write to, or a folder at all."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors import safe_open

from endogs.bounded_files import expanded
from endogs.cli import main
from endogs.errors import InputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closed streams and /dev/full are POSIX's")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
NOBODY = """
import pwd, sys
def nobody(_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
from endogs.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Six pictures that slide, in a folder whose name is in no small character set."""
    folder = tmp_path_factory.mktemp("környezet") / "clip π"
    folder.mkdir()
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8), (5, 5), 2)
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.png"), texture[:, 2 * i : 2 * i + 80])
    return folder


def endogs(
    *arguments: object, code: str = "", env: dict[str, str] | None = None, **streams
) -> subprocess.CompletedProcess:
    """A process with next to nothing in its environment."""
    start = [sys.executable, "-c", code] if code else [sys.executable, "-m", "endogs"]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    if not streams:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [*start, *map(str, arguments)]
    return subprocess.run(command, env=kept | (env or {}), timeout=200, check=False, **streams)


def close_all() -> None:
    for number in range(3):
        os.close(number)


def test_a_fit_without_home_user_locale_streams_and_temporary_folder(clip, tmp_path):
    """All at once; and no library's words end up in a file that got a closed stream's number."""
    fit = ("--preset", "fast", "--iterations", 5, "--gaussians", 200, "--out", tmp_path / "é")
    env = ASCII | {"TMPDIR": str(tmp_path / "nowhere")}
    done = endogs("reconstruct", clip, *fit, code=NOBODY, env=env, preexec_fn=close_all)
    assert done.returncode == 0
    with safe_open(tmp_path / "é" / "scene.safetensors", "pt") as scene:
        assert "base" in scene.keys()  # noqa: SIM118  # a reader of files, not a dict


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_words_that_the_locale_has_not_are_escaped(encoding, clip, tmp_path):
    done = endogs("inspect", clip, "--out", tmp_path / "a.png", env=ASCII | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert "clip" in done.stdout.decode(encoding)
    assert (tmp_path / "a.png").is_file()


def test_a_full_disk_behind_the_words_stops_no_work(clip, tmp_path):
    with open("/dev/full", "wb") as full:
        done = endogs("inspect", clip, "--out", tmp_path / "a.png", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert "No space left on device" in done.stderr.decode()
    assert cv2.imread(str(tmp_path / "a.png")) is not None


def test_a_home_folder_that_cannot_be_found_is_told(monkeypatch, capsys):
    def nobody(_):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    for name in ("~/clip", "~somebody/clip"):
        with pytest.raises(InputError, match="give the whole path"):
            expanded(Path(name))
        assert main(["inspect", name]) == 2
        assert capsys.readouterr().err.startswith(f"endogs: {name}: nothing says where this home folder is")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_current_folder_that_cannot_be_written_to_is_told(clip, monkeypatch, capsys):
    monkeypatch.chdir("/proc")
    assert main(["inspect", str(clip)]) == 2
    assert "another --out" in capsys.readouterr().err
    assert main(["reconstruct", str(clip), "--iterations", "1"]) == 2
    assert "another --out" in capsys.readouterr().err


def test_a_current_folder_that_is_gone_is_told(clip, tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["inspect", str(clip)]) == 2
    assert "change to another" in capsys.readouterr().err
