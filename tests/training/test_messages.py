"""Messages that cannot be trained with are refused by name; this needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.messages import BadRow, messages_of, tools_of, weights_of
from graders_engine.training.rows import Row, read_rows
from graders_engine.training.schedule import largest_part, schedule_of
from graders_engine.training.trainer import JobSpec, TrainingFailed

ASSISTANT = {"role": "assistant", "content": "b"}


def calling(arguments: str) -> list[Any]:
    call = {"function": {"name": "f", "arguments": arguments}}
    return [{"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (None, "`messages` must be a list"),
        ([], "not empty"),
        (["a"], r"`messages\[0\]` must be an object"),
        ([{"role": "boss", "content": "a"}], r"messages\[0\].role"),
        ([{"role": "user"}], "neither `content` nor `tool_calls`"),
        ([{"role": "user", "content": 3}], "must be text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "no part of type text"),
        ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "text` must be text"),
        ([{"role": "assistant", "content": "a", "audio": {"id": "1"}}], "audio` cannot be trained"),
        ([{"role": "assistant", "tool_calls": {}}], "neither"),
        ([{"role": "assistant", "tool_calls": [{}]}], "must have a `name`"),
        (calling("{"), "is not JSON"),
        (calling("3"), "of an object"),
    ],
)  # fmt: skip
def test_messages_that_cannot_be_trained_with_are_refused(messages: Any, why: str) -> None:
    with pytest.raises(BadRow, match=why):
        messages_of(messages)


def test_empty_keys_of_answers_of_the_api_are_no_fault() -> None:
    (found,) = messages_of([{**ASSISTANT, "refusal": None, "audio": None, "annotations": []}])
    assert found == ASSISTANT


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([{"role": "user", "content": "a"}], "No message of the row is trained"),
        ([{**ASSISTANT, "weight": 0}], "No message of the row is trained"),
        ([{**ASSISTANT, "weight": 0.5}], "must be 0 or 1"),
        ([{**ASSISTANT, "weight": True}], "must be 0 or 1"),
        ([{"role": "user", "content": "a", "weight": 1}, ASSISTANT], "only messages of the assistant"),
    ],
)  # fmt: skip
def test_weights_are_0_or_1_and_stand_with_the_assistant(messages: Any, why: str) -> None:
    with pytest.raises(BadRow, match=why):
        weights_of(messages)


def test_tools_are_objects_and_functions_are_retired() -> None:
    assert tools_of({"tools": []}) is None
    with pytest.raises(BadRow, match="list of objects"):
        tools_of({"tools": ["f"]})
    with pytest.raises(BadRow, match="give them as `tools`"):
        tools_of({"functions": [{"name": "f"}]})


def test_rows_have_the_numbers_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert read_rows(str(path), "train") == [Row(1, {"a": 1}), Row(3, {"a": 2})]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}\n{', "Line 2: .* not JSON"), ("[1]", "Line 1: .* object"),
        ("\n", "no row"), (None, "read"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_trained_with_fails_the_job(
    tmp_path: Path, text: str | None, why: str
) -> None:
    path = tmp_path / "rows.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainingFailed, match=why) as failed:
        read_rows(str(path), "valid")
    assert failed.value.param == "validation_file"


def spec_of(method: Any, valid: str | None = None, **hyperparameters: Any) -> JobSpec:
    return JobSpec("ftjob-1", method, "", None, 1e-3, 8, "", valid, hyperparameters, seed=3)


def test_each_epoch_has_all_rows_in_an_order_of_its_own() -> None:
    found = schedule_of(spec_of("supervised", n_epochs=3, batch_size=4), 10)
    epochs = [found.order[at : at + 10] for at in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert found.total_steps == 8
    assert found.kept == {3, 5, 8}
    assert found == schedule_of(spec_of("supervised", n_epochs=3, batch_size=4), 10)


def test_the_last_groups_of_a_reinforcement_job_are_complete() -> None:
    found = schedule_of(
        spec_of("reinforcement", "valid", n_epochs=1, batch_size=4, eval_interval=2), 10
    )
    assert (found.total_steps, len(found.order)) == (3, 12)
    assert sorted(found.order[:10]) == list(range(10))
    assert found.kept == {2, 3}
    assert found.group == 8
    assert schedule_of(spec_of("reinforcement", compute_multiplier=0.001), 1).group == 2


def test_a_batch_is_never_larger_than_the_file() -> None:
    assert schedule_of(spec_of("dpo", n_epochs=2, batch_size=64), 3).batch_size == 3


def test_a_step_is_computed_in_equal_parts() -> None:
    assert [largest_part(12, most) for most in (0, 1, 5, 7, 12, 99)] == [1, 1, 4, 6, 12, 12]
