"""The table of a batch: spreads, order, texts that are only shown, and the page in a browser."""

import csv
import io
import json
import re
import time

import pytest
from samples.chromium import Chromium, executable

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.compare import compared, comparison_csv, comparison_lines
from endogs.batches.identity import Identity
from endogs.batches.record import Record, read_record, write_record
from endogs.batches.result_files import tell_end, write_results
from endogs.batches.results import csv_text, in_order, read_results, results_json, spreads_of
from endogs.batches.results_page import page_of
from endogs.errors import InputError

EVIL = "</script><img src=x onerror=alert(1)>\u2028\x1b[2J\u202e"
ABOUT = {
    "list": EVIL,
    "started": "2026-01-01T00:00:00+0000",
    "seconds": 61.5,
    "options": {"preset": "fast"},
    "versions": {"endogs": "0.1.0"},
    "stopped_by": None,
}
PIXEL = "/9j/4AAQ"


def record(number, state="finished", **changes):
    measures = {"psnr": 30.0 + number, "depth_rmse_mm": 1.0 + number} if state == "finished" else {}
    values = {"measures": measures, "steps_psnr": [20.0, 30.0], "frames_psnr": [29.0, None], "seconds": 2.0 * number}
    identity = Identity(f"pictures{number}", "given", "options")
    named = {"name": f"clip{number}", "input": f"/data/clip{number}.mp4", "state": state, "identity": identity}
    return Record(**{**named, **values, **changes})


def page_data(text):
    return json.loads(re.search(r'id="results">([^<]*)</script>', text)[1])


def test_spreads_name_the_worst_clip_of_every_measure():
    records = [record(1), record(2), record(6), record(3, "failed", error="no"), record(4, measures={"psnr": None})]
    psnr, depth = spreads_of(records)
    assert (psnr.measure, psnr.clips, psnr.mean, psnr.median, psnr.worst, psnr.worst_clip) == (
        ("psnr", 3, 33.0, 32.0, 31.0, "clip1")
    )
    assert (depth.worst, depth.worst_clip) == (7.0, "clip6"), "of an error the largest is worst"
    assert spreads_of([record(3, "failed")]) == []


def test_failures_stand_first_and_a_record_is_read_as_it_was_written(tmp_path):
    records = [record(12), record(2), record(4, "waiting"), record(3, "failed", error=EVIL), record(5, "interrupted")]
    assert [one.name for one in in_order(records)] == ["clip3", "clip5", "clip4", "clip2", "clip12"]
    for one in records:
        write_record(tmp_path / "one.json", one)
        assert read_record(tmp_path / "one.json") == one
    for wrong in ("", "{}", '{"format": "endogs-batch-clip-1", "state": "odd"}', "[1]"):
        (tmp_path / "one.json").write_text(wrong)
        assert read_record(tmp_path / "one.json") is None
    values = {"format": "endogs-batch-clip-1", "name": "a", "input": "b", "attempts": "many"}
    (tmp_path / "one.json").write_text(json.dumps(values))
    assert read_record(tmp_path / "one.json") is None, "a value of another type is no record"


def test_a_spreadsheet_takes_no_cell_for_a_formula():
    odd = record(1, input="=cmd|'/c calc'!A0", error="+1", options={"seed": 3}, worker="@host", state="failed")
    [row, other] = csv.DictReader(io.StringIO(csv_text([odd, record(2, measures={"psnr": -1.5, "new": None})])))
    assert (row["input"], row["error"], row["worker"]) == ("'=cmd|'/c calc'!A0", "'+1", "'@host")
    assert (other["psnr"], other["new"], row["options"]) == ("-1.5", "", "seed=3")


def test_nothing_that_a_clip_is_called_becomes_markup():
    records = [record(1, name=EVIL, input=EVIL, error=EVIL, state="failed", thumbnail='"><script>', worker=EVIL)]
    text = page_of(results_json(ABOUT, records))
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "\u2028" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "<img src=x" not in text
    shown = page_data(text)["clips"][0]
    assert shown["error"].startswith("</script><img"), "it is shown as it is"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_two_batches_are_paired_by_what_their_clips_show():
    here = [record(1), record(2, measures={"psnr": 31.0, "depth_rmse_mm": 3.5}), record(3, "failed"), record(9)]
    there = [record(2, name="other name"), record(1, measures={"psnr": 30.0, "depth_rmse_mm": 2.0}), record(3)]
    found = compared(here, there, "elsewhere")
    assert found.clips == ["clip1", "clip2"]
    psnr, depth = found.differences[:2]
    assert (psnr.measure, psnr.values, psnr.mean, psnr.better) == ("psnr", [1.0, -1.0], 0.0, 1)
    assert (depth.values, depth.better) == ([0.0, 0.5], 0), "of an error less is better"
    assert found.left_out == ["clip3: failed here", "clip9: no finished clip there shows the same"]
    said = "\n".join(comparison_lines(found))
    assert "2 clips, this batch minus elsewhere" in said
    assert "1 of 2" in said
    rows = list(csv.DictReader(io.StringIO(comparison_csv(found))))
    assert [row["psnr_difference"] for row in rows] == ["1.0", "-1.0"]
    assert compared([], there, "x").differences == []


def test_rows_of_the_same_pictures_are_paired_by_name():
    twice = [record(1, name="mild"), record(1, name="strong")]
    other = [record(1, name="strong", measures={"psnr": 20.0}), record(1, name="weak")]
    found = compared(twice, other, "x")
    assert found.clips == ["strong"]
    assert found.left_out == ["mild: 2 clips there have the same pictures"]


def test_results_are_written_and_read_back(tmp_path, capsys):
    folder, records = BatchFolder(tmp_path), in_order([record(1), record(2, "failed", error="it broke")])
    write_results(folder, ABOUT, records, compared(records, records, "itself"))
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.json", "results.csv", "results.html", "comparison.csv"
    }  # fmt: skip
    assert read_results(tmp_path) == records
    write_results(folder, ABOUT, records, None)
    assert not (tmp_path / "comparison.csv").exists(), "it was of other results"
    (tmp_path / "comparison.csv").write_text("somebody's")
    write_results(folder, ABOUT, records, None)
    assert (tmp_path / "comparison.csv").read_text() == "somebody's"
    tell_end(folder, records, None)
    said = capsys.readouterr()
    assert "1 of 2 clips finished" in said.out
    assert "failed: clip2: it broke" in said.err
    with pytest.raises(InputError, match="give the --out folder of another batch"):
        read_results(tmp_path / "nothing")
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match="not the results of a batch"):
        read_results(tmp_path)


@pytest.mark.skipif(executable() is None, reason="no Chromium on the path; set ENDOGS_CHROMIUM to one")
def test_the_page_of_two_thousand_clips_sorts_finds_and_stays_quiet(tmp_path):
    many = [record(number % 50, name=f"case{number}", thumbnail=PIXEL * 250) for number in range(2_000)]
    many[7] = record(7, "failed", name=EVIL, error=EVIL, input=EVIL)
    comparison = compared(many[:6], many[:6], "itself").as_json()
    page = tmp_path / "results.html"
    page.write_text(page_of(results_json(ABOUT, in_order(many), comparison)), encoding="utf-8")
    try:
        browser = Chromium(1200, 800)
    except TimeoutError as error:
        pytest.skip(f"{error}; set ENDOGS_CHROMIUM to one that starts")
    try:
        browser.open(page.as_uri())
        drawn = "[...document.querySelectorAll('tr.clip')]"
        assert browser.run("document.getElementById('count').textContent") == "2000 of 2000 clips"
        assert 5 < browser.run(f"{drawn}.length") < 60, "only rows in view are drawn"
        assert browser.run(f"{drawn}[0].classList.contains('failed')")
        assert browser.run(f"{drawn}[0].querySelector('td.error').textContent").startswith("</script><img")
        press = "[...document.querySelectorAll('#clips th button')].find(b => b.textContent === '{}').click()"
        browser.run(press.format("PSNR"))
        assert browser.run(f"{drawn}[0].cells[3].textContent") == "79.00"
        browser.run(press.format("PSNR"))
        assert browser.run(f"{drawn}[0].cells[3].textContent") == "30.00"
        browser.run(press.format("clip"))
        names = browser.run(f"{drawn}.slice(0, 6).map(row => row.cells[1].querySelector('button').textContent)")
        assert names[3:] == ["case2", "case3", "case4"], "and not case10"
        browser.run("find('find').value = 'case1321'; find('find').dispatchEvent(new Event('input'))")
        assert browser.run("document.getElementById('count').textContent") == "1 of 2000 clips"
        assert browser.run(f"{drawn}[0].querySelector('.links a').getAttribute('href')") == "clips/case1321/preview.mp4"
        browser.run("find('find').value = ''; find('find').dispatchEvent(new Event('input'))")
        browser.run("find('scroll').scrollTop = 60000")
        for _ in range(100):
            if browser.run(f"{drawn}[0].cells[1].querySelector('button').textContent") != "case0":
                break
            time.sleep(0.02)
        assert browser.run("find('comparison').textContent").startswith("6 clips, this batch minus itself")
        assert browser.trouble == []
        assert [one for one in browser.requests if not one.startswith(("file:", "data:"))] == []
        assert browser.run("document.querySelectorAll('#clips img[onerror], #clips script').length") == 0
    finally:
        browser.close()
