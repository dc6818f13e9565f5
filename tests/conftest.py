"""Fixtures that several rooms share."""

import pytest
from samples.live_scene import stretching_scene
from samples.sliding_clip import sliding_clip

from endogs.clip import Clip
from endogs.scene import Scene


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Clip:
    """Six frames of tissue that slides to the right."""
    return sliding_clip(tmp_path_factory.mktemp("clip"), frames=6)


@pytest.fixture
def scene() -> Scene:
    """A few Gaussians on tissue that stretches."""
    return stretching_scene()
