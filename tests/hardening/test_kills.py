"""Killed at a random moment, in any stage, a run loses no earlier result, mixes no two, and goes on.

A tiny fit that saves at every step is started in a process of its own and sent SIGKILL, SIGTERM or SIGINT: a first run,
one that replaces a result, or one that resumes. The long form, 150 kills with seeds of its own, runs with ENDOGS_ATTACK
set, or by `python tests/hardening/long_kills.py`.
"""

import os

import pytest
from killed_runs import kill_often

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")
LONG = bool(os.environ.get("ENDOGS_ATTACK"))
KILLS = 150 if LONG else 3


@pytest.mark.timeout(3600 if LONG else 240)
def test_kills_lose_nothing_and_mix_nothing(tmp_path):
    tally = kill_often(tmp_path, KILLS, seed=os.getpid() if LONG else 7)
    assert (tally.lost, tally.mixed, tally.stuck) == ([], [], [])
    assert sum(tally.tried.values()) == KILLS
