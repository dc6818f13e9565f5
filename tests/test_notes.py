"""What `endogs reconstruct` says unasked: a note where it helps, and none where there is nothing to say."""

import pytest
import torch
from sliding_clip import sliding_clip

from endogs import native
from endogs.fit.config import Reconstruct
from endogs.pipeline.reconstruct import tell_before_the_fit

CPU = torch.device("cpu")


@pytest.fixture
def told(tmp_path, capsys):
    """What is said before a fit of so many frames."""

    def tell(frames: int = 4) -> str:
        clip = sliding_clip(tmp_path / str(frames), frames)
        tell_before_the_fit(clip, Reconstruct(tmp_path), CPU)
        return capsys.readouterr().err

    return tell


def test_missing_kernels_are_told_with_the_reason_and_the_remedy(told, monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: (None, "no module named endogs._native"))
    said = told()
    for fact in ("no module named endogs._native", "hundreds of times slower", "install GCC or Clang"):
        assert said.count(fact) == 1


@pytest.mark.skipif(not native.available(), reason="no compiled kernels here")
def test_kernels_that_are_there_are_not_mentioned(told):
    assert "kernels" not in told()
