"""The comparison of models: every run once, failures as rows, means as in the records."""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from samples.open3d_there import require_open3d

from endogs import native
from endogs.device import choose_device
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.scene import DEFORMATIONS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import compare_models  # noqa: E402
from comparison import rows, tables, train, worker  # noqa: E402
from comparison.prepared import prepare  # noqa: E402

SPLINE, STILL = rows.ROWS[0], rows.ROWS[1]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A phantom of ten frames."""
    folder = tmp_path_factory.mktemp("compare") / "phantom"
    require_open3d()
    return write_phantom(Phantom(folder, frames=10, width=64, height=56, tracks=50))


def test_rows_are_what_a_user_would_type():
    known, left_out = rows.chosen_rows([], ["strong=--preset fast --iterations 7", "odd=--deformation wobble"])
    assert known[0].name == "spline"
    assert rows.fit_config(SPLINE, 12, 500).iterations == 12
    assert rows.fit_config(SPLINE, 12, 500).gaussians_cap == 500
    assert rows.fit_config(known[-1], None, None).iterations == 7
    assert any(reason.startswith("odd: --deformation wobble is no option") for reason in left_out)
    with pytest.raises(ValueError, match="nothing is none of spline"):
        rows.chosen_rows(["nothing"], [])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--masks none", "--masks"),
        ("--depth photometric --iterations 9", "--depth"),
        ("--max-size 320", "--max-size"),
        ("--seed 4", "--seed"),
    ],
)
def test_a_row_cannot_differ_in_what_all_rows_share(options, named):
    with pytest.raises(ValueError, match=f"--model odd: {named} is not of the fit's configuration"):
        rows.chosen_rows(["odd"], [f"odd={options}"])
    effective = "--exposure --colors sh --sh-degree 1 --density residual --balance sum --depth-weight 2"
    assert rows.chosen_rows(["own"], [f"own={effective}"]) is not None


def test_every_shipped_row_is_a_fit_configuration():
    assert [rows.without_effect(row) for row in rows.ROWS] == [None] * len(rows.ROWS)
    numbers = {row.name: rows.fit_config(row, None, None, frames=126) for row in rows.ROWS}
    assert len({repr(config) for config in numbers.values()}) == len(rows.ROWS), "no row is another's"
    for name, config in numbers.items():
        assert config.form is None or isinstance(config.form, DEFORMATIONS[config.deformation].Config), name
    assert (numbers["recipe-deform3dgs"].iterations, numbers["fast"].iterations) == (3000, 900)
    capped = rows.fit_config(rows.ROWS[-1], 70, 500)
    assert (capped.iterations, capped.gaussians_cap, capped.initial_gaussians) == (70, 500, 500)
    assert capped.density == "adaptive"


def test_rows_go_to_other_processes_whole(tmp_path):
    runs = tuple(run for row in rows.ROWS for run in rows.planned_runs(row, [0], [2.0], 40, 300))
    job = worker.Job(rows.ClipChoice.of("a=b"), "gap", runs, tmp_path, "cpu", (0, 1), 9.0)
    again = worker.Job.from_json(job.to_json())
    assert again == job
    assert [run.configuration for run in again.runs] == [run.configuration for run in runs]


def test_runs_with_steps_come_before_runs_with_seconds_and_presets_keep_their_steps():
    runs = rows.planned_runs(SPLINE, [0, 1], [5.0], 40, None)
    assert [(run.seed, run.seconds, run.iterations) for run in runs] == [
        (0, None, 40),
        (1, None, 40),
        (0, 5.0, None),
        (1, 5.0, None),
    ]
    assert len({run.name for run in runs}) == 4
    own = rows.Row("fast", ("--preset", "fast"), own_schedule=True)
    assert rows.planned_runs(own, [0], [], 40, None)[0].iterations is None


def test_clips_bring_their_options():
    assert rows.ClipChoice.of("pulling=a/b").options == ("--ignore-rows", "495:512")
    assert rows.ClipChoice.of("d4d=x,stride=6,max-size=320").options == ("--stride", "6", "--max-size", "320")
    with pytest.raises(ValueError, match="--masks does not say how the clip is read"):
        rows.ClipChoice.of("d4d=x,masks=none")
    with pytest.raises(ValueError, match="NAME=PATH"):
        rows.ClipChoice.of("just/a/path")


def test_work_is_shared_by_whole_rows():
    runs = [run for row in (SPLINE, STILL) for run in rows.planned_runs(row, [0, 1], [3.0], 40, None)]
    hands = worker.share_out(runs, {runs[0]}, 5)
    assert [[run.row.name for run in hand] for hand in hands] == [["spline"] * 4, ["still"] * 4]
    assert worker.share_out(runs, set(runs), 5) == []


def job_of(phantom, out, *, seconds=()):
    options = argparse.Namespace(
        splits=["standard"],
        seeds=[0],
        step_seeds=None,
        seconds=list(seconds),
        iterations=8,
        gaussians=200,
        out=out,
        device="cpu",
        jobs=1,
        most_seconds=100.0,
    )
    return compare_models.jobs_of(options, [rows.ClipChoice.of(f"phantom={phantom}")], [SPLINE, STILL])


def test_a_comparison_from_runs_to_tables(phantom, tmp_path, monkeypatch):
    """One process's work, with one model that fails: done runs are not done again, the failed one is a row."""
    from comparison import train

    (job,) = job_of(phantom, tmp_path, seconds=[0.2])
    plan = tmp_path / "plan.json"
    cores = tuple(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (0,)
    plan.write_text(json.dumps(json.loads(job.to_json()) | {"cores": cores}))
    assert worker.Job.from_json(plan.read_text()).runs == job.runs
    true = train.start

    def start(prepared, run, config):
        if run.row.name == "still":
            raise MemoryError("no room")
        return true(prepared, run, config)

    monkeypatch.setattr(train, "start", start)
    before = native.threads() if native.available() else 1, torch.get_num_threads()
    worker.work(plan)
    if native.available():
        native.set_threads(before[0])
    torch.set_num_threads(before[1])
    record = worker.read_record(job.file(job.runs[0]))
    assert (record["model"], record["steps"], record["gaussians"]) == ("spline", 8, 200)
    assert record["curve"][-1]["step"] == 8
    assert 5 < record["test"]["psnr"] < 60
    assert 0 < record["test"]["flip"] < 1
    assert record["phantom"]["behind_mm"] > 0
    assert record["phantom"]["tracks_visible_mm"] > 0
    assert record["parameters"] > 200 * 14
    assert (tmp_path / "pictures" / job.file(job.runs[0]).with_suffix(".png").name).exists()
    in_time = worker.read_record(job.file(job.runs[1]))
    expected = max(20, round(8 * 0.2 / record["train_seconds"]))
    assert in_time["steps"] == expected, "as many steps as the speed of the first run allows"
    assert worker.read_record(job.file(job.runs[2]))["failed"] == "MemoryError: no room"

    page = compare_models.write_tables(tmp_path, [SPLINE, STILL], "command", "cpu")
    assert "| *flow midpoint* | | |" in page
    assert f"| spline | steps | 1 | {record['test']['psnr']:.2f} / {record['test']['psnr_masked']:.2f} |" in page
    assert "| still | steps | failed | MemoryError: no room |" in page
    assert (tmp_path / "curves.png").stat().st_size > 1000
    # A second invocation has only the failed model left, with the reference run that it needs.
    (again,) = job_of(phantom, tmp_path, seconds=[0.2])
    assert {run.row.name for run in again.runs} == {"still"}
    assert not job.file(job.runs[2]).exists(), "what failed is tried again"
    assert job.file(job.runs[0]).exists()
    # Records of a row whose numbers have changed since are old.
    worker.write_record(record | {"configuration": "another"}, job.file(job.runs[0]))
    (again,) = job_of(phantom, tmp_path, seconds=[0.2])
    assert not job.file(job.runs[0]).exists()


def test_a_schedule_of_its_own_is_stopped_by_the_clock_and_needs_no_other_run(phantom, tmp_path):
    own = rows.Row("own", recipe="deform3dgs", own_schedule=True)
    (run,) = rows.planned_runs(own, [0], [0.5], 10, 200, [])
    assert run.is_stopped
    assert run.configuration != replace(run, seconds=None).configuration
    assert not replace(run, row=replace(own, recipe=None)).is_stopped
    prepared = prepare(rows.ClipChoice.of(f"phantom={phantom}"), "standard", choose_device("cpu"), tmp_path)
    record = train.execute(prepared, run, None, 100.0, tmp_path / "worst.png")
    assert 0.5 <= record["train_seconds"] < 5
    assert 0 < record["steps"] < 3000
    assert [point["step"] for point in record["curve"]][-1] == record["steps"]
    assert record["curve"][-1]["psnr"] == pytest.approx(record["test"]["psnr"], abs=1e-6), "curves end at the table"


def test_a_process_that_dies_costs_one_run(phantom, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys, json\n"
        f"sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from pathlib import Path\n"
        "from comparison import worker\n"
        "job = worker.Job.from_json(Path(sys.argv[2]).read_text())\n"
        "run = worker.unfinished(job)[0]\n"
        "if run.row.name == 'spline':\n"
        "    print('out of memory', flush=True)\n"
        "    os._exit(9)\n"
        "worker.write_record({'model': run.row.name}, job.file(run))\n"
    )
    (tmp_path / "runs").mkdir()
    jobs = job_of(phantom, tmp_path)
    compare_models.carry_out(jobs, 1, script)
    spline, still = (worker.read_record(jobs[0].file(run)) for run in jobs[0].runs)
    assert spline["failed"] == "the process ended with code 9: out of memory"
    assert still == {"model": "still"}


def test_cells_are_means_with_their_spread():
    records = [{"test": {"psnr": p, "psnr_masked": None}} for p in (30.0, 31.0, 32.0)]
    both = next(column for column in tables.COLUMNS if column[0].startswith("test PSNR"))
    assert tables.cell(records, both[1], 2) == "31.00 ± 1.00 / "
    assert tables.cell(records[:1], both[1][:1], 2) == "30.00"
    assert tables.cell([{}], both[1][:1], 2) == ""


def test_commands_are_printed_without_this_machines_folders():
    assert compare_models.public(["--clips", "d4d=some/clips/d4d,stride=3", "--out", "some/x", "--seeds", "0"]) == [
        "--clips",
        "d4d=d4d,stride=3",
        "--out",
        "x",
        "--seeds",
        "0",
    ]


def test_runs_by_number_of_steps_may_have_fewer_seeds():
    runs = rows.planned_runs(SPLINE, [0, 1, 2], [5.0], 40, None, [1])
    assert [(run.seed, run.seconds) for run in runs] == [(1, None), (0, 5.0), (1, 5.0), (2, 5.0)]


def test_one_core_counts_its_own_work_and_others_the_wall(monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(train, "usable_cores", lambda: 1)
    assert train.training_clock(cpu) is time.process_time
    assert train.training_clock(gpu) is time.perf_counter
    monkeypatch.setattr(train, "usable_cores", lambda: 2)
    assert train.training_clock(cpu) is time.perf_counter


def test_a_number_of_steps_is_derived_from_a_speed_by_the_same_clock_only(monkeypatch, tmp_path):
    class Begun(Exception):
        """The fit would begin."""

    def begin(prepared, run, config):
        raise Begun(config.iterations)

    monkeypatch.setattr(train, "warm_up", begin)
    monkeypatch.setattr(train, "usable_cores", lambda: 1)
    (run,) = rows.planned_runs(SPLINE, [0], [5.0], 40, None, [])
    cpu = argparse.Namespace(device=torch.device("cpu"), clip=range(6))
    speed = {"steps": 100, "train_seconds": 10.0}
    assert train.clock_name(cpu.device) == "processor"
    with pytest.raises(Begun) as begun:
        train.execute(cpu, run, speed | {"clock": "processor"}, 100.0, tmp_path / "p.png")
    assert begun.value.args == (50,)
    for reference in (speed | {"clock": "wall"}, speed, None):  # a record that names no clock was taken by the wall's
        with pytest.raises(RuntimeError, match="this clock tells its speed"):
            train.execute(cpu, run, reference, 100.0, tmp_path / "p.png")
    monkeypatch.setattr(train, "usable_cores", lambda: 2)
    with pytest.raises(Begun):
        train.execute(cpu, run, speed | {"clock": "wall"}, 100.0, tmp_path / "p.png")
