"""What `endogs reconstruct` says unasked: a note where it helps, and none where there is nothing to say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, cast

import pytest
import tyro
from samples.sliding_clip import sliding_clip

from endogs import native
from endogs.cli import parse
from endogs.clip.splits import SplitName
from endogs.doctor.config import Doctor
from endogs.pipeline import options
from endogs.pipeline.notes import longer_fit_note
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import resolve
from endogs.pipeline.reconstruct import Result, print_summary, tell_before_the_fit
from endogs.scene import Scene


def asked(*words: str) -> Reconstruct:
    return parse(["reconstruct", *words], Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")] | Doctor)


@pytest.fixture
def told(tmp_path, capsys):
    """What is said before a fit of so many frames into `tmp_path / "out"`."""

    def tell(frames: int = 4, split: SplitName = "standard", **options) -> str:
        clip = sliding_clip(tmp_path / f"{frames}-{split}", frames)
        tell_before_the_fit(clip, resolve(Reconstruct(tmp_path, split=split, device="cpu", **options), clip))
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


def test_a_clip_too_short_for_motion_is_fitted_with_a_note(told):
    said = told(2)
    assert "a single frame is learned from, as the other is held out for testing" in said
    assert "the scene will stand still" in said
    assert "the clip has two frames only" in told(2, "all")
    assert "held out" not in (said := told(1))
    assert "a single frame is learned from" in said
    assert "a single frame" not in (said := told(3))
    assert "two frames only" not in said


def test_a_clip_that_takes_many_more_steps_says_so_and_how_to_take_fewer():
    said = longer_fit_note(179, 1150, 3268)
    assert said is not None
    assert "179 frames take 3268 steps, where short clips take 1150; --iterations" in said
    assert longer_fit_note(70, 1150, 1278) is None


def test_the_steps_of_a_long_clip_are_told_before_the_fit(told, monkeypatch):
    monkeypatch.setattr(options, "PRESET_FRAMES", 2)
    assert "6 frames take 1350 steps, where short clips take 450" in told(6, preset="fast")
    assert "steps" not in told(5, preset="fast", iterations=9)


def test_no_steps_are_told(told):
    said = told(4, "standard", iterations=0)
    assert "nothing is fitted" in said
    assert "then the fit" not in said
    assert "steps" not in said
    assert "nothing is fitted" not in told(4, "all", iterations=1)


def summary_of(
    split: str, scene: float, out: Path, masked: float | None = 38.0, options: str = "", **baseline: float
) -> None:
    mean = {"psnr": scene, "psnr_masked": masked}
    rows = {name: {"psnr": value} for name, value in baseline.items()}
    record = {"interrupted": False, "seconds": {"total": 1.0}, "gaussians": 1, "peak_memory_mb": 1.0}
    metrics = {"split": split, "label": "test PSNR", "mean": mean, "baseline": rows}
    scene_of_ten = cast("Scene", SimpleNamespace(times=range(10)))
    print_summary(Result(scene_of_ten, out, metrics, record), asked("clip", *options.split()))


def test_a_scene_below_interpolation_is_explained_on_the_standard_split_only(tmp_path, capsys):
    summary_of("standard", 38.0, tmp_path, neighbour_mean=37.0, flow_midpoint=39.5)
    said = capsys.readouterr().err
    assert said.startswith("note: the scene is 1.50 dB below interpolating between neighbours, which is hard to beat")
    assert "--split gap" in said
    summary_of("standard", 39.5, tmp_path, neighbour_mean=40.0, flow_midpoint=38.0)
    summary_of("gap", 38.0, tmp_path, neighbour_mean=37.0, flow_midpoint=39.5)
    summary_of("all", 38.0, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_scene_far_below_interpolation_is_called_wrong(tmp_path, capsys):
    """Twelve decibels are no hard baseline but a fault of the input or the fit."""
    summary_of("standard", 27.5, tmp_path, neighbour_mean=37.0, flow_midpoint=39.5)
    said = capsys.readouterr().err
    assert said.startswith("note: the scene is 12.00 dB below interpolating between neighbours, so something is wrong")
    assert "hard to beat" not in said


@pytest.mark.parametrize(
    ("scene", "options", "is_the_preset"),
    [(37.7, "--preset fast", True), (27.5, "--preset fast", False), (37.7, "", False)],
)
def test_a_good_scene_of_few_gaussians_is_not_called_wrong(tmp_path, capsys, scene, options, is_the_preset):
    """Neighbours that hardly differ are nearly the answer: a decent scene far below them is a small one."""
    summary_of("standard", scene, tmp_path, options=options, neighbour_mean=41.8, flow_midpoint=43.5)
    said = capsys.readouterr().err
    assert ("because of --preset fast" in said and "use --preset balanced" in said) == is_the_preset
    assert ("so something is wrong" in said) != is_the_preset
    assert "check with endogs inspect" in said


@pytest.mark.parametrize("scene", [27.5, 38.0])
@pytest.mark.parametrize(
    ("options", "better"),
    [
        ("--deformation none", "--deformation spline"),
        ("--iterations 5", "--iterations 1150"),
        ("--gaussians 900 --preset fast", "--gaussians 55000"),
        ("--iterations 5 --deformation none", "--deformation spline and --iterations 1150"),
    ],
)
def test_options_that_make_a_scene_worse_are_blamed_first(tmp_path, capsys, options, better, scene):
    """And what is named instead leaves nothing to blame."""
    summary_of("standard", scene, tmp_path, options=options, flow_midpoint=39.5)
    said = capsys.readouterr().err
    assert (
        f"most likely because of {'--deformation none' if 'none' in options else ' '.join(options.split()[:2])}" in said
    )
    assert f": use {better}" in said
    assert "hard to beat" not in said
    assert ("check with endogs inspect" in said) == (scene < 30)
    rest = options.split()
    for word in better.split(" and "):
        option, value = word.split()
        rest[rest.index(option) + 1] = value
    summary_of("standard", 27.5, tmp_path, options=" ".join(rest), flow_midpoint=39.5)
    assert "so something is wrong" in capsys.readouterr().err


def test_a_fit_that_never_took_place_is_not_judged(tmp_path, capsys):
    for scene in (27.5, 38.0):
        summary_of("standard", scene, tmp_path, options="--iterations 0", flow_midpoint=39.5)
    assert capsys.readouterr().err == ""


def test_small_pictures_are_blamed_last(tmp_path, capsys):
    summary_of("standard", 27.5, tmp_path, options="--max-size 40", flow_midpoint=39.5)
    said = capsys.readouterr().err
    assert said.index("something is wrong") < said.index("--max-size")
    summary_of("standard", 27.5, tmp_path, flow_midpoint=39.5)
    assert "--max-size" not in capsys.readouterr().err


def test_test_frames_without_tissue_are_summed_up_too(tmp_path, capsys):
    summary_of("gap", 38.0, tmp_path, masked=None)
    assert "test PSNR 38.00 dB (over tissue - dB)" in capsys.readouterr().out
