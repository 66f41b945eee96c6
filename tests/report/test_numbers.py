"""A report's numbers: what is kept of a run gives the same numbers as all of it would."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine import DataSetError
from graders_engine.dataset.results.digest import (
    DRAWN,
    EXTREMES,
    FLAGGED,
    Digest,
    TopK,
    digest,
)
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import read_meta
from graders_engine.outcome import Blame, Status, Usage
from graders_engine.report.histogram import histogram
from graders_engine.report.numbers import numbers_of, pass_rate_of
from graders_engine.report.row_texts import RowKey
from graders_engine.statistics.rounding import slack
from tests.report.conftest import LARGE_ROWS, Run

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


def scored(line: int, reward: float, **rest: object) -> ResultLine:
    plain = ResultLine(line, reward, "scored", {}, {}, 0.0)
    return msgspec.structs.replace(plain, **rest)


def digest_of(results: list[ResultLine]) -> Digest:
    digest = Digest()
    for result in results:
        digest.add(result)
    return digest


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 8))
def test_the_top_k_are_those_of_a_stable_sort(rewards: list[int], k: int) -> None:
    results = [scored(line, reward) for line, reward in enumerate(rewards, 1)]
    foremost = TopK(k, lambda result: result.reward or 0.0)
    for result in results:
        foremost.add(result)
    assert foremost.rows() == sorted(results, key=lambda result: result.reward or 0.0)[:k]


def test_of_a_prompt_only_the_first_of_its_most_extreme_rows_is_kept() -> None:
    lowest = TopK(3, lambda result: result.reward or 0.0, one_a_prompt=True)
    rewards = {"a": [0.1, 0.0, 0.0], "b": [0.5, 0.4], "c": [0.4] * 5, "d": [0.9]}
    line = 0
    for group, of_group in rewards.items():
        for sample, reward in enumerate(of_group, 1):
            line += 1
            lowest.add(scored(line, reward, group=group, sample=sample))
    assert [(row.group, row.sample) for row in lowest.rows()] == [("a", 2), ("b", 2), ("c", 1)]


@pytest.mark.parametrize("by_group", [True, False])
def test_rows_are_drawn_by_prompt_from_the_whole_run(by_group: bool) -> None:
    drawn = Digest().drawn
    prompts = DRAWN // 2
    for number in range(4 * prompts):
        prompt = number // 4
        group = f"prompt {prompt}" if by_group else None
        line = number + 1 if by_group else prompt + 1
        drawn.add(scored(line, 0.0, group=group, sample=number % 4 + 1))
    rows = drawn.rows()
    assert len(rows) == DRAWN
    counts = Counter(row.prompt for row in rows)
    assert sorted(counts.values())[1:] == [4] * (len(counts) - 1)
    places = [row.line for row in rows]
    # The mean place of 2,500 of 5,000 prompts has a standard deviation of about 0.4 % of the run.
    assert sum(places) / len(places) / max(places) == pytest.approx(0.5, abs=0.02)


def test_a_run_that_is_not_large_is_kept_whole() -> None:
    rows = [scored(line, line % 7, sample=sample) for line in range(1, 90) for sample in (1, 2)]
    assert sorted(row.line for row in digest_of(rows).kept()) == [row.line for row in rows]


def test_what_is_kept_does_not_grow_with_the_run(large: Run) -> None:
    kept = large.numbers.digest.kept()
    assert large.numbers.digest.tally.rows == LARGE_ROWS
    extremes = large.numbers.digest.extremes()
    assert len(extremes) <= 3 * EXTREMES + FLAGGED * len(large.numbers.digest.flagged)
    assert kept[: len(extremes)] == extremes
    assert DRAWN <= len(kept) <= len(extremes) + DRAWN
    assert set(large.texts.texts) <= {RowKey(row.line, row.sample) for row in kept}
    places = [(row.line, row.sample) for row in kept]
    assert len(places) == len(set(places))


@given(st.lists(FINITE, max_size=80), st.integers(1, 60))
def test_every_value_is_in_one_bin(values: list[float], max_bins: int) -> None:
    bars = histogram(Counter(values), max_bins)
    if bars is None:
        assert not values
        return
    assert sum(bars.counts) == len(values)
    if len(bars.edges) == len(bars.counts):
        assert set(bars.edges) <= set(values)
        assert all(
            any(abs(edge - value) <= slack(value) for edge in bars.edges) for value in values
        )
        return
    assert len(bars.counts) <= max(max_bins, 2)
    assert list(bars.edges) == sorted(set(bars.edges))
    assert bars.edges[0] <= min(values)
    assert max(values) <= bars.edges[-1]
    for place, count in enumerate(bars.counts):
        low, high = bars.edges[place], bars.edges[place + 1]
        last = place == len(bars.counts) - 1
        assert count == sum(
            (low <= value + slack(value) or not place) and (value + slack(value) < high or last)
            for value in values
        )


@pytest.mark.parametrize(
    ("values", "max_bins", "edges"),
    [
        ([n / 100 for n in range(101)], 50, [n / 50 for n in range(51)]),
        ([n / 100 for n in range(101)], 10, [n / 10 for n in range(11)]),
        ([10 + n / 7 for n in range(15)], 4, [10, 10.5, 11, 11.5, 12]),
        ([-3 + n / 2 for n in range(13)], 3, [-5, 0, 5]),
        ([0, 1, 1], 50, [0, 1]),
    ],
)
def test_bins_begin_at_round_numbers(
    values: list[float], max_bins: int, edges: list[float]
) -> None:
    bars = histogram(Counter(values), max_bins)
    assert bars is not None
    assert list(bars.edges) == edges


def test_the_last_bit_moves_no_value_to_another_bin() -> None:
    values = [0.8999999999999999] * 115 + [n / 20 for n in range(21)]
    bars = histogram(Counter(values), 10)
    assert bars is not None
    assert dict(zip(bars.labels, bars.counts, strict=True))["0.9 to 1"] == 115 + 3
    few = histogram(Counter([0.8999999999999999, 0.9, 1.0]), 10)
    assert few is not None
    assert (few.edges, few.counts) == ((0.9, 1.0), (2, 1))


def test_rows_without_a_sub_reward_are_left_out_of_its_numbers() -> None:
    run = digest_of(
        [
            scored(1, 1.0, sub_rewards={"a": 1.0}),
            scored(2, 0.0, sub_rewards={"a": 0.5, "b": 0.25}),
            scored(3, 0.5, sub_rewards={"b": None}),
        ]
    )
    numbers = numbers_of(run, {})
    means = {part.key: (part.mean.value, part.mean.rows) for part in numbers.sub_rewards}
    assert means == {"a": (0.75, 2), "b": (0.25, 1)}
    assert [key for key, _ in numbers.correlations] == ["reward", "a", "b"]


def unscored(line: int, blame: Blame, served: float | None, flag: str) -> ResultLine:
    status: Status = "failed" if blame == "infrastructure" else "invalid"
    return ResultLine(line, None, status, {}, {flag: "broken"}, 0.0, blame, served)


def test_only_rows_that_training_would_see_are_in_the_mean() -> None:
    rows = [scored(1, 0.25), scored(2, 0.75)]
    rows.append(unscored(3, "row", 0.0, "other_error"))
    rows.append(unscored(4, "infrastructure", None, "model_grader_server_error"))
    numbers = numbers_of(digest_of(rows), {})
    assert numbers.mean is not None
    assert (numbers.mean.value, numbers.mean.rows) == (0.5, 2)
    assert numbers.quantiles == (0.25, 0.375, 0.5, 0.625, 0.75)
    rows.append(unscored(5, "sample", 0.05, "sample_parse_error"))
    rows.append(unscored(6, "grader", 0.0, "python_grader_runtime_error"))
    rows.append(unscored(7, "judge", 0.0, "model_grader_refusal_error"))
    digest = digest_of(rows)
    mean = numbers_of(digest, {}).mean
    assert mean is not None
    assert mean.value == pytest.approx(1.05 / 4)
    assert mean.rows == 4
    assert digest.tally.mean == mean.value
    assert digest.tally.scored_mean == 0.5
    assert digest.tally.hosted_mean == pytest.approx(1.05 / 6)
    assert list(digest.tally.blames.values()) == [1, 1, 1, 1, 1]


def test_a_line_that_says_not_who_is_to_blame_is_refused() -> None:
    with pytest.raises(DataSetError, match="does not say who is to blame: an older version"):
        digest_of([ResultLine(3, 0.0, "invalid", {}, {"other_error": "broken"}, 0.0)])


def test_the_pass_rate_is_that_of_the_counted_rows() -> None:
    rows = [scored(line, reward) for line, reward in enumerate([0.2, 0.8, 0.7999999999999999], 1)]
    rows += [
        unscored(4, "sample", 0.0, "sample_parse_error"),
        unscored(5, "row", 0.0, "other_error"),
    ]
    digest = digest_of(rows)
    found = numbers_of(digest, {"grader": {"pass_threshold": 0.8}}).pass_rate
    assert found is not None
    assert (found.passing, found.rate.value, found.rate.rows, found.highest) == (0.8, 0.5, 4, 0.8)
    assert pass_rate_of(digest.tally, 0.8) == found
    assert numbers_of(digest, {}).pass_rate is None


def test_samples_of_a_prompt_are_grouped() -> None:
    rewards = {"a": [0.0, 1.0], "b": [1.0, 1.0], "c": [0.0, 0.5]}
    rows = [
        scored(line, reward, group=group, sample=sample)
        for line, (group, given_) in enumerate(rewards.items(), 1)
        for sample, reward in enumerate(given_)
    ]
    groups = numbers_of(digest_of(rows), {}).groups
    assert groups is not None
    assert (groups.count, groups.sizes, groups.passing) == (3, (2, 2), 1.0)
    assert groups.signal is not None
    assert groups.signal.share.value == pytest.approx(2 / 3)
    assert groups.signal.smaller == 3
    at = {row.k: (row.passing.value, row.best.value) for row in groups.at}
    assert at == {1: pytest.approx((0.5, 7 / 12)), 2: pytest.approx((2 / 3, 2.5 / 3))}
    assert numbers_of(digest_of(rows), {"grader": {"pass_threshold": 0.5}}).groups.passing == 0.5  # type: ignore[union-attr] # as above
    assert numbers_of(digest_of(rows), {}, 0.25).groups.passing == 0.25  # type: ignore[union-attr] # as above
    assert numbers_of(digest_of([scored(1, 1.0)]), {}).groups is None


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("judge", 3.0),
        ("judge-2026-01-31", 3.0),
        ("judge-mini", None),
        ("judge-mini-0613", 30.0),
        ("other", None),
    ],
)
def test_a_dated_model_has_the_price_of_its_name(model: str, cost: float | None) -> None:
    prices = {
        "judge": {"input": 1.0, "output": 2.0},
        "judge-mini-0613": {"input": 10.0, "output": 20.0},
    }
    usage = {model: Usage(1_000_000, 2_000_000, 1_000_000)}
    numbers = numbers_of(digest_of([scored(1, 1.0, usage=usage)]), {"settings": {"prices": prices}})
    assert [spent.cost for spent in numbers.spending] == [cost]


def test_repeated_answers_to_a_row_are_compared() -> None:
    rows = [
        scored(1, 0.5, repeats={"a": [0.5, 0.5, 0.5]}),
        scored(2, 0.5, repeats={"a": [0.0, 0.5, 1.0]}),
        scored(3, 0.5, repeats={"a": [1.0]}),
    ]
    repeats = digest_of(rows).repeats["a"]
    assert (repeats.rows, repeats.answers, repeats.differing) == (2, 6, 1)
    assert math.isclose(repeats.deviation_sum, 0.5)
    assert (repeats.widest, repeats.widest_line) == (1.0, 2)


def test_an_unfinished_run_is_read_to_its_last_complete_line(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_bytes(msgspec.json.encode(scored(1, 1.0)) + b'\n{"line":2,')
    assert digest(results).tally.rows == 1
    assert read_meta(results) == {}


def test_parquet_results_are_read_from_their_jsonl_file(tmp_path: Path) -> None:
    lines = tmp_path / "results.parquet.jsonl"
    lines.write_bytes(msgspec.json.encode(scored(1, 1.0)) + b"\n")
    lines.with_name(f"{lines.name}.meta.json").write_text('{"engine": "1"}')
    table = tmp_path / "results.parquet"
    assert digest(table).tally.rows == 1
    assert read_meta(table) == {"engine": "1"}


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with pytest.raises(DataSetError, match=r"cannot be read: .*results.jsonl: No such file"):
        digest(results)
    results.write_text("{}\n")
    with pytest.raises(DataSetError, match=r"results.jsonl, line 1, is not a result"):
        digest(results)
    meta = tmp_path / "results.jsonl.meta.json"
    meta.write_text("[]")
    with pytest.raises(DataSetError, match="does not hold an object"):
        read_meta(results)
    meta.write_text("{")
    with pytest.raises(DataSetError, match="is not JSON"):
        read_meta(results)
