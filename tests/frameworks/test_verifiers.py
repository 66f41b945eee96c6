"""A task of verifiers scores a trace by a grader; an outage is an error of the task, and no reward."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from verifiers.v1.configs.task import RewardFunctionConfig, TaskConfig
from verifiers.v1.errors import TaskError
from verifiers.v1.task import Task, WireTaskData
from verifiers.v1.trace import Trace

from graders_engine.adapters.verifiers import reward_function
from tests.frameworks.conftest import called, score_model, two_checks

PLUG_IN = """
from graders_engine.adapters.verifiers import reward_function

answer = reward_function("@{path}")
"""


def trace(**message: Any) -> Any:
    """A trace with one answer of the model."""
    answer = AssistantMessage(**(message or {"content": "paris"}))
    return Trace.model_construct(TODO)


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
