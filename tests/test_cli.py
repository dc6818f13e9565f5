"""The commands, end to end on a tiny phantom, and what they say when the input is bad."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import endogs
from endogs.cli import RUNNERS, main
from endogs.clip import load_clip
from endogs.errors import FitDiverged
from endogs.export.kinds import KINDS
from endogs.fit.segments import cut
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import with_room
from endogs.scene.scene_file import load_scene

STEPS, GAUSSIANS = 12, 800
FIT = ("--preset", "fast", "--iterations", str(STEPS), "--gaussians", str(GAUSSIANS))


def endogs_command(*arguments: object, code: str = "", **options) -> subprocess.CompletedProcess:
    """A real process: `python -m endogs`, or `code`."""
    start = [sys.executable, "-c", code] if code else [sys.executable, "-m", "endogs"]
    return subprocess.run([*start, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below, with sizes."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a phantom `clip` and the `scene` fitted to it, both made by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    assert run("phantom", folder / "clip", "--frames", 9, "--width", 96, "--height", 80) == 0
    assert run("reconstruct", folder / "clip", "--out", folder / "scene", *FIT) == 0
    return folder


# What the verbs leave


def test_version_and_help_of_the_installed_command():
    done = endogs_command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"endogs {endogs.__version__}\n", "")
    code = """
import sys
from endogs.cli import main
try:
    main(["--help"])
finally:
    print(sorted({"torch", "numpy", "cv2", "open3d"} & set(sys.modules)))
"""
    done = endogs_command(code=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"
    for verb in (
        "reconstruct",
        "view",
        "render",
        "export",
        "evaluate",
        "compare-poses",
        "inspect",
        "phantom",
        "doctor",
    ):
        assert verb in done.stdout


@pytest.mark.parametrize(
    "verb",
    [
        "reconstruct",
        "view",
        "render",
        "export",
        "export points",
        "export splats",
        "export mesh",
        "export video",
        "export depth",
        "export cameras",
        "export tracks",
        "evaluate",
        "compare-poses",
        "inspect",
        "phantom",
    ],
)
def test_every_verb_explains_its_options(verb, capsys):
    with pytest.raises(SystemExit) as left:
        main([*verb.split(), "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: endogs {verb}" in said
    assert verb == "export" or "--" in said


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [("reconstruct --help", "stdout", 0), ("--version", "stdout", 0), ("reconstruct clip --nope", "stderr", 2)],
)
def test_words_that_nobody_reads_to_their_end_are_no_error(arguments, closed, code):
    command = [sys.executable, "-m", "endogs", *arguments.split()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    getattr(process, closed).close()
    other = process.stderr if closed == "stdout" else process.stdout
    assert other.read() == b""
    assert process.wait(timeout=60) == code
    other.close()


def test_every_verb_has_a_runner_that_exists():
    from importlib import import_module

    for home in RUNNERS.values():
        module, function = home.split(":")
        assert callable(getattr(import_module(module), function))


def test_the_kinds_of_export_are_those_that_the_error_names(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    offered = capsys.readouterr().out.rpartition("{")[2].partition("}")[0]
    assert offered.split(",") == list(KINDS)


def test_reconstruct_writes_a_scene_its_record_and_its_metrics(home):
    scene = home / "scene"
    names = {"scene.safetensors", "run.json", "metrics.json", "metrics.jsonl", "preview.mp4"}
    assert set(listing(scene)) == names
    assert (scene / "scene.safetensors").stat().st_mode & 0o044 == 0o044, "others may read it"
    record = json.loads((scene / "run.json").read_text())
    assert record.keys() >= {
        "seconds", "peak_memory_mb", "gaussians", "iterations", "backend", "config", "versions", "seed",
    }  # fmt: skip
    assert set(record["seconds"]) == {"total", "read", "priors", "init", "fit", "evaluate", "write"}
    assert record["seconds"]["total"] >= max(record["seconds"].values())
    assert record["peak_memory_mb"] > 50
    assert (record["iterations"], record["gaussians"], record["seed"]) == (STEPS, GAUSSIANS, 0)
    assert record["config"]["iterations"] == STEPS
    assert {"endogs", "torch", "python"} <= set(record["versions"])

    metrics = json.loads((scene / "metrics.json").read_text())
    assert {"psnr", "psnr_masked", "ssim", "depth_median_abs_mm", "depth_abs_rel"} <= set(metrics["mean"])
    assert set(metrics["baseline"]) == {"neighbour_mean", "flow_midpoint"}
    assert all({"psnr", "psnr_masked"} <= set(row) for row in metrics["baseline"].values())
    assert [row["frame"] for row in metrics["per_frame"]] == [1]
    assert metrics["mean"]["psnr"] > 25  # twelve steps from a good start
    assert metrics["mean"]["depth_median_abs_mm"] < 1

    log = [json.loads(line) for line in (scene / "metrics.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == STEPS
    with av.open(str(scene / "preview.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in video.decode(video=0)) == 9


def test_a_scene_whose_depth_was_guessed_does_not_claim_millimetres(home, tmp_path):
    scene = tmp_path / "scene"
    fit = (*FIT, "--depth", "photometric", "--iterations", 2)
    assert run("reconstruct", home / "clip", "--out", scene, *fit) == 0
    assert load_scene(home / "scene").units == "mm"
    assert load_scene(scene).units == "relative"


def test_reconstruct_says_what_it_had_to_guess(home, tmp_path, capsys):
    out = tmp_path / "scene"
    split = ("--split", "all", "--iterations", 1)
    assert run("reconstruct", home / "clip" / "images", "--out", out, *FIT, *split) == 0
    said = capsys.readouterr()
    assert "note: the camera is unknown: focal length guessed" in said.err
    assert "dB)" in said.out, "no baseline is named where none was measured"


def test_inspect_says_what_was_understood(home, tmp_path, capsys):
    assert run("inspect", home / "clip", "--out", tmp_path / "sheet.png") == 0
    said = capsys.readouterr().out
    for fact in ("96 x 80", "15.000 frames per second", "millimetres", "255 = instrument", "right view  none"):
        assert fact in said
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 10


def test_evaluate_needs_the_scene_alone(home, tmp_path, capsys):
    asked = ["--measures", "psnr", "ssim", "depth"]
    assert run("evaluate", home / "scene", "--out", tmp_path / "again.json", *asked) == 0
    again, first = (json.loads(p.read_text()) for p in (tmp_path / "again.json", home / "scene" / "metrics.json"))
    assert again["mean"] == pytest.approx(first["mean"], rel=1e-6)
    assert again["baseline"] == first["baseline"]
    assert f"{first['mean']['psnr']:.2f}" in capsys.readouterr().out
    assert run("evaluate", home / "scene", "--out", tmp_path / "more.json") == 0
    more = json.loads((tmp_path / "more.json").read_text())
    assert more["mean"]["psnr"] == pytest.approx(first["mean"]["psnr"], rel=1e-6)
    assert more["mean"]["flip"] > 0
    assert more["whole_clip"]["tracks"]["median_visible"] < 2


def test_render_a_video_and_a_folder_from_the_scene_alone(home, tmp_path):
    moved = tmp_path / "alone.safetensors"  # neither the clip nor the run's folder is near
    shutil.copy(home / "scene" / "scene.safetensors", moved)
    assert run("render", moved, "--out", tmp_path / "film.mp4", "--what", "side-by-side") == 0
    with av.open(str(tmp_path / "film.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert (len(frames), frames[0].shape) == (9, (80, 192, 3))
    assert run("render", moved, "--out", tmp_path / "pictures", "--time", 0, 0.2, "--scale", 0.5) == 0
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [p.name for p in pictures] == ["000000.png", "000001.png"]
    first = cv2.imread(str(home / "clip" / "images" / "000000.png"))
    drawn = cv2.imread(str(pictures[0]))
    half = cv2.resize(first, (48, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(drawn.astype(float) - half).mean() < 12


@pytest.mark.parametrize("ending", ["ply", "xyz", "pcd"])
def test_export_points(home, tmp_path, ending):
    out = tmp_path / f"points.{ending}"
    assert run("export", "points", home / "scene", "--time", 0.2, "--out", out) == 0
    points = point_positions(out)
    assert 0.9 * GAUSSIANS < len(points) <= GAUSSIANS
    assert 50 < np.median(points[:, 2]) < 90  # millimetres from a camera at 72


def point_positions(path: Path) -> np.ndarray:
    if path.suffix == ".xyz":
        return np.loadtxt(path)[:, :3]
    from endogs.open3d_library import import_open3d

    return np.asarray(import_open3d().io.read_point_cloud(str(path)).points)


def test_export_splats_canonical_and_as_a_sequence(home, tmp_path):
    assert run("export", "splats", home / "scene", "--out", tmp_path / "one.ply") == 0
    assert (tmp_path / "one.ply").read_bytes().count(b"property float") == 62
    assert run("export", "splats", home / "scene", "--time", "all", "--out", tmp_path / "many") == 0
    assert len(list((tmp_path / "many").glob("*.ply"))) == 9


# What is said when the input is bad


@pytest.fixture(scope="module")
def bad(home):
    """Beside the good things: a `file` where a folder should be, and a scene that was cut off."""
    (home / "file").write_text("not a folder")
    (home / "cut").mkdir()
    whole = (home / "scene" / "scene.safetensors").read_bytes()
    (home / "cut" / "scene.safetensors").write_bytes(whole[: len(whole) // 2])
    return home


BAD = {
    "inspect nowhere": "no such file",
    "reconstruct nowhere": "no such file",
    "evaluate nowhere": "no such scene",
    "render nowhere --out new.mp4": "no such scene",
    "evaluate scene --clip nowhere": "no such file",
    "render clip --out new.mp4": "without a scene.safetensors",
    "export points scene --time 99 --out new.ply": "0 to 0.533333 seconds",
    "export splats scene --time -3 --out new.ply": "0 to 0.533333 seconds",
    "render scene --time 99 --out new.mp4": "0 to 0.533333 seconds",
    "render scene --time nan --out new.mp4": "--time nan is out of range",
    "export points scene --out new.ply --format pcd": "make them agree",
    "export points scene --out new.obj": "end the name in .ply or .pcd or .xyz",
    "export splats scene --out new.spz": "end the name in .ply",
    "export points scene --time 0 0.2 --out new.ply": "2 times make a folder",
    "render scene --time 0 --out new.png": "a folder's name for PNG pictures",
    "reconstruct clip --mask-instrument-value 0 --out new": "use --mask-instrument-value 255",
    "inspect clip --mask-instrument-value 0 --out new.png": "use --mask-instrument-value 255",
    "export ply scene": f"{list(KINDS)[-1]}; use points, splats or mesh, as in `endogs export points SCENE`",
    "export point scene": f"{list(KINDS)[-1]}; use points, as in `endogs export points SCENE`",
    "export scene": f"no such kind among {', '.join(KINDS)}; use one of them",
    "evaluate cut": "cut off",
    "render cut --out new.mp4": "cut off",
    "export points cut --out new.ply": "cut off",
    "export splats cut --out new.ply": "cut off",
    "reconstruct clip --out file": "is a file",
    "reconstruct clip --out file/below": "is a file",
    "evaluate scene --out file/new.json": "cannot be written",
    "evaluate scene --out scene": "is a folder",
    "render scene --out file/new.mp4": "cannot be written",
    "render scene --out file/below": "cannot be written",
    "export points scene --out file/new.ply": "cannot be written",
    "export splats scene --out scene": "is a folder",
    "inspect clip --out file/new.png": "cannot be written",
    "phantom file --frames 1": "already exists",
    "phantom scene --frames 1": "not empty",
    "phantom new --frames 0": "--frames 0 is out of range",
    "reconstruct clip --out new --resume": "no checkpoint",
    "reconstruct clip --out new --iterations -3": "--iterations -3 is out of range",
    "reconstruct clip --out new --gaussians 0": "--gaussians 0 is out of range",
    "reconstruct clip --out new --split novel-view": "needs right views and depth",
    "reconstruct clip --out new --split gap": "longer clip",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(bad, line, capsys, monkeypatch):
    monkeypatch.chdir(bad)
    before = listing(bad)
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("endogs: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert BAD[line] in said
    assert listing(bad) == before


def test_a_real_process_says_it_too(bad):
    done = endogs_command("export", "points", "cut", cwd=bad)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("endogs: cut/scene.safetensors: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_an_error_of_the_command_line(capsys):
    with pytest.raises(SystemExit) as left:
        main(["inspect", "clip", "--no-such-option", "3"])
    assert left.value.code == 2
    assert "--no-such-option" in capsys.readouterr().err


# Ctrl-C, and bugs


def test_ctrl_c_and_divergence_are_one_line_and_a_bug_keeps_its_traceback(monkeypatch, capsys):
    def stop(config):
        raise KeyboardInterrupt

    def diverge(config):
        raise FitDiverged("the fit diverged at step 3: means are not finite")

    def break_down(config):
        raise ValueError("a bug")

    monkeypatch.setattr("endogs.cli.run_verb", stop)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "endogs: interrupted\n"
    monkeypatch.setattr("endogs.cli.run_verb", diverge)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("endogs: the fit diverged at step 3: ")
    assert "--resume would take the same steps again: begin anew with --overwrite" in said
    monkeypatch.setattr("endogs.cli.run_verb", break_down)
    with pytest.raises(ValueError, match="a bug"):
        main(["doctor"])


LONG_FIT = ("--preset", "fast", "--iterations", "120", "--gaussians", "600")
SHOW_EVERY_STEP = """
import sys, time
import endogs.progress
from endogs.cli import main

endogs.progress.PLAIN_SECONDS = 0.0
tell = endogs.progress.Progress.__call__

def tell_and_wait(self, *state):
    tell(self, *state)
    time.sleep(0.05)  # Ctrl-C comes long before the last step, however busy the machine

endogs.progress.Progress.__call__ = tell_and_wait
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")
def test_ctrl_c_saves_and_resume_ends_where_an_uninterrupted_run_does(home, tmp_path, capfd):
    arguments = [str(part) for part in ("reconstruct", home / "clip", *LONG_FIT)]
    out, whole = tmp_path / "stopped", tmp_path / "whole"
    command = [sys.executable, "-c", SHOW_EVERY_STEP, *arguments, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step "):
            process.send_signal(signal.SIGINT)
            break
    said = process.stderr.read()
    assert process.wait(60) == 130
    assert "Traceback" not in said
    assert f"the scene so far is in {out}; continue with the same options and --resume" in said
    record = json.loads((out / "run.json").read_text())
    assert record["interrupted"]
    assert {path.name for path in out.iterdir()} == {"scene.safetensors", "run.json", "metrics.jsonl", "checkpoints"}
    assert 0 < record["iterations"] < 120
    assert run("render", out, "--out", tmp_path / "part.mp4", "--time", 0) == 0
    assert (out / "checkpoints" / "last.safetensors").is_file()

    assert main([*arguments, "--out", str(out), "--resume", "--seed", "1"]) == 2
    assert "(seed 0 then, 1 now)" in capfd.readouterr().err
    assert main([*arguments, "--out", str(out), "--resume", "--ignore-rows", "70:80"]) == 2
    assert "(ignore rows; " in capfd.readouterr().err
    assert main([*arguments, "--out", str(out)]) == 2
    assert "holds an interrupted run, which --resume continues; give another --out, or" in capfd.readouterr().err
    assert main([*arguments, "--out", str(out), "--resume"]) == 0
    assert main([*arguments, "--out", str(whole)]) == 0
    assert main([*arguments, "--out", str(out), "--resume"]) == 2
    assert "no checkpoint to resume from; its run is complete; leave out" in capfd.readouterr().err
    assert not (out / "checkpoints").exists()
    ours, theirs = (load_file(folder / "scene.safetensors") for folder in (out, whole))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert json.loads((out / "run.json").read_text())["iterations"] == 120
    assert {p.name for p in out.iterdir()} == {p.name for p in whole.iterdir()}


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("endogs.native.cuda_problem", lambda: "no CUDA device")
    (tmp_path / "clip").mkdir()
    arguments = ["reconstruct", str(tmp_path / "clip"), "--out", str(tmp_path / "out"), "--device", "cuda"]
    assert main(arguments) == 2
    assert "--device cuda: no GPU can be used here (no CUDA device); use --device cpu" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_gpu_whose_memory_runs_out_is_told_in_one_sentence(home, tmp_path, monkeypatch, capsys):
    def run_out(*arguments, **options):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("endogs.pipeline.reconstruct.run_fit", run_out)
    assert run("reconstruct", home / "clip", "--out", tmp_path / "out", *FIT) == 2
    said = capsys.readouterr().err
    assert "the GPU's memory is too small" in said
    assert "Traceback" not in said


def test_auto_declines_a_gpu_that_is_too_small_and_says_so(home, monkeypatch):
    clip, gpu = load_clip(home / "clip"), torch.device("cuda")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (100_000_000, 4_000_000_000))
    numbers = Reconstruct(home / "clip").fit_config()
    device, notes = with_room(gpu, clip, cut(len(clip), len(clip)), numbers, may_change=True)
    assert device.type == "cpu"
    assert "0.1 GB are free; it runs on the processor" in notes[0]
    device, notes = with_room(gpu, clip, cut(len(clip), len(clip)), numbers, may_change=False)
    assert device == gpu
    assert "it may run out of it" in notes[0]
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (80_000_000_000, 80_000_000_000))
    assert with_room(gpu, clip, cut(len(clip), len(clip)), numbers, may_change=True) == (gpu, ())
