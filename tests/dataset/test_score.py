"""A data set is scored in its order, and whatever ends a run loses nothing."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine, InvalidGrader, UnavailableGrader
from graders_engine.dataset.results import ResultLine, ResultsFile
from graders_engine.dataset.score import score_file
from graders_engine.dataset.tally import Tally
from graders_engine.report.text import render

KILLS = int(os.environ.get("GRADERS_KILLS", "4"))
KILL_ROWS = int(os.environ.get("GRADERS_KILL_ROWS", "20000"))


LINE = ResultLine(1, 1.0, "scored", {}, {}, 0.0)


def write_rows(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cats(count: int) -> list[Any]:
    return [{"item": {"label": f"cat{n % 7}"}, "model_sample": f"cat{n % 3}"} for n in range(count)]


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def timeless(path: Path) -> bytes:
    return re.sub(rb'"seconds":[^}]*', b"", path.read_bytes())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(10))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_each_row_has_one_result_in_the_order_of_the_data(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    tally = score_file(engine, string_check, data, out)
    assert [result["line"] for result in results(out)] == list(range(1, 11))
    assert [result["reward"] for result in results(out)] == [
        float(n % 7 == n % 3) for n in range(10)
    ]
    assert (tally.rows, tally.scored, tally.mean) == (10, 10, 0.3)


def test_a_bad_line_is_a_result_of_its_own_and_does_not_stop_the_others(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    good = {"item": {"label": "a"}, "model_sample": "a"}
    rows = [
        good,
        "{broken",
        "",
        '"text"',
        {"item": {}},
        {"model_sample": 3},
        {**good, "sample": {}},
        good,
    ]
    tally = score_file(engine, string_check, write_rows(tmp_path / "rows.jsonl", rows), out)
    found = results(out)
    assert [(result["line"], result["status"]) for result in found] == [
        (1, "scored"), (2, "invalid"), (4, "invalid"), (5, "invalid"),
        (6, "invalid"), (7, "invalid"), (8, "scored"),
    ]  # fmt: skip
    assert found[1]["flags"]["other_error"].startswith("The line is not JSON")
    assert (
        "neither `model_sample` nor `sample` (its keys: item)" in found[3]["flags"]["other_error"]
    )
    assert "must be a string, but it is an integer" in found[4]["flags"]["other_error"]
    assert "both given" in found[5]["flags"]["other_error"]
    assert tally.flags == {"other_error": 5}
    assert tally.mean == 1.0
    assert tally.served_mean == pytest.approx(2 / 7)


def test_flat_rows_take_the_output_from_a_field_and_the_rest_is_the_item(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    rows = [
        {"label": "a", "answer": "a"},
        {"label": "b", "answer": {"choices": [{"message": {"content": "b"}}]}},
        {"label": "c"},
        {"label": "d", "answer": None},
        "[1]",
    ]
    score_file(
        engine, string_check, write_rows(tmp_path / "r.jsonl", rows), out, sample_field="answer"
    )
    assert [result["reward"] for result in results(out)] == [1.0, 1.0, None, None, None]
    assert "no field `answer` (its keys: label)" in results(out)[2]["flags"]["other_error"]


def test_a_byte_order_mark_and_foreign_line_ends_are_no_part_of_a_row(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "windows.jsonl"
    line = b'{"item": {"label": "a"}, "model_sample": "a"}\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line + line.strip())
    assert score_file(engine, string_check, path, out).mean == 1.0
    assert [result["line"] for result in results(out)] == [1, 3, 4]


def test_a_lone_surrogate_of_a_row_reaches_the_results_escaped(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    grader = {**string_check, "reference": "{{sample.output_json.x}}"}
    rows = ['{"item": {}, "model_sample": "\\ud800 is not JSON"}']
    score_file(engine, grader, write_rows(tmp_path / "rows.jsonl", rows), out)
    assert "ud800" in results(out)[0]["flags"]["sample_parse_error"]


def test_the_same_command_again_scores_nothing_and_reports_the_same(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    first = score_file(engine, string_check, data, out)
    before = out.read_bytes()
    assert score_file(engine, string_check, data, out) == first
    assert out.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 1, 60, 120, 400])
def test_a_run_goes_on_behind_the_last_whole_line(
    kept: int, engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    whole = score_file(engine, string_check, data, out)
    expected = timeless(out)
    with out.open("r+b") as file:
        file.truncate(kept)
    assert score_file(engine, string_check, data, out) == whole
    assert timeless(out) == expected


def test_results_of_another_run_are_never_mixed_or_lost(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    before = out.read_bytes()
    with pytest.raises(DataSetError, match="another run: other grader"):
        score_file(engine, {**string_check, "operation": "ne"}, data, out)
    write_rows(data, cats(11))
    with pytest.raises(DataSetError, match="another run: other data and settings"):
        score_file(engine, string_check, data, out, sample_field="x")
    assert out.read_bytes() == before
    assert score_file(engine, string_check, data, out, overwrite=True).rows == 11


def test_a_file_that_is_no_results_file_is_not_touched(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    out.write_text("my notes\n")
    with pytest.raises(DataSetError, match="does not say what gave it"):
        score_file(engine, string_check, data, out)
    assert out.read_text() == "my notes\n"


def test_a_results_file_with_a_foreign_line_is_refused(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    with out.open("a") as file:
        file.write('{"line": "eleven"}\n')
    with pytest.raises(DataSetError, match="line 11, is not a result"):
        score_file(engine, string_check, data, out)


def test_a_second_run_on_the_same_results_is_refused(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    with ResultsFile(out, {}), pytest.raises(DataSetError, match="Another run is writing"):
        score_file(engine, string_check, data, out)


def test_files_that_cannot_be_used_are_named(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataSetError, match=r"cannot be read: .*none"):
        score_file(engine, string_check, tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataSetError, match="is not a file"):
        score_file(engine, string_check, tmp_path, tmp_path / "out.jsonl")
    with pytest.raises(DataSetError, match="is the data set itself"):
        score_file(engine, string_check, data, data)
    with pytest.raises(DataSetError, match="cannot be written"):
        score_file(engine, string_check, data, tmp_path / "no" / "out.jsonl")
    (tmp_path / "taken.jsonl.meta.json").mkdir()
    with pytest.raises(DataSetError, match=r"taken.jsonl.meta.json cannot be written"):
        score_file(engine, string_check, data, tmp_path / "taken.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_sentence_and_leaves_whole_lines(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        results.flush()
        real = results._file
        with Path("/dev/full").open("ab", buffering=0) as full:
            results._file = full
            results.add(LINE)
            with pytest.raises(DataSetError, match="No space left on device"):
                results.flush()
        results._file = real
        results.add(LINE)
    assert len(out.read_bytes().splitlines()) == 1


def test_nothing_follows_a_line_that_was_torn_by_an_interrupt(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    class Torn:
        def write(self, lines: memoryview) -> int:
            real.write(lines[:10])
            raise KeyboardInterrupt

    with ResultsFile(out, {}) as results:
        real: Any = results._file
        results.add(LINE)
        results._file = Torn()  # type: ignore[assignment] # writes half a line, as a signal may make it
        with pytest.raises(KeyboardInterrupt):
            results.flush()
        results._file = real
        results.add(LINE)
    assert out.read_bytes() == b'{"line":1,'
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        results.flush()
        assert list(results.read()) == [LINE]


def test_a_bad_grader_stops_before_any_file_is_touched(
    engine: Engine, data: Path, out: Path
) -> None:
    with pytest.raises(InvalidGrader):
        score_file(engine, {"type": "string_check"}, data, out)
    with pytest.raises(UnavailableGrader):
        judged = {"type": "score_model", "model": "m", "input": [{"role": "user", "content": "?"}]}
        score_file(engine, judged, data, out)
    assert not out.exists()


def test_progress_is_told_and_ends_at_the_end(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(1000))
    told: list[tuple[int, int]] = []
    score_file(
        engine,
        string_check,
        data,
        out,
        on_progress=lambda done, tally: told.append((done, tally.rows)),
    )
    assert told == sorted(told)
    assert told[-1] == (data.stat().st_size, 1000)
    assert len(told) == 4


def command(grader: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "graders_engine", "score",
        "--grader", f"@{grader}", "--data", str(data), "--out", str(out), *more,
    ]  # fmt: skip


def test_killed_at_random_moments_the_results_are_those_of_an_undisturbed_run(
    string_check: dict[str, Any], tmp_path: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    data = write_rows(tmp_path / "rows.jsonl", cats(KILL_ROWS))
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    began = time.monotonic()
    subprocess.run(command(grader, data, whole, "--quiet"), check=True, timeout=300)
    duration = time.monotonic() - began
    moments = random.Random(7)  # noqa: S311 - moments to kill at, no secrets
    for _ in range(KILLS):
        process = subprocess.Popen(command(grader, data, broken, "--quiet"))
        time.sleep(moments.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(grader, data, broken, "--quiet"), check=True, timeout=300)
    assert timeless(broken) == timeless(whole)


def test_interrupted_from_the_keyboard_it_keeps_what_was_scored(
    string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    data = write_rows(tmp_path / "rows.jsonl", cats(300_000))
    # Without coverage's hooks: an interrupt inside their lock leaves it closed for ever.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(
        command(grader, data, out), stderr=subprocess.PIPE, text=True, env=unmeasured
    ) as process:
        while not (out.exists() and out.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "\nInterrupted. The same command goes on from here.\n"
    lines = [result["line"] for result in results(out)]
    assert lines == list(range(1, len(lines) + 1))
    assert 0 < len(lines) < 300_000


def test_the_report_tells_failures_from_zeros(
    engine: Engine, name_email: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    item = {"name": "Ann", "email": "a@b.c"}
    answers = ['{"name": "Ann", "email": "a@b.c"}', '{"name": "Bob", "email": "x"}', "no JSON", ""]
    rows = [{"item": item, "model_sample": answer} for answer in answers]
    tally = score_file(engine, name_email, write_rows(tmp_path / "rows.jsonl", rows), out)
    report = render(tally, engine.settings(engine.compile(name_email)))
    assert (tally.scored, tally.invalid, tally.failed) == (2, 2, 0)
    assert "mean reward  0.5000  over 2 rows scored" in report
    assert "as served    0.2500  with the 2 invalid" in report
    assert (
        "first on line 3: name: `sample.output_json`: the model's text is not JSON: 'no JSON'"
        in report
    )
    assert "unresponsive_reward_error  1" in report
    assert re.search(r"name +0\.5000 ", report)
    assert re.search(r"fuzzy_match as rapidfuzz \d", report)


def test_the_report_of_nothing_is_a_sentence() -> None:
    assert render(Tally(), {}).startswith("no reward: none of 0 rows was scored\n")


def test_the_command_prints_the_report_and_where_the_results_are(
    string_check: dict[str, Any], data: Path, out: Path, tmp_path: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    ended = subprocess.run(command(grader, data, out), capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("mean reward  0.3000  over 10 rows scored\n")
    assert ended.stdout.endswith(f"results in {out}\n")
    assert ended.stderr == ""
    again = subprocess.run(command(grader, data, data), capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is the data set itself" in again.stderr


def test_on_a_terminal_there_is_a_bar(
    string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    import pty

    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    data = write_rows(tmp_path / "rows.jsonl", cats(5000))
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        command(grader, data, out), stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60
    )
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    os.close(theirs)
    assert "scoring" in shown
    assert "100%" in shown
    assert b"mean reward" in ended.stdout
