"""Adapters that grade one sample at a time tell of a grader whose code fails, as those of batches do."""

from __future__ import annotations

import pytest

from graders_engine import GraderReward, NoReward
from graders_engine.adapters.reward import shared_reward
from graders_engine.adapters.verl import compute_score

LOOKS_UP = {"type": "python", "source": "def grade(sample, item):\n    return item['solution']"}


def test_samples_that_come_one_by_one_are_counted_together() -> None:
    given = ("capitals", "4", "4")
    scores = [compute_score(*given, grader=LOOKS_UP, sandbox="none")["score"] for _ in range(19)]
    assert scores == [0.0] * 19
    with pytest.raises(NoReward, match="each of the first 20 samples"):
        compute_score(*given, grader=LOOKS_UP, sandbox="none")


def test_rewards_that_share_an_engine_count_together() -> None:
    first = GraderReward(LOOKS_UP, sandbox="none")
    for _ in range(10):
        assert first.value(first.grade("4")) == 0.0
    second = shared_reward(first, {})
    outcomes = second.grade_all([{"item": {}, "model_sample": "4"}] * 10)
    with pytest.raises(NoReward, match="each of the first 20 samples"):
        second.value(outcomes[0])


def test_one_sample_that_is_graded_shows_that_the_code_works() -> None:
    reward = GraderReward(LOOKS_UP, sandbox="none")
    assert reward.value(reward.grade("4", {"solution": 0.5})) == 0.5
    outcomes = reward.grade_all([{"item": {}, "model_sample": "4"}] * 50)
    assert [reward.value(outcome) for outcome in outcomes] == [0.0] * 50
