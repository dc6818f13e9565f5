"""Frames that show no tissue: what inspect says of them, and that a fit leaves them out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from endogs.cli import main
from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.pipeline.frame_states import frame_states, states_of
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import resolve
from endogs.pipeline.tissueless_frames import without_tissueless
from endogs.scene.scene_file import load_scene

BLACK = (8, 9, 10)


@pytest.fixture(scope="module")
def dark_between(tmp_path_factory):
    """A phantom whose light fails for three frames, one of them a test frame of the standard split."""
    folder = tmp_path_factory.mktemp("dark") / "clip"
    size = ["--frames", "14", "--width", "96", "--height", "80", "--instruments", "0"]
    assert main(["phantom", str(folder), *size, "--blackout", "8:11"]) == 0
    return folder


class Clip:
    ignored = np.zeros((4, 4), bool)

    def __init__(self, levels, fps=30.0):
        self.levels, self.times = levels, np.arange(len(levels)) / fps
        self.looked_at = []

    def __len__(self):
        return len(self.levels)

    def image(self, index):
        self.looked_at.append(index)
        return np.full((4, 4, 3), self.levels[index], np.uint8)


class Network:
    def look(self, image, view):
        black = 0.9 if image.max() < 5 else 0.6 if image.max() < 50 else 0.1
        return SimpleNamespace(states={"tissue": 1 - black, "black": black})


def test_black_frames_are_named_and_doubtful_ones_are_not():
    said = frame_states(Clip([100, 0, 0, 100, 30, 100]), Network())
    assert "black in frames 1 to 2, by the look of 6 frames" in said
    assert "4" not in said
    assert frame_states(Clip([100] * 3), Network()) == ""


@pytest.mark.parametrize(("tissue", "named"), [(0.1, True), (0.25, False)])
def test_what_is_surely_no_tissue_is_named_by_its_likeliest_state(tissue, named):
    """Thin smoke, as of a few frames, is no sure smoke."""

    class Thin:
        def look(self, image, view):
            rest = 1 - tissue
            states = {"tissue": tissue, "smoke": 0.7 * rest, "smeared": 0.25 * rest, "outside": 0.05 * rest}
            return SimpleNamespace(states=states)

    found = states_of(Clip([100] * 3), np.arange(3), Thin())
    assert found["smoke"].all() == found["smoke"].any() == named
    assert not any(found[other].any() for other in ("smeared", "outside", "black"))


def test_the_border_between_frames_that_were_looked_at_is_found():
    clip = Clip([100] * 60 + [0] * 61 + [100] * 59)
    assert "frames 60 to 120, by the look of 60 frames" in frame_states(clip, Network())
    assert len(clip.looked_at) < 70, "each change is looked for by halving"
    found = states_of(Clip([0] * 3), np.array([0]), Network())["black"]
    assert found.all(), "what comes after the last look is like it"


def test_a_fit_leaves_them_out_and_says_so(dark_between, tmp_path, capsys):
    words = ["--iterations", "3", "--gaussians", "300", "--masks", "none", "--device", "cpu"]
    assert main(["reconstruct", str(dark_between), "--out", str(tmp_path / "a"), *words]) == 0
    assert "no tissue: black in frames 8 to 10; 3 frames neither" in capsys.readouterr().err
    origin = load_scene(tmp_path / "a").origin
    assert origin.tissueless_frames == BLACK
    assert not set(BLACK) & set(origin.training_frames)
    assert [row["frame"] for row in json.loads((tmp_path / "a" / "metrics.json").read_text())["per_frame"]] == [1]
    assert main(["evaluate", str(tmp_path / "a"), "--split", "all", "--out", str(tmp_path / "all.json")]) == 0
    judged = [row["frame"] for row in json.loads((tmp_path / "all.json").read_text())["per_frame"]]
    assert judged == [i for i in range(14) if i not in BLACK]


def test_a_single_dark_frame_is_found(dark_between, capsys):
    """However short darkness is: every frame is looked at."""
    clip = load_clip(dark_between)
    network = AtFrames(clip, {"black": [6]})
    found, plan = without_tissueless(clip, resolve(Reconstruct(dark_between), clip), network)
    assert found.tissueless == (6,)
    assert 6 not in plan.split.train
    assert "no tissue: black in frame 6; 1 frame neither" in capsys.readouterr().err


def test_every_frame_is_fitted_where_the_user_says_so(dark_between):
    clip = load_clip(dark_between)
    plan = resolve(Reconstruct(dark_between, every_frame=True), clip)
    assert without_tissueless(clip, plan, AtFrames(clip, {"black": range(14)})) == (clip, plan)


def test_darkness_is_left_out_however_much_there_is_and_what_may_be_mistaken_is_not(dark_between, capsys):
    clip = load_clip(dark_between)
    plan = resolve(Reconstruct(dark_between), clip)
    found, _ = without_tissueless(clip, plan, AtFrames(clip, {"black": range(9), "smoke": [11]}))
    assert found.tissueless == tuple(range(9))
    said = capsys.readouterr().err
    assert "many frames do not look like tissue (smoke or steam in frame 11); they are fitted" in said
    assert "black in frames 0 to 8; 9 frames neither" in said
    found, same = without_tissueless(clip, plan, AtFrames(clip, {"outside": range(14)}))
    assert (found.tissueless, same.split) == ((), plan.split)
    assert "out of the body in frames 0 to 13" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"black in frames 0 to 12, which leaves 1 to learn from; .*--every-frame"):
        without_tissueless(clip, plan, AtFrames(clip, {"black": range(13)}))


def test_frames_of_a_clip_that_looks_much_the_same_are_not_picked_out(dark_between, capsys):
    """Where all frames look half like the outside, the two that do so most are no more outside than the others."""
    clip = load_clip(dark_between)
    plan = resolve(Reconstruct(dark_between), clip)
    frames = {clip.image(i).tobytes(): i for i in range(14)}

    class Doubtful:
        outside, smeared = 0.75, 0.0

        def look(self, image, view):
            if frames[image.tobytes()] in (2, 11):
                return SimpleNamespace(states={"tissue": 0.15, "outside": 0.85})
            rest = 1 - self.outside - self.smeared
            return SimpleNamespace(states={"tissue": rest, "outside": self.outside, "smeared": self.smeared})

    assert without_tissueless(clip, plan, Doubtful()) == (clip, plan)
    assert "(out of the body in frames 2, 11); they are fitted" in capsys.readouterr().err
    Doubtful.outside, Doubtful.smeared = 0.1, 0.6
    assert without_tissueless(clip, plan, Doubtful()) == (clip, plan)
    Doubtful.outside, Doubtful.smeared = 0.1, 0.2
    assert without_tissueless(clip, plan, Doubtful())[0].tissueless == (2, 11)


class AtFrames:
    """Sees a state in some frames of a clip, by their pictures, and tissue in the others."""

    def __init__(self, clip, frames):
        self.seen = {clip.image(i).tobytes(): name for name, chosen in frames.items() for i in chosen}

    def look(self, image, view):
        name = self.seen.get(image.tobytes(), "tissue")
        return SimpleNamespace(states={"tissue": 0.0, "black": 0.0, "smoke": 0.0, "outside": 0.0} | {name: 1.0})
