"""Whether the spot check tells rows that change each other from graders that differ from themselves."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable

import pytest

from graders_engine.sandbox.base import GradeResult, Kind, RowsMix
from graders_engine.sandbox.spot_check import FIRST_ROWS, ROWS_A_CHECK, SpotCheck

ONE, ZERO = GradeResult(Kind.VALUE, 1.0), GradeResult(Kind.VALUE, 0.0)
FAULT = GradeResult(Kind.EXCEPTION, details="Traceback\nKeyError: 'x'", exception="KeyError")
ENDED = GradeResult(Kind.DIED, details="the grade's process was ended by SIGKILL")
LATE = GradeResult(Kind.TIMEOUT, details="killed after 1.0 s")


def compare(
    shared: GradeResult, alone: Iterable[GradeResult], check: SpotCheck | None = None
) -> None:
    results = iter(alone)

    async def again() -> GradeResult:
        return next(results)

    asyncio.run((check or SpotCheck()).compare(shared, again, b'{"output_text": "a"}', b'{"k": 7}'))


def test_equal_endings_pass_and_are_graded_once() -> None:
    compare(ONE, [ONE])
    compare(FAULT, [FAULT])


def test_another_reward_is_raised_with_both_numbers_and_the_row() -> None:
    with pytest.raises(RowsMix) as raised:
        compare(ONE, itertools.repeat(ZERO))
    for words in ("the reward 1.0", "the reward 0.0", '{"output_text": "a"}', '{"k": 7}', '"call"'):
        assert words in str(raised.value)


def test_an_exception_in_one_of_both_is_a_difference() -> None:
    with pytest.raises(RowsMix, match=r"no reward \(KeyError: 'x'\)"):
        compare(FAULT, itertools.repeat(ONE))
    with pytest.raises(RowsMix, match=r"no reward \(KeyError: 'x'\)"):
        compare(ONE, itertools.repeat(FAULT))


def test_a_process_that_something_else_has_ended_does_not_end_the_check(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check = SpotCheck()
    with caplog.at_level(logging.WARNING, logger="graders_engine"):
        compare(ONE, [ENDED, ONE], check)
    assert not caplog.records
    assert check.is_due()
    with pytest.raises(RowsMix):
        compare(ONE, itertools.repeat(ENDED), check)


def test_a_grader_that_differs_from_itself_is_logged_once_and_checked_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check = SpotCheck()
    with caplog.at_level(logging.WARNING, logger="graders_engine"):
        compare(ONE, [ZERO, ZERO, ONE], check)
        compare(ONE, [ZERO, ONE], check)
    assert len(caplog.records) == 1
    assert "cannot be checked" in caplog.text
    assert not any(check.is_due() for _ in range(50))


def test_a_row_that_took_too_long_tells_nothing() -> None:
    compare(ONE, [LATE])
    compare(LATE, [ONE])


def test_a_long_row_is_shown_in_part() -> None:
    async def again() -> GradeResult:
        return ZERO

    with pytest.raises(RowsMix) as raised:
        asyncio.run(SpotCheck().compare(ONE, again, b"x" * 9999, b"{}"))
    assert len(str(raised.value)) < 1000


def test_the_first_rows_are_checked_and_about_one_in_a_hundred_of_the_others() -> None:
    check = SpotCheck()
    assert all(check.is_due() for _ in range(FIRST_ROWS))
    rows = 400 * ROWS_A_CHECK
    due = [k for k in range(rows) if check.is_due()]
    assert 0.5 < len(due) * ROWS_A_CHECK / rows < 2.0
    gaps = {later - earlier for earlier, later in itertools.pairwise(due)}
    assert len(gaps) > 20  # which row is next cannot be foreseen
    assert max(gaps) <= 2 * ROWS_A_CHECK
