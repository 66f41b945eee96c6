"""A task of verifiers scores a trace by a grader; an outage is an error of the task, and no reward."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.configs.task import RewardFunctionConfig, TaskConfig
from verifiers.v1.errors import TaskError
from verifiers.v1.graph import MessageNode
from verifiers.v1.task import Task, WireTaskData
from verifiers.v1.trace import AgentInfo, ModelCall, Trace, TraceTask
from verifiers.v1.types import AssistantMessage, ToolCall

from graders_engine.adapters.outputs import of_verifiers
from graders_engine.adapters.verifiers import reward_function
from tests.frameworks.conftest import called, score_model, two_checks

PLUG_IN = """
from graders_engine.adapters.verifiers import reward_function

answer = reward_function("@{path}")
"""


def trace(**message: Any) -> Any:
    """A trace with one answer of the model."""
    answer = AssistantMessage(**(message or {"content": "paris"}))
    data = WireTaskData(prompt="The capital?")
    return Trace(
        task=TraceTask(type="Task", data=data),
        agent=AgentInfo(config=AgentConfig()),
        nodes=[MessageNode(message=answer, sampled=True)],
    )


def test_a_file_with_a_reward_function_is_plugged_into_a_task(tmp_path: Path) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(two_checks("{{item.answer}}")))
    plug_in = tmp_path / "rewards.py"
    plug_in.write_text(PLUG_IN.format(path=grader))
    config = TaskConfig(
        rewards={"answer": RewardFunctionConfig(fn=f"{plug_in}:answer", weight=2.0)}
    )
    task: Any = Task(WireTaskData(prompt="The capital?", answer="Paris"), config)
    scored = trace()
    asyncio.run(task.score(scored))
    assert (scored.rewards["answer"].score, scored.rewards["answer"].weight) == (0.5, 2.0)
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
