"""The attacker notices what it is there to notice, and a short slice of the attack finds nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
OUTCOMES = {
    "nothing": "ok",
    "refusal": "refused",
    "traceback": "traceback",
    "waits": "hang",
    "works": "hang",
    "deletes": "changed",
    "deletes its own": "ok",
    "changes": "changed",
    "deletes the folder": "changed",
    "writes outside": "changed",
    "removes outside": "changed",
    "calls": "network",
    "calls behind Python": "network",
    "may call": "ok",
    "code": "code",
    "memory": "over-memory",
    "crash": "crash",
    "litter": "litter",
}
WORDS = {
    "nothing": [],
    "refusal": [],
    "two lines": ["2 lines"],
    "escapes": ["control characters ['\\x07', '\\x1b']"],
    "garbage": ["garbage '<class '"],
    "nameless": ["names neither file nor option"],
    "long": ["718 characters"],
}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    done = subprocess.run([sys.executable, HERE / "planted.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def planted(told) -> dict[str, dict]:
    return told["planted"]


@pytest.mark.parametrize("fault", OUTCOMES)
def test_a_planted_fault_is_noticed(planted, fault):
    assert planted[fault]["outcome"] == OUTCOMES[fault], planted[fault]


def test_what_is_told_says_where(planted):
    assert planted["traceback"]["place"].startswith("ValueError at endogs/geometry.py:")
    assert planted["deletes"]["place"] == "somebody.txt deleted"
    assert planted["changes"]["place"] == "somebody.txt changed"
    assert "example.org" in planted["calls"]["place"]


@pytest.mark.parametrize("fault", WORDS)
def test_words_that_are_no_sentence_are_noticed(planted, fault):
    assert planted[fault]["words"] == WORDS[fault]


def test_a_slice_of_the_attack_finds_nothing(told):
    assert len(told["slice"]) > 15
    failed = [one for one in told["slice"] if one["outcome"] not in ("ok", "refused") or one["words"]]
    assert failed == []
