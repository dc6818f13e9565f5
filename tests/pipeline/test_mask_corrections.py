"""`endogs inspect --masks` corrects masks by a file of clicks or an editor, and writes what other commands read."""

import json

import numpy as np
import pytest
from samples.tool_clip import shaft, write_tool_clip

from endogs.cli import main
from endogs.clip import ClipOptions, load_clip
from endogs.pipeline.config import Inspect
from endogs.pipeline.inspect import inspect
from endogs.priors.instruments.clicks import Click, read_clicks


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tool_clip(tmp_path / "tool", 3)
    return tmp_path


def clicks_file(path, *rows):
    content = {"format": "endogs-clicks", "version": 1, "size": [160, 120], "clicks": list(rows)}
    path.write_text(json.dumps(content))
    return path


def test_clicks_of_a_file_make_masks_that_other_commands_read(in_folder, capsys):
    clicks = clicks_file(in_folder / "c.json", {"frame": 1, "x": 40, "y": 62, "does": "add"})
    words = ["inspect", "tool", "--masks", "--masks-from", "none", "--clicks", str(clicks)]
    assert main(words) == 0
    assert "--mask-folder tool_masks" in capsys.readouterr().out
    clip = load_clip(in_folder / "tool", ClipOptions(mask_folder=in_folder / "tool_masks"), look=False)
    assert (clip.instrument(2) & shaft(68)).sum() > 0.85 * (clip.instrument(2) | shaft(68)).sum()
    saved = json.loads((in_folder / "tool_masks" / "clicks.json").read_text())
    assert (saved["started_from"], saved["clicks"][0]["time"]) == ("no masks", pytest.approx(1 / 30, abs=1e-5))
    # The saved clicks give the same masks again, in a folder of another name.
    assert main([*words[:-1], "tool_masks/clicks.json"]) == 0
    for name in ("000.png", "001.png", "002.png"):
        assert (in_folder / "tool_masks" / name).read_bytes() == (in_folder / "tool_masks-2" / name).read_bytes()


def test_masks_that_were_found_are_written_without_clicks(in_folder, capsys):
    assert main(["inspect", "tool", "--masks", "--masks-out", "found"]) == 0
    assert not (in_folder / "found" / "clicks.json").exists()
    clip = load_clip(in_folder / "tool", ClipOptions(mask_folder=in_folder / "found"), look=False)
    assert (clip.instrument(0) & shaft(60)).sum() > 0.5 * shaft(60).sum()
    assert main(["inspect", "tool", "--masks", "--masks-out", "found"]) == 2
    assert "correct those with --mask-folder found" in capsys.readouterr().err
    assert main(["inspect", "tool", "--masks", "--masks-out", "found", "--mask-folder", "found"]) == 0


class Hand:
    """An editor that clicks, saves, and perhaps clicks again."""

    def __init__(self, *clicks, after=()):
        self.clicks, self.after = clicks, after

    def edit(self, corrections, saving):
        corrections.replay(self.clicks)
        self.said = saving()
        corrections.replay(self.after)


def test_what_the_editor_saved_is_said_and_what_it_did_not(in_folder, capsys):
    config = Inspect(in_folder / "tool", masks=True, masks_from="none", edit=True)
    click = Click(1, 0.25, 62 / 120, True)
    inspect(config, Hand(click))
    assert "masks of 3 frames: tool_masks" in capsys.readouterr().out
    inspect(config, Hand(after=[click]))
    told = capsys.readouterr().err
    assert "not saved: one click; kept in tool_masks-2-clicks.json, for inspect --clicks" in told
    assert "tool_masks-2 holds what was saved before" in told
    clip = load_clip(in_folder / "tool", look=False)
    assert [one.frame for one in read_clicks(in_folder / "tool_masks-2-clicks.json", clip)] == [1]


def test_clicks_that_were_kept_before_stay(in_folder, capsys):
    """Two sessions that end without a save leave two files."""
    for x in (0.25, 0.75):
        config = Inspect(in_folder / "tool", masks=True, masks_from="none", edit=True, masks_out=in_folder / "m")

        class Unsaved(Hand):
            def edit(self, corrections, saving):
                corrections.replay(self.clicks)

        inspect(config, Unsaved(Click(1, x, 0.2, True, 0.1)))
    assert "kept in" in capsys.readouterr().err
    clip = load_clip(in_folder / "tool", look=False)
    kept = [read_clicks(in_folder / name, clip)[0].x for name in ("m-clicks.json", "m-clicks-2.json")]
    assert kept == [pytest.approx(0.25), pytest.approx(0.75)]


def test_masks_that_correct_themselves_forget_what_is_taken_back(in_folder):
    """The masks that were there at the start are what clicks correct, also after a save has replaced their files."""
    main(["inspect", "tool", "--masks", "--masks-from", "none", "--masks-out", "m"])

    class Changed(Hand):
        def edit(self, corrections, saving):
            corrections.apply(Click(1, 0.5, 0.2, True, 0.1))
            saving()
            corrections.undo()
            saving()

    folder = in_folder / "m"
    reading = ClipOptions(mask_folder=folder)
    inspect(Inspect(in_folder / "tool", reading, masks=True, edit=True, masks_out=folder), Changed())
    clip = load_clip(in_folder / "tool", reading, look=False)
    assert not any(clip.instrument(i).any() for i in range(3))


@pytest.mark.parametrize("words", [["--edit"], ["--clicks", "c.json"], ["--masks-out", "m"]])
def test_options_of_masks_need_masks(in_folder, capsys, words):
    assert main(["inspect", "tool", *words]) == 2
    assert f"{words[0]} is not used without --masks" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--port", "9000"]])
def test_where_to_serve_needs_the_editor(in_folder, capsys, words):
    assert main(["inspect", "tool", *words]) == 2
    assert f"{' '.join(words)} is not used without --edit" in capsys.readouterr().err


def test_clicks_that_do_not_fit_leave_nothing_behind(in_folder, capsys):
    clicks = clicks_file(in_folder / "c.json", {"frame": 7, "x": 40, "y": 62, "does": "add"})
    assert main(["inspect", "tool", "--masks", "--clicks", str(clicks)]) == 2
    assert "needs a frame from 0 to 2" in capsys.readouterr().err
    assert sorted(path.name for path in in_folder.iterdir()) == ["c.json", "tool"]
    assert main(["inspect", "tool", "--masks", "--clicks", "none.json"]) == 2


def test_clicks_on_other_masks_are_noted(in_folder, capsys):
    file = clicks_file(in_folder / "c.json", {"frame": 0, "x": 2, "y": 2, "does": "remove"})
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started_from": "masks by SAM 2"}))
    assert main(["inspect", "tool", "--masks", "--masks-from", "none", "--clicks", str(file)]) == 0
    assert "corrected masks by SAM 2; here they correct no masks" in capsys.readouterr().err
    assert not np.any([path.suffix == ".partial" for path in in_folder.iterdir()])
