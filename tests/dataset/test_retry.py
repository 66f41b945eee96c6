"""Rows that failed are tried again, and only those; equal rows are graded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, InvalidRequest
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shapes import ROWS
from graders_engine.dataset.rows.shards import cut
from graders_engine.dataset.scoring.order import failed_results
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import BackendRejected, BudgetSpent
from graders_engine.models.base import ModelRequest
from graders_engine.models.scripted import Answer, Scripted
from tests.dataset.files import cats, results, timeless, write_rows

JUDGED: dict[str, Any] = {
    "type": "score_model",
    "name": "judged",
    "model": "judge",
    "input": [{"role": "user", "content": "Rate {{sample.output_text}}"}],
}


class Judge:
    """Rates a text by its number; out of order for some of them."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.spent_at = ""

    def __call__(self, request: ModelRequest) -> Answer:
        text = "".join(part.text for message in request.messages for part in message.parts)  # type: ignore[union-attr] # all are texts
        number = text.split()[-1]
        self.asked.append(number)
        if number == self.spent_at:
            raise BudgetSpent("The budget is spent.")
        return (
            BackendRejected("out of order", status=400)
            if number in self.down
            else int(number) / 100
        )


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def engine(judge: Judge) -> Any:
    with Engine(judges=Scripted(judge), concurrency=4) as opened:
        yield opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows: list[Any] = [{"item": {}, "model_sample": str(n)} for n in range(40)]
    return write_rows(tmp_path / "rows.jsonl", ["", *rows, "{broken"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_only_rows_that_failed_are_tried_again_and_only_when_it_is_asked_for(
    engine: Engine, judge: Judge, data: Path, out: Path, tmp_path: Path
) -> None:
    undisturbed = tmp_path / "undisturbed.jsonl"
    score_file(engine, JUDGED, data, undisturbed)
    judge.down = {"3", "17", "39"}
    first = score_file(engine, JUDGED, data, out)
    assert (first.scored, first.invalid, first.failed) == (37, 1, 3)
    judge.down, judge.asked = set(), []
    assert score_file(engine, JUDGED, data, out) == first
    assert judge.asked == []
    again = score_file(engine, JUDGED, data, out, retry_failed=True)
    assert judge.asked == ["3", "17", "39"]
    assert (again.scored, again.invalid, again.failed) == (40, 1, 0)
    assert timeless(out) == timeless(undisturbed)
    assert score_file(engine, JUDGED, data, out, retry_failed=True) == again
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == [
        "out.jsonl", "out.jsonl.index.sqlite", "out.jsonl.meta.json",
    ]  # fmt: skip


def test_a_row_that_fails_again_stays_failed_and_an_unfinished_run_is_finished(
    engine: Engine, judge: Judge, data: Path, out: Path
) -> None:
    judge.down = {"3", "30"}
    score_file(engine, JUDGED, data, out)
    with out.open("r+b") as file:
        file.truncate(2000)
    judge.down = {"3"}
    tally = score_file(engine, JUDGED, data, out, retry_failed=True)
    assert (tally.rows, tally.failed) == (41, 1)
    assert [result["line"] for result in results(out)] == list(range(2, 43))


def test_what_was_tried_before_the_budget_was_spent_is_kept(
    engine: Engine, judge: Judge, data: Path, out: Path
) -> None:
    judge.down = {str(n) for n in range(0, 40, 2)}
    score_file(engine, JUDGED, data, out)
    judge.down, judge.spent_at = set(), "30"
    with pytest.raises(BudgetSpent):
        score_file(engine, JUDGED, data, out, retry_failed=True)
    left = [result["line"] - 2 for result in results(out) if result["status"] == "failed"]
    assert left == [30, 32, 34, 36, 38]
    judge.spent_at = ""
    assert score_file(engine, JUDGED, data, out, retry_failed=True).failed == 0


def test_a_run_that_goes_on_asks_only_for_what_is_missing(
    engine: Engine,
    judge: Judge,
    data: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 256)
    monkeypatch.setattr(sizes, "SHARD_BYTES", 256)
    first = score_file(engine, JUDGED, data, out)
    expected = timeless(out)
    lines = out.read_bytes().splitlines(keepends=True)
    for kept in (0, 7, 30, 40, 41):
        out.write_bytes(b"".join(lines[:kept]) + b'{"line":'[: kept % 9])
        judge.asked = []
        assert score_file(engine, JUDGED, data, out).rows == first.rows
        assert judge.asked == [str(n) for n in range(kept, 40)]
        assert timeless(out) == expected


def test_progress_of_a_judged_run_is_told_between_shards(
    engine: Engine, data: Path, out: Path
) -> None:
    told: list[int] = []
    score_file(engine, JUDGED, data, out, on_progress=lambda done, size, tally: told.append(done))
    assert told == sorted(told)
    assert told[-1] == data.stat().st_size
    assert any(0 < done < told[-1] for done in told)


def test_progress_of_a_judged_run_is_told_after_every_sixteen_rows(
    engine: Engine, data: Path, out: Path
) -> None:
    told: list[int] = []
    score_file(
        engine, JUDGED, data, out, on_progress=lambda done, size, tally: told.append(tally.rows)
    )
    assert told == [16, 32, 41]


def test_equal_rows_are_graded_once_and_each_has_its_result(
    engine: Engine, judge: Judge, tmp_path: Path, out: Path
) -> None:
    rows = [{"item": {"n": n % 2}, "model_sample": str(n % 4)} for n in range(200)]
    tally = score_file(engine, JUDGED, write_rows(tmp_path / "rows.jsonl", rows), out)
    assert sorted(judge.asked) == ["0", "1", "2", "3"]
    assert tally.rows == 200
    assert [result["reward"] for result in results(out)] == [n % 4 / 100 for n in range(200)]


def test_a_failure_is_no_answer_for_equal_rows_that_come_later(
    engine: Engine, judge: Judge, tmp_path: Path, out: Path
) -> None:
    others = [{"item": {}, "model_sample": str(n)} for n in range(30)]
    rows = [{"item": {}, "model_sample": "99"}, *others, {"item": {}, "model_sample": "99"}]

    def mended(request: ModelRequest) -> Answer:
        answer = judge(request)
        if judge.asked[-1] == "29":
            judge.down = set()
        return answer

    judge.down = {"99"}
    with Engine(judges=Scripted(mended), concurrency=1) as alone:
        tally = score_file(alone, JUDGED, write_rows(tmp_path / "rows.jsonl", rows), out)
    assert judge.asked.count("99") == 2
    assert (tally.failed, results(out)[-1]["reward"]) == (1, 0.99)


def test_a_row_that_workers_died_of_is_tried_again_by_a_worker(
    string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(30))
    with Engine() as engine:
        score_file(engine, string_check, data, out)
        expected = timeless(out)
        lines = out.read_bytes().splitlines(keepends=True)
        (shard,) = cut(open_records(data)).rest()
        lost = failed_results(shard, ROWS).lines.splitlines(keepends=True)
        out.write_bytes(b"".join(lost[:3] + lines[3:20] + lost[20:21] + lines[21:]))
        assert score_file(engine, string_check, data, out).failed == 4
        tally = score_file(engine, string_check, data, out, retry_failed=True)
    assert (tally.rows, tally.failed) == (30, 0)
    assert timeless(out) == expected


def test_rows_that_can_be_read_once_only_are_not_tried_again(
    engine: Engine, data: Path, out: Path
) -> None:
    records = open_records(data)
    records.once = True
    with pytest.raises(InvalidRequest, match="cannot be tried again"):
        score_file(engine, JUDGED, records, out, retry_failed=True)
