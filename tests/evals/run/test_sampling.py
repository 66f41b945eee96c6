"""What a model is asked for an item, and what becomes of its answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import (
    BackendFailure,
    GradersError,
    InvalidRequest,
    InvalidRow,
    RunStopped,
)
from graders_engine.evals.run.messages import chat_messages, message_renderer
from graders_engine.evals.run.parameters import body_of
from graders_engine.evals.run.samples_file import SamplesFile
from graders_engine.evals.run.sampling import FAILED_ITEMS, REFUSED_ITEMS, Sampler, sample_rows
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.sampling.body import responses_body
from graders_engine.outcome import Cause, Usage
from tests.evals.run.made import ECHO
from tests.judges.judge_server import said

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look."}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "seen"},
]
ITEMS: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}]},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "seen"},
]


@pytest.mark.parametrize("given", [CHAT, ITEMS])
def test_a_conversation_in_the_item_is_sent_in_either_form(given: list[Any]) -> None:
    reference = {"type": "item_reference", "item_reference": "item.conversation"}
    messages = message_renderer(reference)({"conversation": given})
    assert messages == CHAT
    sent = responses_body({"messages": messages})["input"]
    assert [one.get("type", "message") for one in sent] == [
        one.get("type", "message") for one in ITEMS
    ]
    assert chat_messages(sent, "item") == CHAT


def test_a_picture_that_a_tool_gave_is_sent_to_responses_too() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    parts = [{"type": "text", "text": "seen"}, picture]
    tool = {"role": "tool", "tool_call_id": "c1", "content": parts}
    (sent,) = responses_body({"messages": [tool]})["input"]
    assert [part["type"] for part in sent["output"]] == ["input_text", "input_image"]


def test_a_template_of_messages_is_filled_from_the_item_alone() -> None:
    template = [
        {"role": "developer", "content": "Answer in {{item.language}}."},
        {"role": "user", "content": {"type": "input_text", "text": "{{item.question}}"}},
        {"role": "user", "content": [{"type": "input_image", "image_url": "{{item.picture}}"}]},
        {"role": "assistant", "content": {"type": "output_text", "text": "{{ unclosed"}},
    ]
    item = {
        "language": "Latin",
        "question": "{{item.language}}?",
        "picture": "https://x.test/p.png",
    }
    assert message_renderer({"type": "template", "template": template})(item) == [
        {"role": "developer", "content": "Answer in Latin."},
        {"role": "user", "content": "{{item.language}}?"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://x.test/p.png"}}],
        },
        {"role": "assistant", "content": "{{ unclosed"},
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "item_reference", "item_reference": "sample.output_text"},
        {"type": "item_reference", "item_reference": "item"},
        {"type": "template", "template": [{"role": "robot", "content": "x"}]},
        {"type": "template", "template": "x"},
        {},
    ],
)
def test_messages_that_cannot_be_read_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="Invalid 'input_messages"):
        message_renderer(wrong)


@pytest.mark.parametrize("found", [None, "text", [], [1], [{"type": "reasoning"}], [{"role": "x"}]])
def test_what_is_no_conversation_is_a_fault_of_the_item(found: Any) -> None:
    render = message_renderer({"type": "item_reference", "item_reference": "item.c"})
    with pytest.raises((InvalidRow, GradersError), match=r"item\.c"):
        render({"c": found})


def test_parameters_of_both_data_sources_ask_the_same() -> None:
    schema = {"name": "it", "schema": {"type": "object"}, "strict": True}
    function = {"name": "look", "parameters": {"type": "object"}, "strict": False}
    chat = {
        "temperature": 0.0,
        "seed": None,
        "max_completion_tokens": 5,
        "tools": [{"type": "function", "function": function}],
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    responses = {
        "temperature": 0.0,
        "max_completion_tokens": 5,
        "tools": [{"type": "function", **function}],
        "text": {"format": {"type": "json_schema", **schema}},
    }
    body = body_of({"sampling_params": chat})
    assert body == body_of({"sampling_params": responses})
    assert responses_body(body)["text"] == responses["text"]
    assert responses_body(body)["tools"] == responses["tools"]


def test_a_tool_that_only_the_hosted_service_has_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"tools\[0\].*web_search"):
        body_of({"sampling_params": {"tools": [{"type": "web_search"}]}})


class Model:
    """Answers with what it is asked, out of order, or fails."""

    signature = "a model"

    def __init__(self, cause: Cause | None = None) -> None:
        self.asked: list[ModelRequest] = []
        self._cause = cause

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        if self._cause is not None:
            raise BackendFailure("no", cause=self._cause)
        text = request.body["messages"][-1]["content"]
        await asyncio.sleep(0.001 * (len(self.asked) % 3))
        return ModelReply("", "a-model", Usage(1, 3, 2), answer=said(text))

    async def close(self) -> None: ...


def sample(model: Model, path: Path, count: int) -> None:
    sampler = Sampler({"model": "m", "input_messages": ECHO}, model, "run")
    rows = [RowRef(n + 1, {"item": {"question": f"q{n}"}}) for n in range(count)]
    with SamplesFile(path) as out:
        asyncio.run(sample_rows(sampler, rows, out, concurrency=3))


def test_samples_stand_in_the_order_of_the_items_and_are_asked_once(tmp_path: Path) -> None:
    model, path = Model(), tmp_path / "samples.jsonl"
    sample(model, path, 20)
    sample(model, path, 50)
    texts = [
        json.loads(line)["sample"]["choices"][0]["message"]["content"]
        for line in path.read_text().splitlines()
    ]
    assert texts == [f"q{n}" for n in range(50)]
    assert len(model.asked) == 50
    with SamplesFile(path) as again:
        assert (again.lines, again.failed) == (50, 0)
        assert again.used == {"a-model": (50, Usage(50, 150, 100))}


def test_a_key_that_is_refused_from_the_first_item_on_ends_the_run(tmp_path: Path) -> None:
    model = Model("refused")
    with pytest.raises(RunStopped, match="items in a row got no sample"):
        sample(model, tmp_path / "samples.jsonl", 100)
    assert REFUSED_ITEMS <= len(model.asked) < 20


@pytest.mark.parametrize("cause", ["unreachable", "unavailable"])
def test_an_endpoint_that_never_answers_ends_the_run_after_one_round(
    tmp_path: Path, cause: Cause
) -> None:
    model = Model(cause)
    with pytest.raises(RunStopped, match=r"got no sample\. The first error: no"):
        sample(model, tmp_path / "samples.jsonl", 100_000)
    assert len(model.asked) < 2 * FAILED_ITEMS


def test_an_outage_after_an_answer_gives_errors_and_no_empty_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    sample(Model(), path, 1)
    sample(Model("unavailable"), path, 30)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert ["sample" in one for one in rows] == [True] + [False] * 29
    assert all(one["error"]["code"] for one in rows[1:])
