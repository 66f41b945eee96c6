"""A task of verifiers scores a trace by a grader; an outage is an error of the task, and no reward."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.configs.task import TaskConfig
from verifiers.v1.errors import TaskError
from verifiers.v1.graph import MessageNode
from verifiers.v1.task import Task, WireTaskData
from verifiers.v1.trace import AgentInfo, ModelCall, Trace, TraceTask
from verifiers.v1.types import AssistantMessage, ToolCall

from graders_engine.adapters.outputs import of_verifiers
from graders_engine.adapters.verifiers import reward_function
from tests.frameworks.conftest import called, score_model, two_checks
from tests.frameworks.heads import examples, run


def trace(**message: Any) -> Any:
    """A trace with one answer of the model."""
    answer = AssistantMessage(**(message or {"content": "paris"}))
    data = WireTaskData(prompt="The capital?")
    return Trace(
        task=TraceTask(type="Task", data=data),
        agent=AgentInfo(config=AgentConfig()),
        nodes=[MessageNode(message=answer, sampled=True)],
    )


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The head's block that makes a task, in a folder with its file of rewards and its grader."""
    monkeypatch.chdir(tmp_path)
    rewards, block = examples("verifiers", tmp_path)
    (tmp_path / "rewards.py").write_text(rewards)
    return block


@pytest.mark.parametrize(("answer", "reward"), [("Paris", 1.0), ("Oslo", 0.0)])
def test_the_example_of_the_head_scores_a_trace(
    example: str, answer: str, reward: float, tmp_path: Path
) -> None:
    scored = trace(content=answer)
    asyncio.run(run(example, tmp_path)["task"].score(scored))
    assert (scored.rewards["answer"].score, scored.rewards["answer"].weight) == (reward, 1.0)


def test_parts_and_shares_are_metrics_of_a_trace(example: str, tmp_path: Path) -> None:
    (tmp_path / "grader.json").write_text(json.dumps(two_checks("{{item.answer}}")))
    # verifiers loads a file once for each name that it is given.
    block = example.replace("rewards.py", f"{tmp_path}/rewards.py")
    scored = trace()
    asyncio.run(run(block, tmp_path)["task"].score(scored))
    assert scored.rewards["answer"].score == 0.5
    assert scored.metrics == {
        "mix/exact": 0.0, "mix/loose": 1.0, "mix/scored": 1.0, "mix/invalid": 0.0, "mix/failed": 0.0,
    }  # fmt: skip


def test_an_outage_is_an_error_of_the_task(judge_settings: dict[str, Any]) -> None:
    judged = reward_function(score_model("{{item.prompt}}"), **judge_settings)

    class Judged(Task[WireTaskData, Any, TaskConfig]):
        def hooks(self, attr: str) -> list[Any]:
            return [judged] if attr == "reward" else []

    scored = trace()
    with pytest.raises(TaskError, match="is down"):
        asyncio.run(Judged(WireTaskData(prompt="down")).score(scored))
    assert scored.rewards == {"judge": None}


def graded(grader: dict[str, Any], scored: Any) -> float:
    judged: Any = reward_function(grader)(WireTaskData(prompt="?"), scored)
    value: float = asyncio.run(judged)
    return value


def test_tool_calls_of_the_last_message_are_graded() -> None:
    calls = [ToolCall(id="1", name="add", arguments='{"a": 1}')]
    for text in (None, "I add."):
        scored = trace(content=text, tool_calls=calls)
        assert graded(called('{\\"a\\": 1}'), scored) == 1.0


def test_calls_of_another_agent_than_the_one_that_replied_do_not_count() -> None:
    scored = trace(tool_calls=[ToolCall(id="1", name="add", arguments="{}")])
    scored.root_reply = "paris"
    assert graded(called("add"), scored) == 0.0


def test_a_reply_that_was_cut_off_is_marked() -> None:
    scored = trace(content="paris")
    assert of_verifiers(scored) == "paris"
    scored.calls = [ModelCall(finish_reason="length")]
    assert of_verifiers(scored)["choices"][0]["finish_reason"] == "length"
