"""A row's bytes are those of `present_run`, and the error object is the API's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.errors import InvalidRow, LifecycleError, Mistake
from graders_engine.outcome import BLAMES, Failure, Flag, Outcome, RowOutcome, Usage
from graders_engine.response import present_run
from graders_engine.server.bodies import batch_body, run_body, validate_body
from graders_engine.server.responses import Presenter, Refused, error_body, refusal

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8)
FAILURES = st.builds(Failure, st.sampled_from(Flag), TEXTS, st.sampled_from(BLAMES), TEXTS)
USAGES = st.builds(Usage, *[st.integers(0, 10**6)] * 4)
OUTCOMES = st.builds(
    Outcome,
    reward=st.none() | NUMBERS,
    served=NUMBERS,
    failures=st.lists(FAILURES, max_size=2).map(tuple),
    sub_rewards=st.dictionaries(TEXTS, st.none() | NUMBERS, max_size=2),
    scores=st.dictionaries(TEXTS, st.none() | NUMBERS, max_size=2),
    usage=st.dictionaries(TEXTS, USAGES, max_size=2),
)
PLAIN = st.builds(Outcome, reward=NUMBERS, served=NUMBERS)
ROWS = st.builds(
    RowOutcome,
    st.integers(0, 9),
    OUTCOMES | PLAIN,
    st.lists(st.sampled_from(Flag), max_size=1).map(tuple),
    NUMBERS,
)


def not_json(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


@given(ROWS, st.text(max_size=12), st.sampled_from(["string_check", "multi"]))
def test_a_row_is_written_as_present_run_has_it(row: RowOutcome, name: str, type_: str) -> None:
    due = present_run(row, name=name, type_=type_).model_dump()
    written = json.loads(Presenter(name, type_)(row), parse_constant=not_json)
    assert written == due
    assert list(written) == list(due)
    assert list(written["metadata"]) == list(due["metadata"])
    assert list(written["metadata"]["errors"]) == list(due["metadata"]["errors"])
    blamed = json.loads(Presenter(name, type_, with_blame=True)(row), parse_constant=not_json)
    assert blamed == {**due, "blame": row.blame}


def test_a_name_that_is_no_unicode_is_escaped() -> None:
    row = RowOutcome(0, Outcome(1.0, 1.0))
    assert json.loads(Presenter("\ud800", "string_check")(row))["metadata"]["name"] == "\ud800"


def test_a_grader_without_a_name_gets_another_one_each_time() -> None:
    row = RowOutcome(0, Outcome(1.0, 1.0))
    names = {json.loads(Presenter(None, "multi")(row))["metadata"]["name"] for _ in range(9)}
    assert len(names) == 9
    assert all(name.startswith("grader-") and len(name) == 19 for name in names)


@pytest.mark.parametrize(
    ("status", "type_"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "server_error")],
)
def test_the_error_object_has_the_apis_four_keys(status: int, type_: str) -> None:
    assert json.loads(error_body(status, Mistake("No.", "graders.a", "invalid_value"))) == {
        "error": {"message": "No.", "type": type_, "param": "graders.a", "code": "invalid_value"}
    }


def test_what_the_engine_raises_has_a_status_and_a_bug_has_none() -> None:
    wrong, closed = refusal(InvalidRow("no row")), refusal(LifecycleError("closed"))
    assert wrong is not None
    assert (wrong.status, wrong.mistake.message) == (400, "no row")
    assert closed is not None
    assert closed.status == 503
    assert refusal(ZeroDivisionError()) is None


@pytest.mark.parametrize("read", [run_body, batch_body, validate_body])
def test_a_slip_in_a_body_is_told_with_its_place(read: Any) -> None:
    for body, told in (
        (b'{"grader": 1 "item": 2}', "a comma is missing after `1` (line 1, column 12)"),
        (b'{"grader": 1,\n"item": True}', "`True` is `true` in JSON (line 2, column 9)"),
        (b'{"grader": 1,}', "nothing stands after this comma: remove it (line 1, column 13)"),
    ):
        with pytest.raises(Refused) as refused:
            read(body, 100) if read is run_body else read(body)
        assert told in str(refused.value.mistake.message)
