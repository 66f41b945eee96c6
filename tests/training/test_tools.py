"""Reinforcement jobs whose rows have tools: a call that the model makes is what the grader reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.training import trl_trainer
from graders_engine.training.rollout_run import RolloutRun
from graders_engine.training.trainer import Rollout, TrainingFailed
from tests.training import tiny
from tests.training.jobs import job, trained

END = "<|im_end|>"
CALLS = r"""start: CALL
CALL: /<tool_call>\n\{"name": "[fg]", "arguments": \{"a": [0-9]\}\}\n<\/tool_call>/
"""
"""What the model samples: a random one writes calls only if nothing else is allowed."""
GRADER = {
    "type": "string_check", "name": "same", "operation": "eq", "reference": "{{item.wanted}}",
    "input": "{{sample.output_tools[0].function.name}}",
}  # fmt: skip


def row_of(name: str) -> dict[str, Any]:
    """A row whose model is to call its own tool."""
    tool = {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    return {"messages": [{"role": "user", "content": "go"}], "tools": [tool], "wanted": name}


@pytest.fixture(scope="module")
def caller(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with the chat template of Qwen."""
    from trl.chat_template_utils import qwen2_5_chat_template

    words = tiny.tokenizer(qwen2_5_chat_template)
    words.add_special_tokens({"eos_token": END, "pad_token": END})
    return tiny.make(tmp_path_factory.mktemp("caller") / "base", words, room=1024)


def rollouts(
    caller: Path, folder: Path, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Rollout], list[str]]:
    """The rollouts of a job in which the model calls tools only, and its prompts."""
    prompts: list[str] = []

    class Listening(RolloutRun):
        def __call__(self, **given: Any) -> list[float | None]:  # type: ignore[override]
            prompts.extend(given["prompts"])
            return super().__call__(**given)

    monkeypatch.setattr(trl_trainer, "grammar_for", lambda tokenizer, chosen: CALLS)
    monkeypatch.setattr(trl_trainer, "RolloutRun", Listening)
    spec = job(
        caller, folder, "reinforcement", rows, grader=GRADER, valid=rows,
        hyperparameters={"n_epochs": 2, "batch_size": 2, "eval_samples": 4}, max_completion_tokens=80,
    )  # fmt: skip
    return trained(spec, folder / "kept").found, prompts


def test_a_call_that_the_model_makes_is_what_the_grader_reads(
    caller: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, prompts = rollouts(caller, tmp_path, [row_of("f"), row_of("g")], monkeypatch)
    assert {one.split for one in found} == {"train", "valid"}
    for one in found:
        assert one.sample["output_text"] == ""
        (call,) = one.sample["output_tools"]
        assert call["type"] == "function"
        assert json.loads(call["function"]["arguments"])["a"] in range(10)
        assert one.reward == (call["function"]["name"] == one.item["wanted"])
    assert {one.reward for one in found} == {0, 1}
    # Each row was shown with its own tool.
    assert len(prompts) == len(found)
    names = ['"name": "f"' in one for one in prompts]
    assert names == [one.item["wanted"] == "f" for one in found]
    assert all(('"name": "g"' in one) != has_f for one, has_f in zip(prompts, names, strict=True))


def test_what_looks_like_a_call_is_a_text_in_a_row_without_tools(
    caller: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{key: value for key, value in row_of("f").items() if key != "tools"}] * 2
    found, _ = rollouts(caller, tmp_path, rows, monkeypatch)
    assert all(one.sample.startswith("<tool_call>\n{") for one in found)
    assert {one.reward for one in found} == {0}


def test_a_grader_of_calls_is_refused_for_a_model_whose_calls_cannot_be_read(
    base: Path, caller: Path, tmp_path: Path
) -> None:
    rows: list[Any] = [{"messages": [{"role": "user", "content": "a"}]}]

    def check(model: Path, *, names_calls: bool) -> None:
        spec = job(model, tmp_path, "reinforcement", rows, names_calls=names_calls)
        trl_trainer.TRLTrainer().check(spec)

    check(caller, names_calls=True)
    check(base, names_calls=False)
    with pytest.raises(TrainingFailed, match="has no response template") as refused:
        check(base, names_calls=True)
    assert refused.value.code == "output_tools_not_available"
    assert refused.value.param == "method.reinforcement.grader"
