"""What a chat completion may ask here: all else is refused, each with its `param`."""

from __future__ import annotations

from typing import Any

import pytest

from graders_engine.inference.errors import InvalidChat
from graders_engine.inference.request import ChatRequest, read_chat, require_length

HI = {"role": "user", "content": "Hi."}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def read(**body: Any) -> ChatRequest:
    return read_chat({"model": "m", "messages": [HI], **body})


def refusals(**body: Any) -> list[tuple[str | None, str | None]]:
    with pytest.raises(InvalidChat) as caught:
        read(**body)
    return [(one.param, one.code) for one in caught.value.mistakes]


def said_by(role: str, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hi."}, "messages"),
    ({"messages": ["Hi."]}, "messages[0]"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [said_by("king")]}, "messages[0].role"),
    ({"messages": [said_by("function", name="f")]}, "messages[0].role"),
    ({"messages": [HI, said_by("user", None)]}, "messages[1].content"),
    ({"messages": [said_by("user", 3)]}, "messages[0].content"),
    ({"messages": [said_by("user", [])]}, "messages[0].content"),
    ({"messages": [said_by("user", ["x"])]}, "messages[0].content[0]"),
    ({"messages": [said_by("user", [{"type": "text"}])]}, "messages[0].content[0].text"),
    (
        {"messages": [said_by("user", [{"type": "image_url", "image_url": {"url": "u"}}])]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [said_by("user", [{"type": "input_audio", "input_audio": {}}])]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [said_by("user", [{"type": "text", "text": "x", "y": 1}])]},
        "messages[0].content[0].y",
    ),
    ({"messages": [said_by("user", "\ud800")]}, "messages[0].content"),
    ({"messages": [said_by("assistant", "x", audio={"id": "a"})]}, "messages[0].audio"),
    ({"messages": [said_by("assistant", "x", refusal="no")]}, "messages[0].refusal"),
    (
        {"messages": [said_by("assistant", None, function_call={"name": "f"})]},
        "messages[0].content",
    ),
    ({"messages": [said_by("user", "x", tool_calls=[CALL])]}, "messages[0].tool_calls"),
    (
        {"messages": [said_by("assistant", None, tool_calls=[{**CALL, "type": "custom"}])]},
        "messages[0].tool_calls[0].type",
    ),
    (
        {"messages": [said_by("assistant", None, tool_calls=[{**CALL, "id": 1}])]},
        "messages[0].tool_calls[0].id",
    ),
    (
        {
            "messages": [
                said_by(
                    "assistant",
                    None,
                    tool_calls=[{**CALL, "function": {"name": "f", "arguments": "oh"}}],
                )
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
    ({"messages": [said_by("tool", "3")]}, "messages[0].tool_call_id"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"n": True}, "n"),
    ({"n": 1.5}, "n"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": "5"}, "max_completion_tokens"),
    ({"max_completion_tokens": 5, "max_tokens": 6}, "max_completion_tokens"),
    ({"seed": 1 << 63}, "seed"),
    ({"seed": 0.5}, "seed"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": ""}, "stop"),
    ({"stop": 3}, "stop"),
    ({"stop": ["a", 3]}, "stop[1]"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    (
        {"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]},
        "tools[0].function.strict",
    ),
    ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}},
        "tool_choice",
    ),
    ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": 1}, "tool_choice"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "response_format"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": "json"}, "response_format"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    (
        {"stream": True, "stream_options": {"include_obfuscation": True}},
        "stream_options.include_obfuscation",
    ),
    ({"stream": True, "stream_options": {"other": True}}, "stream_options.other"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logit_bias": {"5": 1}}, "logit_bias"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"frequency_penalty": False}, "frequency_penalty"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"store": True}, "store"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy"}}, "audio"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
    ({"reasoning_effort": "low"}, "reasoning_effort"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"verbosity": "low"}, "verbosity"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"temprature": 1}, "temprature"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_cannot_be_honoured_is_refused_with_its_param(
    body: dict[str, Any], param: str
) -> None:
    assert param in [found for found, _ in refusals(**body)]


def test_a_body_that_is_no_object_is_refused() -> None:
    bodies: tuple[Any, ...] = (None, [], "x")
    for body in bodies:
        with pytest.raises(InvalidChat):
            read_chat(body)


def test_all_mistakes_are_named_at_once() -> None:
    assert [param for param, _ in refusals(n=0, top_p=2, logprobs=True, oh=1)] == [
        "n", "top_p", "logprobs", "oh",
    ]  # fmt: skip


def test_what_the_api_does_by_itself_is_meant_by_a_body_without_parameters() -> None:
    request = read()
    assert request == ChatRequest(
        messages=[HI], tools=[], choices=1, temperature=1.0, top_p=1.0, max_tokens=None, seed=None,
        stop=(), response_format=None, stream=False, include_usage=False,
    )  # fmt: skip


def test_parameters_that_change_no_answer_are_taken() -> None:
    usual: dict[str, Any] = {
        "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "logprobs": False,
        "modalities": ["text"], "parallel_tool_calls": True, "service_tier": "auto", "store": False,
        "user": "ann", "safety_identifier": "s", "metadata": {"a": "b"}, "top_logprobs": None,
        "stop": None, "tools": [], "response_format": {"type": "text"}, "audio": None,
    }  # fmt: skip
    assert read(**usual) == read()


def test_an_answer_may_be_sent_back_as_it_came() -> None:
    answer = said_by(
        "assistant", None, tool_calls=[CALL], refusal=None, audio=None, function_call=None,
        annotations=[],
    )  # fmt: skip
    messages = [
        said_by("developer", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        HI,
        answer,
        said_by("tool", "3", tool_call_id="c"),
    ]
    found = read(messages=messages).messages
    assert found[0] == {"role": "developer", "content": "ab"}
    assert found[2] == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert found[3] == {"role": "tool", "content": "3", "tool_call_id": "c"}


def test_tools_that_may_not_be_called_are_none() -> None:
    assert read(tools=[TOOL], tool_choice="auto").tools == [TOOL]
    assert read(tools=[TOOL], tool_choice="none").tools == []


def test_whole_numbers_are_numbers_for_what_samples() -> None:
    request = read(temperature=2, top_p=0)
    assert isinstance(request.temperature, float)  # transformers takes no other temperature
    assert isinstance(request.top_p, float)


def test_both_names_of_the_limit_are_known() -> None:
    assert read(max_tokens=5).max_tokens == read(max_completion_tokens=5).max_tokens == 5
    assert read(max_tokens=5, max_completion_tokens=5).max_tokens == 5


def test_a_limit_above_the_model_s_longest_answer_is_refused() -> None:
    require_length(read(max_tokens=5), 5)
    require_length(read(), 5)
    with pytest.raises(InvalidChat) as caught:
        require_length(read(max_tokens=6), 5)
    assert caught.value.mistakes[0].param == "max_completion_tokens"
