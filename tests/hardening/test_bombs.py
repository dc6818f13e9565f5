"""Small files that ask for gigabytes, for ever, or for other files end in one sentence, within 700 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bomb_parts import opened
from bombs import BOMBS

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where the bombs lie and are opened."""
    return tmp_path_factory.mktemp("bombs")


@pytest.fixture(scope="module")
def endings(place) -> dict[str, list[str]]:
    """How each bomb ended, all opened by one process that may take little memory; none is left out."""
    paths = {}
    for i, (name, (_, write, _)) in enumerate(BOMBS.items()):
        root = place / f"{i:03d}"
        paths[name] = opened(write(root), root)
    cases = [(reader, str(paths[name])) for name, (reader, _, _) in BOMBS.items()]
    command = [sys.executable, str(HERE / "defuse.py")]
    # Every thread's arena would take 64 MB of the room, in addresses that nothing is written to.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=120, env=environment, cwd=place
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(BOMBS), f"after {list(BOMBS)[len(told)]}: {done.returncode} {done.stderr[-2000:]}"
    return dict(zip(BOMBS, told, strict=True))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_sentence(name, endings):
    kind, text = endings[name]
    wanted = BOMBS[name][2]
    if wanted == "read":
        assert kind == "read", text
        return
    assert kind in ("InputError", "read") if not wanted else kind == "InputError", (kind, text)
    assert wanted in text
    assert len(text) < 2500


def test_nothing_that_was_opened_ran(endings, place):
    assert len(endings) == len(BOMBS)
    assert not (place / "endogs-was-here").exists()
