"""Whatever object stands where an output is expected: its text is read, or it is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from graders_engine import Engine
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import detect, shape_named
from graders_engine.errors import InvalidRequest
from graders_engine.outcome import RowOutcome

MARKER = "MARKER-7"
HOLDS: dict[str, Any] = {
    "type": "string_check",
    "operation": "like",
    "input": "{{sample.output_text}}",
    "reference": MARKER,
}
TOOL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
NOISE = {
    "id": "x-1",
    "model": "m",
    "created": 1,
    "usage": {"total_tokens": 3},
    "finish_reason": "stop",
    "error": None,
    "tool_calls": [],
}

texts = st.sampled_from([MARKER, f"a {MARKER} b", f"{MARKER}\n"])
parts = texts.flatmap(
    lambda text: st.sampled_from(
        [
            text,
            {"type": "text", "text": text},
            {"type": "output_text", "text": text, "annotations": []},
            {"type": "text", "text": {"value": text, "annotations": []}},
            {"type": "text", "text": [{"type": "text", "text": text}]},
            {"text": text},
        ]
    )
)
others = st.sampled_from(
    [
        {"type": "reasoning", "text": "r"},
        {"type": "thinking", "thinking": "r"},
        {"type": "image_url"},
        "b",
    ]
)
contents = st.one_of(
    texts,
    st.tuples(st.lists(others, max_size=2), st.lists(parts, min_size=1, max_size=2)).map(
        lambda both: [*both[0], *both[1]]
    ),
)
noise = st.dictionaries(st.sampled_from(sorted(NOISE)), st.none(), max_size=3).map(
    lambda keys: {key: NOISE[key] for key in keys}
)
messages = st.builds(
    lambda content, more: {**more, "role": "assistant", "content": content}, contents, noise
)
conversations = st.builds(
    lambda before, last: [*before, last],
    st.lists(st.just({"role": "user", "content": "q"}), max_size=2),
    messages,
)
completions = st.one_of(
    messages.map(lambda message: {"object": "chat.completion", "choices": [{"message": message}]}),
    texts.map(lambda text: {"object": "text_completion", "choices": [{"text": text}]}),
    messages.map(lambda message: {"choices": [{"index": 0, "message": message}]}),
)
items = messages.map(lambda message: {**message, "type": "message"})
responses = st.builds(
    lambda item, named, before: {
        **({"object": "response", "status": "completed"} if named else {}),
        "output": [*before, item],
    },
    items,
    st.booleans(),
    st.lists(
        st.sampled_from(
            [
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "web_search_call", "status": "completed"},
            ]
        ),
        max_size=2,
    ),
)
plain = st.one_of(
    completions,
    responses,
    messages,
    conversations.map(lambda turns: {"input": [], "output": turns}),
    conversations.map(lambda turns: {"trajectory": [], "outputs": turns, "finish_reason": "stop"}),
    conversations.map(lambda turns: {"trajectory": turns, "outputs": []}),
    texts.map(lambda text: {"text": text}),
    texts.map(lambda text: {"generated_text": text}),
    contents.map(lambda content: {"content": content}),
    contents.map(lambda content: {"output_text": content}),
    texts.map(lambda text: {"output_json": {"answer": text}}),
    texts.map(lambda text: {"model": "m", "message": {"role": "assistant", "content": text}}),
    texts.map(lambda text: {"answer": {"words": [text]}}),
)
forms = st.recursive(
    plain,
    lambda inner: st.one_of(
        inner.map(lambda value: {"sample": value}),
        inner.map(lambda value: {"output": value}),
        inner.map(lambda value: {"custom_id": "1", "response": {"body": value}, "error": None}),
        inner.map(lambda value: {"result": value}),
    ),
    max_leaves=2,
)
KNOWN = (
    "choices", "output_text", "output_json", "output_tools", "output_reasoning_summary", "output_audio",
    "text", "content", "completion", "response", "output", "outputs", "trajectory", "messages", "message",
)  # fmt: skip
empty: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(KNOWN), st.sampled_from([None, "", [], {}]), min_size=1, max_size=3
)
"""Known keys that hold nothing."""
unknown = st.sampled_from(["answer", "candidates", "reply", "x"])
hidden = st.builds(
    lambda known, key, text: {**known, key: text},
    empty,
    unknown,
    st.one_of(texts, texts.map(lambda text: [{"words": text}])),
)
MISSPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.title,
    lambda key: key.replace("_", ""),
    lambda key: key + "s",
    lambda key: key[1:],
    lambda key: "x",
)
WRONG: tuple[Callable[[Any], Any], ...] = (
    lambda value: [value],
    lambda value: {"x": value},
    lambda value: {"value": value},
    lambda value: [None, value],
    lambda value: json.dumps(value),
    lambda value: None,
    lambda value: 7,
    lambda value: [],
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value in a value."""
    if not isinstance(value, (dict, list)):
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from paths(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], change: Any, *, rename: bool) -> Any:
    """A copy in which the value at a path, or its key, is changed."""
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = changed(value[key], tuple(rest), change, rename=rename)
    elif rename and isinstance(copy, dict):
        return {(change(name) if name == key else name): part for name, part in copy.items()}
    elif not rename:
        copy[key] = change(value[key])
    return copy


@st.composite
def outputs(draw: st.DrawFn) -> Any:
    """An output in a known form, with up to two slips."""
    if draw(st.booleans()):
        return draw(hidden)
    value = draw(forms)
    for _ in range(draw(st.integers(0, 2))):
        rename = draw(st.booleans())
        there = [path for path in paths(value) if not rename or isinstance(path[-1], str)]
        if there:
            change = draw(st.sampled_from(MISSPELLINGS if rename else WRONG))
            value = changed(value, draw(st.sampled_from(there)), change, rename=rename)
    if draw(st.booleans()) and isinstance(value, dict):
        value = {**draw(noise), **value}
    if draw(st.booleans()) and isinstance(value, dict):
        value = {**draw(empty), **value}
    return value


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


def graded(engine: Engine, output: Any) -> Iterator[list[RowOutcome]]:
    """The rows that the output gives in each way in which a row can hold it."""
    yield list(engine.score(HOLDS, [{"item": {}, "sample": output}]))
    yield list(engine.score(HOLDS, [{"item": {}, "samples": [output]}]))
    yield list(engine.score(HOLDS, [{"out": output}], sample_field="out"))
    raws: list[tuple[str, Any]] = [
        ("samples", {"item": {}, "samples": output}),
        ("flat", {"out": output}),
        ("evals", {"datasource_item": {}, "sample": output}),
    ]
    if isinstance(output, dict):
        raws.append(("chat", output))
    for name, raw in raws:
        shape = shape_named(name, "out" if name == "flat" else None)
        rows = [ref.row for ref in shape.split(RowRef(1, raw))]
        yield list(engine.score_single(HOLDS, rows))


@settings(max_examples=400, deadline=None)
@given(outputs())
@example({"outputText": MARKER})
@example({"output_text": "", "candidates": [MARKER]})
@example({"output_tools": [], "answer": MARKER})
@example({"output_tools": [{"x": 1}], "answer": MARKER})
@example({"output_reasoning_summary": "hm", "candidates": [MARKER]})
@example({"content": "", "answer": MARKER})
@example({"output_text": None, "outputs": [{"role": "assistant", "content": MARKER}]})
@example({"output_text": "", "text": MARKER})
@example({"choices": [], "text": MARKER})
@example({"choices": [{"delta": {"content": MARKER}}]})
@example({"choices": [{"message": {"role": "assistant", "text": MARKER}}]})
@example({"role": "user", "content": MARKER})
@example({"candidates": [{"content": {"parts": [{"text": MARKER}]}}]})
def test_a_text_is_read_or_its_row_is_refused_and_no_row_is_graded_as_empty(
    engine: Engine, output: Any
) -> None:
    assume(MARKER in json.dumps(output))
    for rows in graded(engine, output):
        for row in rows:
            assert "unresponsive_reward_error" not in row.flags, output
            if row.status != "scored":
                assert row.blame in ("row", "infrastructure")
                assert len(row.flags["other_error"]) > 20
        assert any(row.reward == 1.0 or row.status != "scored" for row in rows), output
    if isinstance(output, dict):
        with suppress(InvalidRequest):
            assert engine.run(HOLDS, sample=output).reward == 1.0
    with_item = {"item": {}, "sample": output}
    try:
        refs = detect([with_item]).split(RowRef(1, with_item))
    except InvalidRequest:
        return
    for ref in refs:
        (row,) = engine.score_single(HOLDS, [ref.row])
        assert row.status != "scored" or row.reward == 1.0, output
