"""The command of docs/RESULTS.md finds the blocks that it writes, and what it would run is there."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import results  # noqa: E402
from reconstruct_clips import EXPERIMENTS  # noqa: E402


@pytest.mark.skipif(not results.PAGE.is_file(), reason="the documentation is not beside the tests")
@pytest.mark.parametrize("section", results.SECTIONS, ids=lambda section: section.name)
def test_a_section_has_its_block_and_its_scripts(section):
    page = results.PAGE.read_text(encoding="utf-8")
    written = results.with_block(page, section.name, "new numbers\n")
    assert f"<!-- {section.name} -->\nnew numbers\n<!-- end -->" in written
    assert results.with_block(written, section.name, "new numbers\n") == written
    for command in section.commands:
        assert command[0] == "endogs" or (BENCHMARKS / command[0]).is_file()
        if command[0] == "reconstruct_clips.py":
            wanted = command[command.index("--only") + 1]
            assert any(wanted in experiment.name for experiment in EXPERIMENTS), wanted


def test_a_page_without_the_block_is_not_written():
    with pytest.raises(ValueError, match="0 blocks <!-- viewer -->"):
        results.with_block("# Results\n", "viewer", "numbers\n")
