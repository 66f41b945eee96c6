"""The grader as a reward, without a model: what is counted, what pauses and what fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine.outcome import Flag
from graders_engine.training.reward import Rewards, Tally
from graders_engine.training.rows import Row
from graders_engine.training.step_data import step_data
from graders_engine.training.trainer import JobSpec, Rollout, TrainingFailed, TrainingPaused

RAISES = {
    "type": "python",
    "name": "p",
    "source": "def grade(sample, item):\n    raise ValueError('mine')",
}
JSON_OUTPUT = {
    "type": "multi",
    "graders": {
        key: {
            "type": "string_check", "name": f"{key}_check", "input": f"{{{{sample.output_json.{key}}}}}",
            "reference": f"{{{{item.{key}}}}}", "operation": "eq",
        }
        for key in ("a", "b")
    },
    "calculate_output": "(a + b) / 2",
}  # fmt: skip


@pytest.fixture
def opened() -> Iterator[Any]:
    found: list[Rewards] = []

    def opened(grader: Any, window: Any = ()) -> Rewards:
        spec = JobSpec(
            "ftjob-1", "reinforcement", "", None, 1e-3, 8, "", None, {}, 1, grader=grader
        )
        found.append(Rewards(spec, None, window))
        return found[-1]

    yield opened
    for rewards in found:
        rewards.close()


def test_a_tool_call_reaches_the_grader_as_it_does_a_text(opened: Any) -> None:
    check = {"type": "string_check", "name": "c", "operation": "eq", "reference": "f",
             "input": "{{sample.output_tools[0].function.name}}"}  # fmt: skip
    call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    rows = [Row(1, {}), Row(2, {})]
    tally = Tally()
    samples = [{"output_text": "", "output_tools": [call]}, "f"]
    assert opened(check).grade(tally, 1, "train", rows, samples) == [1.0, 0.0]
    assert [one.sample for one in tally.rollouts] == samples


def test_what_the_model_is_to_blame_for_is_served_and_counted_by_grader_and_flag(
    opened: Any,
) -> None:
    rows = [Row(line, {"a": "1", "b": "2"}) for line in (1, 2)]
    rewards, tally = opened(JSON_OUTPUT), Tally()
    assert rewards.grade(tally, 3, "train", rows, ['{"a": "1", "b": "0"}', "no JSON"]) == [0.5, 0.0]
    assert tally.reward_mean == 0.25
    assert tally.unscored == 0
    assert tally.flag_mean(Flag.SAMPLE_PARSE) == 0.5
    names = {"": "multi", "a": "a_check", "b": "b_check"}
    data = step_data(names, {"train": tally, "valid": tally}, {}, {})
    assert data["full_valid_mean_parse_error"] == 0.5
    assert data["full_valid_mean_reward"] == data["train_mean_reward"] == 0.25
    assert data["local"]["train_blames"] == {"sample": 1}
    by_name = {one["name"]: one for one in data["errors"]["graders"]}
    assert by_name["a_check"]["train_sample_parse_count"] == 1
    assert by_name["a_check"]["train_sample_parse_mean"] == 0.5
    scores = {one["name"]: one["train_reward_mean"] for one in data["scores"]["graders"]}
    # An output that is no JSON counts as 0 in each part, as it does in the whole.
    assert scores == {"a_check": 0.5, "b_check": 0.0}


def test_what_an_outage_has_left_of_an_evaluation_has_no_mean_at_all() -> None:
    def rollout(reward: float | None) -> Rollout:
        flags = {} if reward is not None else {"model_grader_server_error": "down"}
        return Rollout(1, "valid", 1, {}, "x", reward, {"a": 1.0, "b": reward}, flags)

    few = Tally(rollouts=[rollout(1.0), rollout(None)])
    names = {"": "multi", "a": "a_check", "b": "b_check"}
    data = step_data(names, {"train": Tally(rollouts=[rollout(0.5)]), "valid": few}, {}, {})
    for one in data["scores"]["graders"]:
        assert one["valid_reward_mean"] is None
        assert one["train_reward_mean"] is not None
    assert data["full_valid_mean_reward"] is data["full_valid_mean_parse_error"] is None
    assert data["local"]["valid_unscored"] == 1


def test_the_job_fails_in_the_third_step_in_a_row_in_which_its_grader_fails(opened: Any) -> None:
    rewards = opened(RAISES, window=[(0, 4)])
    rows = [Row(1, {})] * 4
    for step in (1, 2):
        tally = Tally()
        assert rewards.grade(tally, step, "train", rows, ["x"] * 4) == [0.0] * 4
        if step == 1:
            rewards.require_sense(tally)
    with pytest.raises(TrainingFailed, match="8 of the 12 rollouts of the last 3 steps") as failed:
        rewards.require_sense(tally)
    assert (failed.value.code, failed.value.param) == (
        "grader_failing",
        "method.reinforcement.grader",
    )
    assert "ValueError: mine" in failed.value.message


def test_a_judge_that_cannot_be_used_fails_the_job_before_its_first_step(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judge = {"type": "score_model", "name": "j", "model": "m", "range": [0, 1],
             "input": [{"role": "user", "content": "{{sample.output_text}}"}]}  # fmt: skip
    with pytest.raises(TrainingFailed, match="The judge 'm' has no endpoint") as failed:
        opened(judge)
    assert failed.value.code == "invalid_grader"


@pytest.mark.parametrize(("down", "pauses"), [(1, False), (2, True)])
def test_an_outage_of_more_than_a_fifth_of_a_step_pauses(
    opened: Any, monkeypatch: pytest.MonkeyPatch, down: int, pauses: bool
) -> None:
    # Nobody is at the discard port.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    judge = {"type": "score_model", "name": "j", "model": "m", "range": [0, 1],
             "input": [{"role": "user", "content": "{{sample.output_text}}"}]}  # fmt: skip
    check = {"type": "string_check", "name": "c", "input": "{{sample.output_text}}",
             "reference": "x", "operation": "eq"}  # fmt: skip
    rewards, tally = opened(check), Tally()
    scored = 6 - down
    assert rewards.grade(tally, 1, "train", [Row(1, {})] * scored, ["x"] * scored) == [1.0] * scored
    from graders_engine import Engine, JudgeSettings, RetryPolicy

    with Engine(judges=JudgeSettings(retry=RetryPolicy(attempts=1))) as engine:
        rewards._engine.close()
        rewards._engine, rewards.compiled = engine, engine.compile(judge)
        assert rewards.grade(tally, 1, "train", [Row(1, {})] * down, ["x"] * down) == [None] * down
    assert tally.reward_mean == 1.0
    if pauses:
        with pytest.raises(TrainingPaused, match="2 of 6 rollouts have no reward"):
            rewards.require_sense(tally)
    else:
        rewards.require_sense(tally)


def test_a_grader_that_cannot_be_used_fails_the_job(opened: Any) -> None:
    with pytest.raises(TrainingFailed) as failed:
        opened({"type": "python"})
    assert failed.value.code == "invalid_grader"
