"""Which criteria a row meets: what its result says of each, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from graders_engine import Engine
from graders_engine.dataset.results.line import encode_results, result_line
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import InvalidRequest
from graders_engine.evals.run.criteria import (
    MAX_CRITERIA,
    GradedRow,
    criteria_of,
    status_of,
)
from graders_engine.evals.run.item_index import read_result
from graders_engine.outcome import BLAMES, SERVED, Blame
from graders_engine.outcome import status_of as row_status
from tests.evals.run.made import judge, row, string_check

SIMILAR = {
    "type": "text_similarity",
    "name": "near",
    "evaluation_metric": "fuzzy_match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}


def graded(reward: float | None, blame: Blame | None = None, **more: Any) -> GradedRow:
    return GradedRow(1, reward, row_status(blame), more.pop("sub_rewards", {}), blame, **more)


@pytest.mark.parametrize(
    ("criterion", "least"),
    [
        (string_check(), 1.0),
        (string_check(pass_threshold=0.2), 1.0),
        (judge("label_model", labels=["a"], passing_labels=["a"], pass_threshold=0.1), 1.0),
        ({**SIMILAR, "pass_threshold": 0.8}, 0.8),
        (SIMILAR, 1.0),
        ({"type": "python", "name": "code", "source": "", "pass_threshold": 0}, 0.0),
        ({"type": "python", "name": "code", "source": "", "pass_threshold": None}, 1.0),
        (judge("score_model"), 1.0),
        (judge("score_model", range=[1, 7]), 7.0),
        (judge("score_model", range=[1, 7], pass_threshold=5.5), 5.5),
    ],
)
def test_a_criterion_is_met_from_its_threshold_on(criterion: dict[str, Any], least: float) -> None:
    (only,) = criteria_of([criterion]).all
    assert only.passes(graded(least)) is True
    assert only.passes(graded(least - 0.01)) is False
    assert only.score(graded(least)) == least


@pytest.mark.parametrize("blame", BLAMES)
def test_a_grader_that_fails_on_the_row_scores_0_and_an_outage_nothing(blame: Blame) -> None:
    (only,) = criteria_of([string_check()]).all
    expected = (0.0, False) if blame in SERVED else (None, None)
    assert (only.score(graded(None, blame)), only.passes(graded(None, blame))) == expected


@given(some.lists(some.sampled_from([0.0, 1.0, *BLAMES]), min_size=2, max_size=6))
def test_each_part_of_a_multi_is_judged_by_itself(parts: list[float | Blame]) -> None:
    """What a multi makes of its parts' failures says of each the same as if it stood alone."""
    criteria = criteria_of([string_check(f"c{n}") for n in range(len(parts))])
    by_key = dict(zip((one.key for one in criteria.all), parts, strict=True))
    blames = {key: part for key, part in by_key.items() if not isinstance(part, float)}
    rewards = {key: part if isinstance(part, float) else None for key, part in by_key.items()}
    gravest = max(blames.values(), key=BLAMES.index, default=None)
    differ = blames if len(set(blames.values())) > 1 else {}
    alone = criteria_of([string_check()]).all[0]
    expected = [alone.passes(graded(rewards[key], blames.get(key))) for key in by_key]
    together = graded(None, gravest, sub_rewards=rewards, blames=differ)
    assert criteria.verdicts(together) == expected
    assert status_of(expected) == (
        "error" if None in expected else "pass" if all(expected) else "fail"
    )


def test_a_line_of_results_tells_whose_fault_each_failure_is(engine: Engine) -> None:
    broken = "def grade(sample, item): raise ValueError('broken')"
    criteria = criteria_of(
        [
            string_check(),
            {"type": "python", "name": "code", "source": broken},
            string_check("lacks", reference="{{item.nothing}}"),
        ]
    )
    (outcome,) = engine.score(dict(criteria.grader), [row("a")])
    line = encode_results([result_line(RowRef(1, row("a")), outcome)])
    assert criteria.verdicts(read_result(line)) == [True, False, None]


@pytest.mark.parametrize("count", [2, 100, 101, MAX_CRITERIA])
def test_many_criteria_are_one_grader(engine: Engine, count: int) -> None:
    names = [f"criterion with a long name {'x' * 50} {n}" for n in range(count)]
    criteria = criteria_of([string_check(name) for name in names])
    (outcome,) = engine.score(dict(criteria.grader), [row("a")])
    line = encode_results([result_line(RowRef(1, row("a")), outcome)])
    assert criteria.verdicts(read_result(line)) == [True] * count


@pytest.mark.parametrize("count", [0, MAX_CRITERIA + 1])
def test_none_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"1 to {MAX_CRITERIA} testing criteria"):
        criteria_of([string_check()] * count)


def test_names_that_are_alike_stay_apart(tmp_path: Path) -> None:
    criteria = criteria_of([string_check("same"), string_check("same"), string_check("")])
    assert len({criterion.key for criterion in criteria.all}) == 3
