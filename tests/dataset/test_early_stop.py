"""A run is stopped where its other rows cannot be graded either, and the same command goes on with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring import early_stop
from graders_engine.dataset.scoring.early_stop import (
    FAILED_ROWS,
    FIRST_ROWS,
    REFUSED_ROWS,
)
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import BackendFailure, RunStopped
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import Cause
from tests.dataset.files import cats, results, timeless, write_rows
from tests.dataset.judged import JUDGED, MULTI, NUMBERS, Judge, judging
from tests.judges.judge_server import error, judge_server
from tests.judges.rows import SCORE, rows
from tests.judges.rows import judging as server_judges


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "numbers.jsonl", NUMBERS)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("out")}


def test_a_module_that_is_not_there_is_told_to_belong_into_the_source(
    engine: Engine, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(FIRST_ROWS))
    source = "import no_such_helper\ndef grade(sample, item):\n    return 1.0\n"
    with pytest.raises(RunStopped, match="one file, and the files beside it are not seen"):
        score_file(engine, {"type": "python", "name": "p", "source": source}, data, out)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_that_no_row_has_stops_the_run_with_the_key_that_was_meant(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path, workers: int
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(5000))
    typo = {**string_check, "reference": "{{item.lable}}"}
    with pytest.raises(RunStopped) as stopped:
        score_file(engine, typo, data, out, workers=workers)
    assert "has no key `lable`" in str(stopped.value)
    assert "Did you mean `label`?" in str(stopped.value)
    assert "--keep-going" in str(stopped.value)
    assert left_in(tmp_path) == set()
    # The mended grader is another one: nothing of the first attempt is in its way.
    assert score_file(engine, string_check, data, out, workers=workers).scored == 5000


def test_rows_are_all_graded_where_that_is_asked_for(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    bad: list[Any] = [{"item": {}, "model_sample": "x"}] * 50
    data = write_rows(tmp_path / "rows.jsonl", [*bad, *cats(7)])
    with pytest.raises(RunStopped):
        score_file(engine, string_check, data, out)
    tally = score_file(engine, string_check, data, out, keep_going=True)
    assert (tally.invalid, tally.scored) == (50, 7)


def test_one_row_that_fares_better_is_enough_to_go_on(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    bad: list[Any] = [{"item": {}, "model_sample": "x"}] * (FIRST_ROWS - 1)
    data = write_rows(tmp_path / "rows.jsonl", [*bad, *cats(1), *bad, *bad])
    tally = score_file(engine, string_check, data, out)
    assert (tally.invalid, tally.scored) == (3 * (FIRST_ROWS - 1), 1)
    assert [one["line"] for one in results(out)] == list(range(1, tally.rows + 1))


def test_a_data_set_of_fewer_rows_is_graded_to_its_end(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{"item": {}, "model_sample": "x"}] * 19)
    assert score_file(engine, string_check, data, out).invalid == 19
    assert len(results(out)) == 19


def test_outputs_that_are_all_wrong_are_the_result_and_no_reason_to_stop(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(50))
    grader = {**string_check, "input": "{{sample.output_json.name}}"}
    tally = score_file(engine, grader, data, out)
    assert (tally.rows, tally.invalid) == (50, 50)


def test_code_that_raises_in_each_row_stops_the_run(tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", NUMBERS)
    source = "def grade(sample, item):\n    return item['m']\n"
    with (
        Engine(sandbox="none") as engine,
        pytest.raises(
            RunStopped, match=r"python_grader_runtime_error, .* line 1 so: KeyError: 'm'"
        ),
    ):
        score_file(engine, {"type": "python", "name": "p", "source": source}, data, out)
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("grader", [JUDGED, MULTI], ids=["single", "one part of a multi"])
def test_a_judge_that_refuses_is_not_asked_to_the_end(
    judge: Judge, numbers: Path, out: Path, grader: dict[str, Any]
) -> None:
    judge.fails = lambda number: "refused"
    with judging(judge) as engine, pytest.raises(RunStopped, match="5 rows in a row failed"):
        score_file(engine, grader, numbers, out)
    assert len(judge.asked) <= REFUSED_ROWS + 4  # what was in flight
    assert left_in(numbers.parent) == set()


def test_what_was_graded_before_an_outage_is_kept_and_the_same_call_goes_on(
    judge: Judge, numbers: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stop, "OUTAGE_S", 0.0)
    with judging(Judge()) as engine:
        whole = score_file(engine, JUDGED, numbers, tmp_path / "whole.jsonl")
    judge.fails = lambda number: "unreachable" if number >= 10 else None
    with judging(judge) as engine:
        with pytest.raises(RunStopped, match="10 graded rows are kept"):
            score_file(engine, JUDGED, numbers, out)
        assert [one["reward"] for one in results(out)] == [n / 100 for n in range(10)]
        judge.fails = lambda number: None
        tally = score_file(engine, JUDGED, numbers, out)
    assert (tally, tally.earlier) == (whole, 10)
    assert timeless(out) == timeless(tmp_path / "whole.jsonl")


def test_an_outage_that_is_over_in_time_is_none(judge: Judge, numbers: Path, out: Path) -> None:
    # It answered before: it is given `OUTAGE_S` to come back.
    judge.fails = lambda number: "unreachable" if 5 <= number < 35 else None
    with judging(judge) as engine:
        tally = score_file(engine, JUDGED, numbers, out)
    assert (tally.failed, tally.scored) == (30, 30)
    assert [one["line"] for one in results(out)] == list(range(1, 61))


def test_rate_limits_from_the_first_row_on_do_not_stop_a_run_that_recovers(
    judge: Judge, numbers: Path, out: Path
) -> None:
    judge.fails = lambda number: "busy" if number < 2 * FAILED_ROWS else None
    with judging(judge) as engine:
        tally = score_file(engine, JUDGED, numbers, out)
    assert (tally.failed, tally.scored) == (40, 20)


def test_server_errors_after_an_answer_do_not_stop_a_run_that_recovers(
    judge: Judge, numbers: Path, out: Path
) -> None:
    judge.fails = lambda number: "unavailable" if 5 <= number < 35 else None
    with judging(judge) as engine:
        tally = score_file(engine, JUDGED, numbers, out)
    assert (tally.failed, tally.scored) == (30, 30)


@pytest.mark.parametrize("status", [500, 502])
def test_an_endpoint_that_answers_the_first_rows_with_server_errors_alone_stops_the_run(
    tmp_path: Path, out: Path, status: int
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(300))
    with judge_server() as server:
        server.script = lambda asked: error(status, f"request {len(server.asked)} is lost")
        with (
            Engine(judges=server_judges(server.url), concurrency=8) as engine,
            pytest.raises(RunStopped, match=rf"\d+ rows in a row failed, .*HTTP {status}"),
        ):
            score_file(engine, SCORE, data, out)
        assert len(server.asked) < 2 * 2 * FAILED_ROWS
    assert left_in(tmp_path) == set()


def test_rate_limits_without_end_are_given_up(
    judge: Judge, numbers: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stop, "BUSY_S", 0.0)
    judge.fails = lambda number: "busy"
    with judging(judge) as engine, pytest.raises(RunStopped):
        score_file(engine, JUDGED, numbers, out)
    assert len(judge.asked) <= FAILED_ROWS + 4


@pytest.mark.parametrize("cause", ["refused", "unreachable"])
def test_few_rows_that_could_not_even_be_asked_for_are_not_stored_as_failed(
    judge: Judge, tmp_path: Path, out: Path, cause: Cause
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", NUMBERS[:3])
    judge.fails = lambda number: cause
    with judging(judge) as engine:
        with pytest.raises(RunStopped, match="3 rows failed, the last one so: no answer to"):
            score_file(engine, JUDGED, data, out)
        judge.fails = lambda number: None
        assert score_file(engine, JUDGED, data, out).scored == 3


def test_kept_replies_are_no_sign_of_life(
    judge: Judge, numbers: Path, out: Path, tmp_path: Path
) -> None:
    even = write_rows(tmp_path / "even.jsonl", NUMBERS[::2])
    with judging(judge, cache=tmp_path / "replies.sqlite") as engine:
        score_file(engine, JUDGED, even, tmp_path / "even.out.jsonl")
        judge.asked.clear()
        judge.fails = lambda number: "refused"
        with pytest.raises(RunStopped):
            score_file(engine, JUDGED, numbers, out)
    assert len(judge.asked) <= REFUSED_ROWS + 4


def test_rows_that_fail_before_the_judge_is_asked_are_no_sign_of_life(
    judge: Judge, tmp_path: Path, out: Path
) -> None:
    prose: Any = {"item": {}, "model_sample": "no JSON"}
    rows = [row for number in NUMBERS for row in (number, prose)]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    content = "{{sample.output_json}}"
    grader = {**JUDGED, "input": [{"role": "user", "content": content}]}
    judge.fails = lambda number: "refused"
    with judging(judge) as engine, pytest.raises(RunStopped):
        score_file(engine, grader, data, out)
    assert len(judge.asked) <= REFUSED_ROWS + 4


def test_an_outage_while_failed_rows_are_retried_leaves_their_old_results(
    judge: Judge, numbers: Path, out: Path
) -> None:
    judge.fails = lambda number: "" if number % 2 else None
    with judging(judge) as engine:
        assert score_file(engine, JUDGED, numbers, out).failed == 30
        judge.fails = lambda number: "refused"
        judge.asked.clear()
        with pytest.raises(RunStopped):
            score_file(engine, JUDGED, numbers, out, retry_failed=True)
        assert len(judge.asked) <= REFUSED_ROWS + 4
        assert len(results(out)) == 60
        judge.fails = lambda number: None
        assert score_file(engine, JUDGED, numbers, out, retry_failed=True).scored == 60


def test_the_library_gives_an_outcome_for_every_row(judge: Judge) -> None:
    judge.fails = lambda number: "refused"
    with judging(judge) as engine:
        assert [one.status for one in engine.score(JUDGED, NUMBERS)] == 60 * ["failed"]


class Silent:
    """Gives no answer at all to the first row, and refuses every other one."""

    signature = "silent"

    async def complete(self, request: ModelRequest) -> ModelReply:
        if "Rate 0" in str(request.messages):
            await asyncio.Event().wait()
        raise BackendFailure("refused", cause="refused")

    async def close(self) -> None:
        pass


def test_a_row_that_is_still_waited_for_does_not_hold_up_the_end(numbers: Path, out: Path) -> None:
    with Engine(judges=Silent(), concurrency=4) as engine, pytest.raises(RunStopped):
        score_file(engine, JUDGED, numbers, out)
    assert left_in(numbers.parent) == set()


@pytest.mark.parametrize(("cause", "stops"), [("forbidden", False), ("refused", True)])
def test_a_key_that_worked_is_not_wrong_because_some_requests_are_forbidden(
    judge: Judge, numbers: Path, out: Path, cause: Cause, stops: bool
) -> None:
    judge.fails = lambda number: cause if 20 <= number < 50 else None
    with judging(judge) as engine:
        if not stops:
            assert score_file(engine, JUDGED, numbers, out).failed == 30
            return
        with pytest.raises(RunStopped):
            score_file(engine, JUDGED, numbers, out)
    assert len(judge.asked) <= 20 + REFUSED_ROWS + 4


def test_requests_that_are_forbidden_from_the_first_row_on_stop_the_run(
    judge: Judge, numbers: Path, out: Path
) -> None:
    judge.fails = lambda number: "forbidden"
    with judging(judge) as engine, pytest.raises(RunStopped, match="5 rows in a row failed"):
        score_file(engine, JUDGED, numbers, out)
    assert left_in(numbers.parent) == set()
