"""Every command that docs/INPUTS.md names for replaying exists."""

import re
from pathlib import Path

import pytest
from replay_inputs import ROWS

HERE = Path(__file__).parents[1]
TABLE = HERE.parent / "docs" / "INPUTS.md"


@pytest.mark.skipif(not TABLE.is_file(), reason="the documentation is not beside the tests")
def test_what_the_table_replays_is_there():
    commands = re.findall(r"`(in [\d ]+|t [\w/ ]+|lay)`", TABLE.read_text(encoding="utf-8").split("## A.")[1])
    assert len(commands) > 60
    cases = {row.case[:2] for row in ROWS}
    for command in commands:
        kind, *names = command.split()
        if kind == "in":
            assert set(names) <= cases, command
        if kind == "t":
            assert all((HERE / f"{name}.py").is_file() for name in names), command
    assert (HERE / "replay_layouts.py").is_file()
