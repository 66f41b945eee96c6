"""What is held back of a run that may have to be stopped, and what is stored of it however the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.scoring import early_stop
from graders_engine.dataset.scoring.early_stop import FAILED_ROWS, FirstRows, OutageWatch
from graders_engine.dataset.scoring.held import MAX_HELD, held_back
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import (
    BackendFailure,
    BudgetSpent,
    DataSetError,
    GradersError,
    RunStopped,
)
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Blame, status_of
from tests.dataset.files import cats, results, timeless, write_rows
from tests.dataset.judged import JUDGED, NUMBERS, Judge, judging

ENDINGS = [KeyboardInterrupt(), SystemExit(143), BudgetSpent("x"), DataSetError("x")]


def row(line: int, blame: Blame | None = None) -> ResultLine:
    reward = 1.0 if blame is None else None
    flags = {} if blame is None else {"model_grader_refusal_error": ""}
    return ResultLine(line, reward, status_of(blame), {}, flags, 0.0, blame)


def ended_by(error: BaseException, given: list[ResultLine]) -> Iterator[ResultLine]:
    yield from given
    raise error


def stored(given: Iterator[ResultLine]) -> list[int]:
    """The lines of the results that are given before the end, which is an error."""
    numbers: list[int] = []
    try:
        for result in given:
            numbers.append(result.line)  # noqa: PERF401 - those before the error are wanted
    except (KeyboardInterrupt, SystemExit, GradersError):
        return numbers
    pytest.fail("there was no error")


@pytest.mark.parametrize("error", [*ENDINGS, RunStopped("x")], ids=lambda one: type(one).__name__)
def test_first_rows_that_were_graded_are_stored_when_the_run_ends_early(
    error: BaseException,
) -> None:
    given = [row(line, "judge") for line in range(1, 11)]
    assert stored(held_back(ended_by(error, given), OutageWatch(), FirstRows())) == [*range(1, 11)]


def test_first_rows_that_all_fail_are_not_stored() -> None:
    given = (row(line, "judge") for line in range(1, 100))
    assert stored(held_back(given, OutageWatch(), FirstRows())) == []


@pytest.mark.parametrize("error", ENDINGS, ids=lambda one: type(one).__name__)
def test_only_failed_rows_at_the_end_are_left_when_a_run_is_interrupted(
    error: BaseException,
) -> None:
    watch = OutageWatch()
    watch.failing = True
    given = [row(1), row(2, "infrastructure"), row(3), row(4, "infrastructure")]
    assert stored(held_back(ended_by(error, given), watch, None)) == [1, 2, 3]


def test_no_row_of_an_outage_is_stored_when_it_stops_the_run() -> None:
    watch = OutageWatch()
    watch.failing = True
    given = [row(1), row(2, "infrastructure"), row(3), row(4, "infrastructure")]
    assert stored(held_back(ended_by(RunStopped("x"), given), watch, None)) == [1]


def test_few_results_wait_behind_a_failed_one() -> None:
    watch = OutageWatch()
    watch.failing = True
    given = 0

    def read() -> Iterator[ResultLine]:
        nonlocal given
        yield row(1, "infrastructure")
        for line in range(2, 10 * MAX_HELD):
            given = line
            yield row(line)

    for result in held_back(read(), watch, None):
        assert given - result.line <= MAX_HELD + 1
    assert result.line == given


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.mark.parametrize("cause", ["refused", "forbidden", "unreachable"])
def test_a_row_that_is_refused_among_kept_replies_is_the_only_one_without_a_result(
    tmp_path: Path, out: Path, cause: Any
) -> None:
    judge = Judge()
    kept = write_rows(tmp_path / "kept.jsonl", NUMBERS[1:])
    data = write_rows(tmp_path / "rows.jsonl", NUMBERS)
    with judging(judge, cache=tmp_path / "replies.sqlite") as engine:
        score_file(engine, JUDGED, kept, tmp_path / "kept.out.jsonl")
        judge.fails = lambda number: cause
        tally = score_file(engine, JUDGED, data, out)
    assert (tally.failed, tally.scored) == (1, 59)
    assert [one["status"] for one in results(out)] == ["failed"] + 59 * ["scored"]


def test_as_many_rows_as_failed_are_named_at_the_end(tmp_path: Path, out: Path) -> None:
    judge = Judge()
    prose: Any = {"item": {}, "model_sample": "no JSON"}
    data = write_rows(tmp_path / "rows.jsonl", [prose, *NUMBERS[:2], prose])
    grader = {**JUDGED, "input": [{"role": "user", "content": "{{sample.output_json}}"}]}
    judge.fails = lambda number: "refused"
    with judging(judge) as engine:
        with pytest.raises(RunStopped, match="2 rows failed, the last one so"):
            score_file(engine, grader, data, out)
        assert [one["line"] for one in results(out)] == [1]
        judge.fails = lambda number: None
        tally = score_file(engine, grader, data, out)
    assert (tally.scored, tally.invalid) == (2, 2)
    assert [one["line"] for one in results(out)] == [1, 2, 3, 4]


class Slow:
    """Answers row 3 after the endpoint is gone, and no row from the 10th on.

    Attributes:
        gone: whether it is.
        asked: how many rows it was asked for.
    """

    signature = "slow"

    def __init__(self) -> None:
        self.gone = True
        self.asked = 0
        self._ended = asyncio.Event()
        self._answers = Scripted(0.5)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        number = int(str(request.messages).split("Rate ")[1].split("'")[0].split('"')[0])
        if self.gone and number == 3:
            await self._ended.wait()
            await asyncio.sleep(0.1)
        if self.gone and number >= 10:
            if number >= 10 + FAILED_ROWS - 1:
                self._ended.set()
            raise BackendFailure("gone", cause="unreachable")
        return await self._answers.complete(request)

    async def close(self) -> None:
        pass


def test_rows_that_were_asked_for_before_an_outage_are_stored_although_they_are_answered_late(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stop, "OUTAGE_S", 0.0)
    judge = Slow()
    data = write_rows(tmp_path / "rows.jsonl", NUMBERS)
    settings = JudgeSettings(endpoints={"default": judge}, concurrency=16)
    with Engine(judges=settings, concurrency=16) as engine:
        with pytest.raises(RunStopped, match="10 graded rows are kept"):
            score_file(engine, JUDGED, data, out)
        assert [one["line"] for one in results(out)] == [*range(1, 11)]
        judge.gone, judge.asked = False, 0
        tally = score_file(engine, JUDGED, data, out)
    assert (tally.scored, tally.failed, judge.asked) == (60, 0, 50)


def test_what_is_left_by_a_stop_is_graded_as_if_there_had_been_none(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stop, "OUTAGE_S", 0.0)
    judge = Judge()
    samples = [{"item": {"n": n}, "samples": [str(3 * n + k) for k in range(3)]} for n in range(20)]
    data = write_rows(tmp_path / "rows.jsonl", samples)
    with judging(judge) as engine:
        whole = score_file(engine, JUDGED, data, tmp_path / "whole.jsonl")
        judge.fails = lambda number: "unreachable" if number >= 10 else None
        with pytest.raises(RunStopped):
            score_file(engine, JUDGED, data, out)
        judge.fails = lambda number: None
        assert score_file(engine, JUDGED, data, out) == whole
    assert timeless(out) == timeless(tmp_path / "whole.jsonl")


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_old_results_stay_until_there_is_a_new_one(
    engine: Engine, string_check: Any, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    data = write_rows(tmp_path / "rows.jsonl", cats(30))
    score_file(engine, string_check, data, out)
    before = files_in(tmp_path)
    typo = {**string_check, "reference": "{{item.lable}}"}
    with pytest.raises(RunStopped, match=r"the old results in .* are unchanged"):
        score_file(engine, typo, data, out, overwrite=True)
    assert files_in(tmp_path) == before
    # They are still those of the first grader.
    assert score_file(engine, string_check, data, out).earlier == 30
    assert score_file(engine, typo, data, out, overwrite=True, keep_going=True).invalid == 30
    assert files_in(tmp_path) != before


def test_a_table_of_old_results_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stop, "OUTAGE_S", 0.0)
    judge, out = Judge(), tmp_path / "out.csv"
    data = write_rows(tmp_path / "rows.jsonl", NUMBERS)
    with judging(judge) as engine:
        score_file(engine, JUDGED, data, out)
        judge.fails = lambda number: "unreachable" if number >= 10 else None
        with pytest.raises(RunStopped, match="10 graded rows are kept"):
            score_file(engine, JUDGED, data, out, overwrite=True)
        assert not out.exists()
        judge.fails = lambda number: None
        assert score_file(engine, JUDGED, data, out).earlier == 10
    assert len(out.read_text(encoding="utf-8").splitlines()) == 61


def test_old_results_are_replaced_by_those_of_a_data_set_without_rows(
    engine: Engine, string_check: Any, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(3))
    score_file(engine, string_check, data, out)
    write_rows(data, [])
    assert score_file(engine, string_check, data, out, overwrite=True).rows == 0
    assert results(out) == []


def files_in(folder: Path) -> dict[str, bytes]:
    """The contents of the files, but for that of the index, which is made again where it lacks lines."""
    return {
        path.name: b"" if "index" in path.name else path.read_bytes() for path in folder.iterdir()
    }
