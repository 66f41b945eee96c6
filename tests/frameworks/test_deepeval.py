"""DeepEval scores test cases by a grader; an outage is an error, and never a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deepeval import assert_test, evaluate
from deepeval.evaluate import AsyncConfig, DisplayConfig, ErrorConfig
from deepeval.test_case import LLMTestCase, MCPToolCall, ToolCall

from graders_engine import NoReward
from graders_engine.adapters.deepeval import GraderMetric
from tests.frameworks.conftest import called, score_model, two_checks
from tests.frameworks.heads import examples, run

QUIET = DisplayConfig(show_indicator=False, print_results=False)


def test_the_example_of_the_head_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = examples("deepeval", tmp_path)
    assert run(block, tmp_path)["ran"].test_results[0].metrics_data[0].score == 1.0


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


def test_nothing_of_a_good_case_is_left_after_an_outage(judge_settings: dict[str, Any]) -> None:
    metric: Any = GraderMetric(score_model("{{item.input}}"), settings=judge_settings)
    assert (metric.measure(case("up")), metric.is_successful()) == (0.5, True)
    with pytest.raises(NoReward):
        metric.measure(case("down"))
    assert (metric.score, metric.success, metric.is_successful()) == (None, None, False)
    metric.error = "of the case before"
    assert (metric.measure(case("up")), metric.is_successful()) == (0.5, True)


@pytest.mark.parametrize("text", [None, "", "I add."])
@pytest.mark.parametrize(
    "calls",
    [
        {"tools_called": [ToolCall(name="add", input_parameters={"a": 1})]},
        {"mcp_tools_called": [MCPToolCall(name="add", args={"a": 1}, result=None)]},
    ],
)
def test_tool_calls_are_graded(text: str | None, calls: dict[str, Any]) -> None:
    given = LLMTestCase(input="?", actual_output=text)
    for (
        key,
        value,
    ) in calls.items():  # the class checks MCP's calls by a package that may be missing
        setattr(given, key, value)
    assert GraderMetric(called('{\\"a\\": 1}')).measure(given) == 1.0


def test_an_unset_column_leaves_the_metadata_as_it_is() -> None:
    given = {"input": "not this", "expected_output": "Paris"}
    metric = GraderMetric(two_checks("{{item.expected_output}}"))
    assert metric.measure(LLMTestCase(input="?", actual_output="paris", metadata=given)) == 0.5
    metric = GraderMetric(two_checks("{{item.input}}"))
    assert metric.measure(LLMTestCase(input="paris", actual_output="paris", metadata=given)) == 1.0


def test_a_column_that_no_case_sets_is_no_null_to_compare_with() -> None:
    metric = GraderMetric(two_checks("{{item.expected_output}}"))
    with pytest.raises(NoReward, match="expected_output"):
        metric.measure(LLMTestCase(input="?", actual_output="null"))
