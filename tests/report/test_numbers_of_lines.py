"""Every number of a run is what an obvious computation from its result lines gives."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.dataset.results.digest import Digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.tally import Tally
from graders_engine.outcome import BLAMES, Blame
from graders_engine.report.html.page import report_page
from graders_engine.report.numbers import numbers_of, pass_rate_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.run_json import numbers_json, tally_json
from graders_engine.report.terminal.report import numbers_text, tally_text
from tests.examples import examples

REWARDS = st.sampled_from([-10.0, -1.5, 0.0, 0.1, 0.25, 0.8, 0.7999999999999999, 1.0, 2.5, 8.0])
PARTS = st.dictionaries(st.sampled_from(["a", "b"]), st.none() | REWARDS, max_size=2)
PASSING = 0.8
SIZE = 3


@st.composite
def result_lines(draw: st.DrawFn, line: int, sample: int, group: str | None) -> ResultLine:
    blame: Blame | None = draw(st.none() | st.sampled_from(BLAMES))
    flags = {} if blame is None else {"other_error": f"the {blame}"}
    rest: dict[str, Any] = {"sample": sample, "group": group}
    if blame is None:
        return ResultLine(line, draw(REWARDS), "scored", draw(PARTS), flags, 0.5, **rest)
    blames = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(BLAMES), max_size=2)
    rest["blames"] = draw(blames)
    if blame == "infrastructure":
        return ResultLine(line, None, "failed", draw(PARTS), flags, 0.5, blame, **rest)
    served = draw(REWARDS)
    reward = draw(st.sampled_from([None, served]))
    return ResultLine(line, reward, "invalid", draw(PARTS), flags, 0.5, blame, served, **rest)


@st.composite
def runs(draw: st.DrawFn) -> list[ResultLine]:
    grouped = draw(st.booleans())
    sizes = draw(st.lists(st.integers(1, 5), max_size=8))
    return [
        draw(result_lines(line, sample if grouped else 0, f"p{line}" if grouped else None))
        for line, size in enumerate(sizes, 1)
        for sample in range(1, (size if grouped else 1) + 1)
    ]


def seen(lines: Sequence[ResultLine]) -> Iterator[tuple[ResultLine, float]]:
    """The rows that training would see, each with what it would see."""
    for line in lines:
        if line.status == "scored" and line.reward is not None:
            yield line, line.reward
        elif line.blame in ("sample", "grader") and line.served is not None:
            yield line, line.served


def part_seen(line: ResultLine, key: str) -> float | None:
    """What training would see of the model in one part: of a fault of the model or the grader, a 0."""
    if key not in line.sub_rewards or line.sub_rewards[key] is not None:
        return line.sub_rewards.get(key)
    return 0.0 if line.blames.get(key, line.blame) in ("sample", "grader") else None


def mean(values: Sequence[float]) -> dict[str, Any] | None:
    value = pytest.approx(statistics.fmean(values)) if values else None
    return {"value": value, "rows": len(values)} if values else None


def within(found: dict[str, Any] | None, expected: dict[str, Any] | None) -> bool:
    """Whether the expected keys, or None, are those of what was found."""
    if found is None or expected is None:
        return found is expected
    return {key: found[key] for key in expected} == expected


def check_common(found: dict[str, Any], lines: Sequence[ResultLine]) -> None:
    """The keys that `score --json` and `report --json` share."""
    values = [value for _, value in seen(lines)]
    statuses = Counter(line.status for line in lines)
    assert found["rows"] == len(lines)
    assert all(found[name] == statuses[name] for name in ("scored", "invalid", "failed"))
    assert found["blames"] == {
        blame: sum(line.blame == blame for line in lines) for blame in BLAMES
    }
    assert within(found["mean"], mean(values))
    scored = [line.reward for line in lines if line.status == "scored" and line.reward is not None]
    assert found["scored_mean"] == mean(scored)
    hosted = [
        line.reward if line.status == "scored" else line.served
        for line in lines
        if line.status != "failed"
    ]
    assert found["hosted_mean"] == mean([value for value in hosted if value is not None])
    assert within(found["pass_rate"], mean([value >= PASSING - 1e-9 for value in values]))
    for key in "ab":
        parts = [value for line in lines if (value := part_seen(line, key)) is not None]
        assert within(found["sub_rewards"].get(key), mean(parts))
    assert sum(bar["rows"] for bar in found["histogram"]) == len(values)
    bars = found["histogram"]
    for bar in bars:
        open_end = bar is not bars[-1] and bar["low"] != bar["high"]
        highest = bar["high"] + (-1e-8 if open_end else 1e-8)
        assert bar["rows"] == sum(bar["low"] - 1e-8 <= value <= highest for value in values)


def check_groups(found: dict[str, Any] | None, lines: Sequence[ResultLine]) -> None:
    prompts: dict[str, list[float]] = {}
    for line, value in seen(lines):
        if line.group is not None:
            prompts.setdefault(line.group, []).append(value)
    if not prompts:
        assert found is None
        return
    assert found is not None
    assert found["prompts"] == len(prompts)
    several = [values for values in prompts.values() if len(values) > 1]
    differ = [
        statistics.fmean(
            max(chosen) - min(chosen) > 1e-9
            for chosen in combinations(values, min(SIZE, len(values)))
        )
        for values in several
    ]
    assert within(found["signal"], mean(differ))
    assert found["fewer_samples"] == (
        sum(len(values) < SIZE for values in several) if several else None
    )
    for at in found["at"]:
        enough = [values for values in prompts.values() if len(values) >= at["k"]]
        bests = [[max(chosen) for chosen in combinations(values, at["k"])] for values in enough]
        assert within(at["best_of_k"], mean([statistics.fmean(best) for best in bests]))
        passed = [[best >= PASSING - 1e-9 for best in best_of] for best_of in bests]
        assert within(at["pass_at_k"], mean([statistics.fmean(some) for some in passed]))


@settings(max_examples=examples(50, nightly=150))
@given(runs())
def test_every_number_is_the_obvious_one(lines: list[ResultLine]) -> None:
    tally, digest, results = Tally(), Digest(), Path("r.jsonl")
    halves = Tally()
    for line in lines:
        digest.add(line)
        (halves if line.line % 2 else tally).add(line)
    tally.merge(halves)
    numbers = numbers_of(digest, {}, PASSING, SIZE)
    reported = numbers_json(numbers, Provenance(results, {}))
    check_common(reported, lines)
    check_groups(reported["groups"], lines)
    counted = tally_json(tally, results, {}, pass_rate_of(tally, PASSING))
    check_common(counted, lines)
    assert counted["histogram"] == reported["histogram"]
    if not tally.grouped:
        assert counted["pass_rate"] == reported["pass_rate"]
    check_texts(reported, numbers_text(numbers, {}), tally_text(tally, {}))


@settings(max_examples=15)
@given(runs())
def test_the_page_has_the_means_of_the_numbers(lines: list[ResultLine]) -> None:
    digest, provenance = Digest(), Provenance(Path("r.jsonl"), {})
    for line in lines:
        digest.add(line)
    numbers = numbers_of(digest, {}, PASSING, SIZE)
    page = report_page(numbers, provenance, RowTexts())
    for text in headline(numbers_json(numbers, provenance)):
        assert text in page


def headline(reported: dict[str, Any]) -> Iterator[str]:
    """The means that every report shows; some only where they are over other rows than the first."""
    mean = reported["mean"]
    for key in ("mean", "scored_mean", "hosted_mean", "pass_rate"):
        found = reported[key]
        if mean and found and (key in ("mean", "pass_rate") or found["rows"] != mean["rows"]):
            yield f"{found['value']:.4f}"


def check_texts(reported: dict[str, Any], *texts: str) -> None:
    for text in texts:
        if reported["mean"] is None:
            assert re.search(rf"none of {reported['rows']:,} (row|sample)", text)
            continue
        value, rows = reported["mean"]["value"], reported["mean"]["rows"]
        mean = re.search(rf"mean reward  (\S+)  over {rows} (row|sample)", text)
        assert mean
        assert float(mean[1]) == pytest.approx(
            value, abs=5.01e-5
        )  # sums in two orders round to two sides
        for blame, count in reported["blames"].items():
            shares = [line for line in text.splitlines() if line.startswith(f"  {blame} ")]
            if blame != "infrastructure":
                assert bool(shares) == bool(count)
            much = (
                re.search(rf" ha(s|ve) no (reward|complete grade) because of the {blame}", text)
                is not None
            )
            assert much == (count > (0.5 if blame == "sample" else 0.05) * reported["rows"])
