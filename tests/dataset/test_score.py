"""A data set is scored in its order, and whatever ends a run loses nothing."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import (
    DataSetError,
    Engine,
    InvalidGrader,
    InvalidRequest,
    UnavailableGrader,
)
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring import launch
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.terminal.report import tally_text
from tests.dataset.files import cats, command, results, timeless, write_rows


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
    assert tally.blames["row"] == 5
    assert tally.hosted_mean == pytest.approx(2 / 7)


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


def gzipped(rows: list[Any], folder: Path) -> Path:
    path = folder / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(write_rows(folder / "plain", rows).read_bytes()))
    return path


def array(rows: list[Any], folder: Path) -> Path:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    return path


def table(rows: list[Any], folder: Path) -> Path:
    pyarrow: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    path = folder / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("write", [gzipped, array, table])
def test_other_forms_give_what_plain_lines_give(
    write: Callable[[list[Any], Path], Path],
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = cats(3000)
    plain = tmp_path / "plain.jsonl"
    score_file(engine, string_check, write_rows(tmp_path / "rows.jsonl", rows), plain)
    monkeypatch.setattr(launch, "SMALL_BYTES", 0)  # so that workers take part
    data = write(rows, tmp_path)
    first = score_file(engine, string_check, data, out, workers=2)
    assert timeless(out) == timeless(plain)
    assert score_file(engine, string_check, data, out).rows == first.rows == 3000


def test_several_samples_of_a_row_are_results_of_one_group(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    rows = [{"id": "x", "item": {"label": "a"}, "samples": ["a", "b"]}]
    rows.append({"item": {"label": "b"}, "samples": ["b"]})
    score_file(engine, string_check, write_rows(tmp_path / "rows.jsonl", rows), out)
    found = [
        (result["line"], result.get("sample", 0), result["group"], result["reward"])
        for result in results(out)
    ]
    assert found == [(1, 1, "x", 1.0), (1, 2, "x", 0.0), (2, 1, "2", 1.0)]


def test_rows_are_joined_with_a_file_of_outputs_and_both_must_stay_the_same(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    rows = [{"id": n, "messages": [], "label": f"cat{n % 2}"} for n in range(6)]
    outputs = [{"key": n, "output": "cat0"} for n in reversed(range(6))]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    other = write_rows(tmp_path / "outputs.jsonl", outputs)

    def score() -> Tally:
        return score_file(engine, string_check, data, out, outputs=other, join_on="id=key")

    first = score()
    assert [result["reward"] for result in results(out)] == [1.0, 0.0] * 3
    other = other.rename(tmp_path / "moved.jsonl")
    assert score() == first
    other.write_bytes(other.read_bytes().replace(b"cat0", b"cat1"))
    with pytest.raises(DataSetError, match="other data"):
        score()
    with pytest.raises(InvalidRequest, match="--join-on needs --outputs"):
        score_file(engine, string_check, data, out, join_on="id")
    with pytest.raises(InvalidRequest, match="--shape says"):
        score_file(engine, string_check, data, out, outputs=other, shape="rows")


def test_there_must_be_a_worker(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    with pytest.raises(InvalidRequest, match="at least 1 worker"):
        score_file(engine, string_check, data, out, workers=0)


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


def test_files_that_cannot_be_used_are_named(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataSetError, match=r"cannot be read: .*none"):
        score_file(engine, string_check, tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataSetError, match="it is a folder"):
        score_file(engine, string_check, tmp_path, tmp_path / "out.jsonl")
    with pytest.raises(DataSetError, match="is the data set itself"):
        score_file(engine, string_check, data, data)
    with pytest.raises(DataSetError, match="cannot be written"):
        score_file(engine, string_check, data, tmp_path / "no" / "out.jsonl")
    (tmp_path / "taken.jsonl.meta.json").mkdir()
    with pytest.raises(DataSetError, match=r"taken.jsonl.meta.json cannot be written"):
        score_file(engine, string_check, data, tmp_path / "taken.jsonl")


def test_text_that_was_no_unicode_does_not_stop_a_run_from_going_on(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    grader = {**string_check, "reference": "{{sample.output_json.x}}"}
    row = '{"item": {}, "model_sample": "\\ud800 is not JSON"}'
    data = write_rows(tmp_path / "rows.jsonl", [row])
    assert score_file(engine, grader, data, out) == score_file(engine, grader, data, out)


def test_a_bad_grader_stops_before_any_file_is_touched(
    engine: Engine, data: Path, out: Path
) -> None:
    with pytest.raises(InvalidGrader):
        score_file(engine, {"type": "string_check"}, data, out)
    judged = {"type": "score_model", "model": "m", "input": [{"role": "user", "content": "?"}]}
    with pytest.raises(UnavailableGrader):
        score_file(engine, judged, data, out)
    assert not out.exists()


def test_progress_is_told_and_ends_at_the_end(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(1000))
    size = data.stat().st_size
    told: list[tuple[int, int | None, int]] = []
    score_file(
        engine,
        string_check,
        data,
        out,
        on_progress=lambda done, size, tally: told.append((done, size, tally.rows)),
    )
    assert told == sorted(told)
    assert told[-1] == (size, size, 1000)


def test_the_report_tells_failures_from_zeros(
    engine: Engine, name_email: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    item = {"name": "Ann", "email": "a@b.c"}
    answers = ['{"name": "Ann", "email": "a@b.c"}', '{"name": "Bob", "email": "x"}', "no JSON", ""]
    rows = [{"item": item, "model_sample": answer} for answer in answers]
    tally = score_file(engine, name_email, write_rows(tmp_path / "rows.jsonl", rows), out)
    report = tally_text(tally, engine.reward_settings(engine.compile(name_email)))
    assert (tally.scored, tally.invalid, tally.failed) == (2, 2, 0)
    assert report.startswith(
        "mean reward  0.2500  over 4 rows\n  scored      0.5000  over 2 rows\n"
    )
    assert tally.blames["sample"] == 2
    assert re.search(r"  sample +2 +50\.0 %  the model's output is not JSON", report)
    assert (
        "first on line 3: name, email: `sample.output_json`: the model's text is not JSON: 'no JSON'"
        in report
    )
    assert "unresponsive_reward_error  1" in report
    # The two that are not JSON count as 0 in the part, as they do in the whole.
    assert re.search(r"name +0\.2500 ", report)
    assert re.search(r"fuzzy_match as rapidfuzz \d", report)


def test_the_report_of_nothing_is_a_sentence() -> None:
    assert tally_text(Tally(), {}).startswith("no reward: none of 0 rows was scored\n")


def test_the_command_prints_the_report_and_where_the_results_are(
    string_check: dict[str, Any], data: Path, out: Path, tmp_path: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    ended = subprocess.run(command(grader, data, out), capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("mean reward  0.3000  over 10 rows\n")
    assert ended.stdout.endswith(f"results in {out}\n")
    assert ended.stderr == ""
    again = subprocess.run(command(grader, data, data), capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is the data set itself" in again.stderr


@pytest.mark.parametrize("group_by", [None, "item.label"])
def test_a_multi_with_more_parts_than_reports_read_is_refused_before_the_first_row(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path, group_by: str | None
) -> None:
    def multi(count: int) -> dict[str, Any]:
        parts = {f"g{number}": {**string_check, "name": "x"} for number in range(count)}
        return {"type": "multi", "graders": parts, "calculate_output": "g0"}

    with pytest.raises(InvalidRequest, match=r"has 1,001 graders, .* 1,000 sub-rewards at most"):
        score_file(engine, multi(1001), data, out, group_by=group_by)
    assert not out.exists()
    assert score_file(engine, multi(1000), data, out, workers=1).rows == 10
