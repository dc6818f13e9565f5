"""From a folder, a pattern, a list or a recipe to jobs: nothing is left out, and names do not depend on the order."""

from pathlib import Path

import pytest
from layouts.generators import generated
from samples.clip_samples import write_images

from endogs.batches.clip_list import jobs_of, rows_from, rows_of, shared_defaults
from endogs.batches.config import Batch
from endogs.batches.job import job_of
from endogs.errors import InputError


def jobs(named, out, **options):
    named = Path(named)
    defaults = shared_defaults(named, options.get("data"))
    batch = Batch(named, out=Path(out), **{**defaults, **options})
    return {job.name: job for job in jobs_of(batch, *rows_of(batch))}


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two folders of images, one of them two deep, a video, a result, and what is no clip."""
    folder = tmp_path / "clips"
    for name in ("case 2", "day/case 10", "out/clips/old"):
        write_images(folder / name, 3)
    (folder / "film.MP4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "result").mkdir()
    (folder / "result" / "run.json").write_text("{}")
    write_images(folder / "result", 1)
    return folder


def test_a_folder_holds_videos_and_folders_but_not_results(clips):
    found = jobs(clips, clips / "out")
    assert list(found) == ["case_2", "day-case_10", "film"]
    assert found["day-case_10"].input == clips / "day" / "case 10"
    assert list(jobs(clips / "case 2", clips / "out")) == ["case_2"], "a clip itself is a list of one"
    with pytest.raises(InputError, match="holds no clip"):
        jobs(clips / "empty", clips / "out")
    with pytest.raises(InputError, match="no such list, folder or recipe"):
        jobs(clips / "nowhere", clips / "out")
    with pytest.raises(InputError, match="not a list of clips"):
        jobs(clips / "notes.txt", clips / "out")


def test_a_pattern_names_what_it_names(clips):
    assert list(jobs(clips / "*" / "case*", clips / "out")) == ["day-case_10"]
    assert set(jobs(clips / "c*", clips / "out")) == {"case_2"}
    with pytest.raises(InputError, match="no file or folder has such a name"):
        jobs(clips / "z*", clips / "out")


def test_rows_of_a_table_have_options_of_their_own(clips):
    table = clips / "list.csv"
    table.write_text(
        "input;name;preset;start;exposure;crop;memory\n"
        "case 2;first;best;0.5;true;[0, 0, 16, 8];2.5\n"
        "day/case 10;;;;;;\n"
    )
    found = jobs(table, clips / "out", seed=7)
    first, second = found["first"], found["day-case_10"]
    assert (first.options.preset, first.options.exposure, first.options.seed) == ("best", True, 7)
    assert (first.options.clip.start, first.options.clip.crop) == (0.5, (0, 0, 16, 8))
    assert (first.limits.memory, second.limits.memory) == (2.5e9, None)
    assert second.options.preset == "balanced"
    assert first.digest != second.digest
    sent = job_of(first.as_json())
    assert (sent, sent.digest) == (first, first.digest), "a job arrives elsewhere as it was"


def test_a_toml_list_has_shared_options_and_recipes_in_its_rows(clips):
    (clips / "lens.json").write_text("{}")
    table = clips / "list.toml"
    table.write_text(
        '[options]\npreset = "fast"\nstride = 3\n[[clip]]\ninput = "case 2"\n'
        '[[clip]]\ninput = "day/case 10"\nrecipe = "scared"\nmasks = "color"\ncalibration = "lens.json"\n'
    )
    plain, recipe = jobs(table, clips / "out", seed=7).values()
    assert (plain.options.preset, plain.options.clip.stride, plain.options.seed) == ("fast", 3, 7)
    assert (recipe.options.depth, recipe.options.masks, recipe.options.clip.stride) == ("given", "color", 2)
    assert recipe.options.clip.calibration == clips / "lens.json", "files are looked for beside the list"
    table.write_text('[options]\npresett = "fast"\n[[clip]]\ninput = "a"\n')
    with pytest.raises(InputError, match="unknown option presett"):
        jobs(table, clips / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\na", "needs a first line of different headings, one of which is input"),
        ("input,input\na,b", "needs a first line of different headings"),
        ("input,seed\na,1,2", "row 1 has more cells than there are headings"),
        ("input,seed\n,1", "row 1 has no input"),
        ("input", "lists no clip"),
        ("input,memory\na,lots", "memory of row 1 must be a number of GB"),
        ("input,presett\na,\nb,fast", "unknown heading 'presett': preset is meant, perhaps; besides input, name"),
        ("input,xyzzy\na,", "unknown heading 'xyzzy': besides input, name, recipe and memory there are"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text, said):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        jobs(tmp_path / "list.csv", tmp_path / "out")


def test_empty_columns_of_a_spreadsheet_do_not_count(clips):
    (clips / "list.csv").write_text("\ufeffinput;seed;;\r\ncase 2;3;;\r\n", encoding="utf-8")
    [job] = jobs(clips / "list.csv", clips / "out").values()
    assert job.options.seed == 3


def test_a_wrong_option_of_one_row_is_that_row_s_alone(clips):
    (clips / "list.csv").write_text("input,seed,colors,deformation\ncase 2,x,,\nday/case 10,1,,\nfilm.MP4,,lit,mlp\n")
    said = {name: job.said for name, job in jobs(clips / "list.csv", clips / "out").items()}
    assert said["day-case_10"] is None
    assert "option seed = 'x' is not a whole number" in said["case_2"]
    assert "--colors and --exposure need --deformation spline or none" in said["film"]


def test_names_that_would_be_the_same_do_not_depend_on_the_order(clips, tmp_path):
    rows = [{"input": clips / "case 2", "seed": 1}, {"input": clips / "case 2", "seed": 2}, clips / "film.MP4"]
    batch = Batch(Path("clips"), out=tmp_path / "out")
    forth = {job.name: job.options.seed for job in jobs_of(batch, rows_from(rows), clips)}
    back = {job.name: job.options.seed for job in jobs_of(batch, rows_from(rows[::-1]), clips)}
    assert forth == back
    assert len(forth) == 3
    assert all(name.startswith("case_2-") or name == "film" for name in forth)
    with pytest.raises(InputError, match="stands twice in the list"):
        jobs_of(batch, rows_from([rows[0], rows[0]]), clips)
    odd = rows_from([{"input": "a", "name": "../../<b>\n=1+1" + "x" * 300}])
    [job] = jobs_of(batch, odd, clips)
    assert set(job.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert len(job.name) <= 100
    [umlauts, greek] = jobs_of(
        batch, rows_from([{"input": "a", "name": "Größe é"}, {"input": "a", "name": "ω"}]), clips
    )
    assert (umlauts.name, greek.name) == ("Grosse_e", "clip")
    for wrong in ([], [3], [{"seed": 1}], [{"input": ""}], [{"input": "a", "name": 5}]):
        with pytest.raises(InputError, match="clips: "):
            rows_from(wrong)


def test_a_recipe_runs_all_sequences_of_its_data_set(tmp_path):
    data = tmp_path / "scared"
    for name in ("dataset_1/keyframe_2", "dataset_1/keyframe_10", "dataset_2/keyframe_1"):
        generated("scared", data / name)
    write_images(data / "pictures", 2)
    found = jobs("scared", tmp_path / "out", data=data)
    assert list(found) == ["dataset_1-keyframe_2", "dataset_1-keyframe_10", "dataset_2-keyframe_1"]
    assert {(job.options.clip.stride, job.options.depth) for job in found.values()} == {(2, "given")}
    with pytest.raises(InputError, match="say with --data where the data of SCARED is"):
        jobs("scared", tmp_path / "out")
    with pytest.raises(InputError, match="holds no sequence of SCARED"):
        jobs("scared", tmp_path / "out", data=data / "pictures")
