"""Filters, orders and pages against the obvious slow way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import InvalidRequest
from graders_engine.outcome import BLAMES
from graders_engine.report.row_texts import RowKey
from graders_engine.statistics.rounding import slack
from graders_engine.view.loading.run_cache import RunCache
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import Query, Span, parse_query
from tests.view.runs_to_open import REWARDS, opened, results, write_run


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


ENDS = st.none() | st.sampled_from(REWARDS)
SORTS = ("row", "reward", "seconds", "sub.a", "sub.b")


@st.composite
def queries(draw: st.DrawFn) -> list[tuple[str, str]]:
    """The fields of an address."""
    fields = [
        ("status", value)
        for value in draw(st.sets(st.sampled_from(("scored", "invalid", "failed"))))
    ]
    fields += [("blame", value) for value in draw(st.sets(st.sampled_from(BLAMES), max_size=2))]
    for name in draw(st.sets(st.sampled_from(("reward", "seconds", "sub.a")))):
        low, high = draw(ENDS), draw(ENDS)
        if low is not None and high is not None:
            low, high = sorted((low, high))
        fields.append((name, str(Span(low, high, draw(st.booleans())))))
    if draw(st.booleans()):
        fields.append(("sort", draw(st.sampled_from(("", "-"))) + draw(st.sampled_from(SORTS))))
    return fields


def is_in(span: Span | None, value: float | None) -> bool:
    if span is None:
        return True
    if value is None:
        return False
    above = span.low is None or value >= span.low - slack(value)
    if span.high is None:
        return above
    return above and (
        value < span.high - slack(value) if span.below else value <= span.high + slack(value)
    )


def passes(query: Query, line: ResultLine) -> bool:
    return (
        (not query.statuses or line.status in query.statuses)
        and (not query.blames or line.blame in query.blames)
        and (not query.flags or any(flag in line.flags for flag in query.flags))
        and is_in(query.reward, line.counted)
        and is_in(query.seconds, line.seconds)
        and all(is_in(span, line.sub_rewards.get(key)) for key, span in query.sub_rewards)
    )


def sort_key(query: Query, line: ResultLine) -> Any:
    sort = query.sort
    place = (line.line, line.sample)
    if sort.by == "row":
        return tuple(-each for each in place) if sort.descending else place
    value = {
        "reward": line.counted,
        "seconds": line.seconds,
        "sub": line.sub_rewards.get(sort.key),
    }[sort.by]
    if value is None:
        return (math.inf, place)
    return (-value if sort.descending else value, place)


def has_keys(lines: list[ResultLine]) -> bool:
    return {"a", "b"} <= {key for line in lines for key in line.sub_rewards}


@settings(max_examples=40)
@given(lines=results().filter(has_keys), fields=queries(), per_page=st.sampled_from((50, 100)))
def test_rows_pages_and_neighbours_are_those_of_a_slow_filter(
    lines: list[ResultLine],
    fields: list[tuple[str, str]],
    per_page: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    run = opened(OpenRun(write_run(tmp_path_factory.mktemp("run"), lines)))
    query = parse_query(urlencode([*fields, ("per_page", per_page)]))
    wanted = sorted(
        (index for index, line in enumerate(lines) if passes(query, line)),
        key=lambda index: sort_key(query, lines[index]),
    )
    found = run.rows(query)
    assert (found.count, found.pages) == (len(wanted), max(1, math.ceil(len(wanted) / per_page)))
    assert [index for page in range(found.pages) for index in found.indexes(page + 1)] == wanted
    assert found.summary.rows == len(wanted)
    counted = [value for index in wanted if (value := lines[index].counted) is not None]
    mean = found.summary.mean
    assert (mean is None) == (not counted)
    if mean is not None:
        assert mean.rows == len(counted)
        assert mean.value == pytest.approx(sum(counted) / len(counted), abs=1e-9)
    for place, index in enumerate(wanted):
        before = wanted[place - 1] if place else None
        after = wanted[place + 1] if place + 1 < len(wanted) else None
        assert found.neighbours(index) == (before, after)
        there = run.rows(parse_query(urlencode([*fields, ("row", lines[index].name)])))
        assert index in there.indexes()
    for index in set(range(len(lines))) - set(wanted):
        assert found.position(index) is None
        assert found.neighbours(index) == (None, None)


@settings(max_examples=20)
@given(lines=results())
def test_a_bars_range_selects_exactly_its_rows(
    lines: list[ResultLine], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = opened(OpenRun(write_run(tmp_path_factory.mktemp("run"), lines)))
    for bar in run.summary_all().histogram:
        if bar.range:
            found = run.rows(parse_query(urlencode({"reward": bar.range})))
            statuses = found.summary.statuses
            assert (bar.scored, bar.invalid, bar.failed) == tuple(statuses.values())


def test_the_sums_of_a_selections_bars_are_its_rows(tmp_path: Path) -> None:
    lines = [ResultLine(n, n / 50, "scored", {}, {}, n / 10) for n in range(1, 51)]
    run = opened(OpenRun(write_run(tmp_path, lines)))
    found = run.rows(parse_query("seconds=1..2.5")).summary
    assert [(bar.low, bar.high) for bar in found.histogram] == [
        (bar.low, bar.high) for bar in run.summary_all().histogram
    ]
    assert sum(bar.scored for bar in found.histogram) == found.rows == 16


def test_a_row_is_found_by_its_name_whether_or_not_its_line_has_a_list(tmp_path: Path) -> None:
    lines = [
        ResultLine(7, 1.0, "scored", {}, {}, 0.0),
        ResultLine(3, 1.0, "scored", {}, {}, 0.0, sample=1, group="p"),
        ResultLine(3, 0.0, "scored", {}, {}, 0.0, sample=2, group="p"),
    ]
    run = opened(OpenRun(write_run(tmp_path, lines)))
    asked = {RowKey(7, 0): 0, RowKey(7, 1): 0, RowKey(3, 0): 1, RowKey(3, 2): 2, RowKey(3, 3): None}
    assert {key: run.index_of(key) for key in asked} == asked
    assert [run.key_of(index) for index in range(3)] == [(7, 0), (3, 1), (3, 2)]
    assert (run.siblings(2), run.siblings(0)) == ([1, 2], [0])


def test_all_mistakes_of_a_query_are_said_at_once() -> None:
    query = (
        "status=good&reward=1&seconds=3..2&sub.x=a..&page=0&per_page=7&sort=size&row=0%232&colour=red"
        "&q=a&q=b"
    )
    with pytest.raises(InvalidRequest) as error:
        parse_query(query)
    said = str(error.value).splitlines()
    assert [line.split("`")[1] for line in said] == [
        "status", "reward", "seconds", "sub.x", "page", "per_page", "sort", "row", "colour", "q",
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["q=%ff", "q=" + "a" * 9000, "&".join(["q=a"] * 4000)], ids=len)
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(query)


def test_what_a_run_does_not_have_is_said_with_what_it_has(tmp_path: Path) -> None:
    lines = [ResultLine(1, 1.0, "scored", {"total": 1.0}, {}, 0.0)]
    run = opened(OpenRun(write_run(tmp_path, lines)))
    with pytest.raises(InvalidRequest, match=r"no sub-reward `x`. It has: total.\n.*no flag `f`"):
        run.rows(parse_query("sub.x=1..&flag=f"))


def test_four_runs_are_open_at_most_and_the_same_file_is_the_same_run(tmp_path: Path) -> None:
    runs = RunCache()
    for name in "abcde":
        (tmp_path / name).mkdir()
        write_run(tmp_path / name, [])
    paths = [tmp_path / name / "results.jsonl" for name in "abcde"]
    first = runs.open(paths[0])
    assert runs.open(tmp_path / "b" / ".." / "a" / "results.jsonl") is first
    for path in paths[1:]:
        runs.open(path)
    assert runs.open(paths[0]) is not first
    runs.close()
