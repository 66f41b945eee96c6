"""DeepEval scores test cases by a grader; an outage is an error, and never a score."""

from __future__ import annotations

from typing import Any

import pytest
from deepeval import assert_test, evaluate
from deepeval.evaluate import AsyncConfig, DisplayConfig, ErrorConfig
from deepeval.test_case import LLMTestCase

from graders_engine import NoReward
from graders_engine.adapters.deepeval import GraderMetric
from tests.frameworks.conftest import score_model, two_checks

QUIET = DisplayConfig(show_indicator=False, print_results=False)


def case(expected: str) -> LLMTestCase:
    return LLMTestCase(input=expected, actual_output="paris", expected_output=expected)


@pytest.mark.parametrize("run_async", [True, False])
def test_cases_pass_by_their_reward(run_async: bool) -> None:
    metric = GraderMetric(two_checks("{{item.expected_output}}"), threshold=0.5)
    cases = [case("Paris"), case("Oslo")]
    ran = evaluate(
        cases, [metric], display_config=QUIET, async_config=AsyncConfig(run_async=run_async)
    )
    results = sorted(ran.test_results, key=lambda result: result.input)
    assert [result.success for result in results] == [False, True]
    assert [result.metrics_data[0].score for result in results] == [0.0, 0.5]
    assert results[0].metrics_data[0].name == "mix"


def test_an_outage_is_an_error_without_a_score(judge_settings: dict[str, Any]) -> None:
    metric = GraderMetric(score_model("{{item.input}}"), settings=judge_settings)
    config = ErrorConfig(ignore_errors=True)
    ran = evaluate([case("up"), case("down")], [metric], display_config=QUIET, error_config=config)
    up, down = sorted(ran.test_results, key=lambda result: result.input == "down")
    assert (up.success, up.metrics_data[0].score) == (True, 0.5)
    assert (down.success, down.metrics_data[0].score) == (False, None)
    assert "is down" in down.metrics_data[0].error


def test_an_outage_ends_a_test(judge_settings: dict[str, Any]) -> None:
    metric = GraderMetric(score_model("{{item.input}}"), settings=judge_settings)
    with pytest.raises(NoReward):
        assert_test(case("down"), [metric], run_async=False)


def test_a_measured_case_has_its_parts_and_reasons() -> None:
    metric = GraderMetric(two_checks("{{item.expected_output}}"))
    assert metric.measure(case("Paris")) == 0.5
    assert metric.score_breakdown == {"exact": 0.0, "loose": 1.0}
    assert metric.is_successful()
