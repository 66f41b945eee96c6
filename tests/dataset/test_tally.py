"""However results are counted, the numbers are the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graders_engine.dataset.results import tally as module
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.tally import Tally
from graders_engine.outcome import Blame, Status

REWARDS = st.sampled_from([0.0, 1.0, 0.1, 0.2, 0.3, 1e16, -1.0])
STATUSES: list[Status] = ["scored", "scored", "scored", "invalid", "failed"]
BLAMES: list[Blame] = ["row", "sample", "grader"]
DETAILS = st.dictionaries(
    st.sampled_from(["other_error", "sample_parse_error"]), st.just("x"), max_size=1
)


@st.composite
def results(draw: st.DrawFn) -> ResultLine:
    status = draw(st.sampled_from(STATUSES))
    reward = draw(REWARDS) if status == "scored" else None
    return ResultLine(
        draw(st.integers(1, 9)),
        reward,
        status,
        draw(st.dictionaries(st.sampled_from("ab"), REWARDS, max_size=2)),
        draw(DETAILS),
        0.0,
        None if status == "scored" else draw(st.sampled_from(BLAMES)),
        None if status == "scored" else 0.0,
        group=draw(st.none() | st.just("g")),
        clamped=draw(st.dictionaries(st.just("a"), REWARDS, max_size=1)),
        left_out=draw(st.dictionaries(st.just("m"), st.just(["seed"]), max_size=1)),
    )


@given(st.lists(results(), max_size=8), st.sampled_from([2, 10_000]))
def test_rows_counted_together_give_the_numbers_of_rows_counted_one_by_one(
    rows: list[ResultLine], most: int
) -> None:
    kept, module.MAX_DISTINCT = module.MAX_DISTINCT, most
    try:
        one_by_one, together = Tally(), Tally()
        for row in rows:
            one_by_one.add(row)
        together.add_all(rows)
    finally:
        module.MAX_DISTINCT = kept
    assert together == one_by_one
    assert together.kinds == one_by_one.kinds
