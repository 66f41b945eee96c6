"""A raw row of any shape becomes rows to grade, and what has no shape says which keys it has."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.compiled import Unreadable, scope_reader
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import NAMES, detect, shape_named
from graders_engine.errors import InvalidRequest, InvalidRow

ITEM = {"label": "cat"}
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def message(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def completion(*texts: str) -> dict[str, Any]:
    choices = [
        {"index": place, "message": message(text), "finish_reason": "length"}
        for place, text in enumerate(texts)
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "created": 1,
        "choices": choices,
    }


def batch_line(status: int, body: Any, error: Any = None) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": "row-7", "response": response, "error": error}


def output_item(output: Any, **sample: Any) -> dict[str, Any]:
    return {
        "object": "eval.run.output_item",
        "id": "outputitem_1",
        "datasource_item": ITEM,
        "sample": {"input": [], "output": output, "finish_reason": "stop", "error": None, **sample},
    }


SHAPES: list[tuple[str, str, dict[str, Any], Any, list[str]]] = [
    # what it shows, shape, raw row, item, texts
    ("text beside an item", "rows", {"item": ITEM, "model_sample": "a"}, ITEM, ["a"]),
    (
        "a sample beside an item",
        "rows",
        {"item": ITEM, "sample": {"output_text": "a"}},
        ITEM,
        ["a"],
    ),
    (
        "a completion as the sample",
        "rows",
        {"item": ITEM, "sample": completion("a")},
        ITEM,
        ["a"],
    ),
    (
        "the first version's field",
        "rows",
        {"reference_answer": 7, "model_sample": "a"},
        {"reference_answer": 7},
        ["a"],
    ),
    (
        "a list of texts",
        "samples",
        {"item": ITEM, "model_sample": ["a", "b"]},
        ITEM,
        ["a", "b"],
    ),
    (
        "a list of samples",
        "samples",
        {"item": ITEM, "samples": [{"output_text": "a"}, "b"]},
        ITEM,
        ["a", "b"],
    ),
    ("a list of one", "samples", {"item": ITEM, "model_samples": ["a"]}, ITEM, ["a"]),
    (
        "several and a reference",
        "samples",
        {"reference_answer": 7, "samples": ["a"]},
        {"reference_answer": 7},
        ["a"],
    ),
    ("a field with text", "flat", {"label": "cat", "out": "a"}, ITEM, ["a"]),
    ("a field with a list", "flat", {"label": "cat", "out": ["a", "b"]}, ITEM, ["a", "b"]),
    (
        "a field with a sample",
        "flat",
        {"label": "cat", "out": {"output_text": "a"}},
        ITEM,
        ["a"],
    ),
    (
        "a field with a conversation",
        "flat",
        {"label": "cat", "out": [{"role": "user", "content": "q"}, message("a")]},
        ITEM,
        ["a"],
    ),
    (
        "a field with conversations",
        "flat",
        {"label": "cat", "out": [[message("a")], [message("b")]]},
        ITEM,
        ["a", "b"],
    ),
    (
        "fine-tuning rows with a field",
        "flat",
        {"messages": [], "label": "cat", "out": "a"},
        {"messages": [], "label": "cat"},
        ["a"],
    ),
    ("an output item", "evals", output_item([message("a")]), ITEM, ["a"]),
    (
        "an output item with a ready sample",
        "evals",
        output_item([], output_text="a"),
        ITEM,
        ["a"],
    ),
    (
        "a wrapped item",
        "evals",
        {**output_item([message("a")]), "datasource_item": {"item": ITEM}},
        ITEM,
        ["a"],
    ),
    (
        "an item with its sample",
        "evals",
        {"datasource_item": {"item": ITEM, "sample": {"output_text": "a"}}, "sample": None},
        ITEM,
        ["a"],
    ),
    (
        "an item of that name",
        "evals",
        {"datasource_item": {"item": 1, "label": 2}},
        {"item": 1, "label": 2},
        [""],
    ),
    ("an output item without output", "evals", output_item([]), ITEM, [""]),
    (
        "the last of several messages",
        "evals",
        output_item([message("a"), message("b")]),
        ITEM,
        ["b"],
    ),
    ("a completion", "chat", completion("a"), {}, ["a"]),
    ("a completion with several choices", "chat", completion("a", "b"), {}, ["a", "b"]),
    (
        "choices beside columns",
        "chat",
        {"label": "cat", "choices": completion("a")["choices"]},
        ITEM,
        ["a"],
    ),
    (
        "a response beside an item",
        "chat",
        {"item": ITEM, "response": completion("a", "b")},
        ITEM,
        ["a", "b"],
    ),
    (
        "a sample with several choices",
        "chat",
        {"item": ITEM, "sample": completion("a", "b")},
        ITEM,
        ["a", "b"],
    ),
    (
        "a line of the Batch API",
        "chat",
        batch_line(200, completion("a")),
        {"id": "batch_req_1", "custom_id": "row-7", "error": None},
        ["a"],
    ),
]


@pytest.mark.parametrize(
    ("name", "raw", "item", "texts"),
    [case[1:] for case in SHAPES],
    ids=[case[0] for case in SHAPES],
)
def test_a_row_is_told_by_its_keys_and_taken_apart(
    name: str, raw: dict[str, Any], item: Any, texts: list[str]
) -> None:
    field = "out" if name == "flat" else None
    shape = detect([Unreadable("broken"), raw], field)
    assert shape.name == name
    assert shape_named(name, field).name == name
    scopes = [scope_reader(None)(ref.row) for ref in shape.split(RowRef(4, raw))]
    assert [scope.item for scope in scopes] == [item] * len(texts)
    assert [scope.output_text for scope in scopes] == texts
    assert [ref.sample for ref in shape.split(RowRef(4, raw))] == list(range(len(texts)))


KEYS = (
    "item", "sample", "samples", "model_sample", "out", "datasource_item", "choices", "message", "role",
    "content", "tool_calls", "audio", "output", "output_text", "error", "response", "body", "custom_id",
    "finish_reason", "id", "reference_answer", "text", "x",
)  # fmt: skip
ROWS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "assistant", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(deadline=None, max_examples=400)
@given(ROWS, st.sampled_from(NAMES))
def test_no_row_breaks_a_shape(raw: Any, name: str) -> None:
    with suppress(InvalidRequest):
        assert detect([raw]).name in NAMES
    refs = shape_named(name, "out" if name == "flat" else None).split(RowRef(1, raw))
    assert [ref.sample for ref in refs] == list(range(len(refs)))
    for ref in refs:
        with suppress(InvalidRow):
            assert scope_reader(None)(ref.row).output_text is not None


def test_nesting_without_end_is_a_sentence() -> None:
    deep: Any = "a"
    for _ in range(500):
        deep = {"sample": [deep]}
    refs = shape_named("samples").split(RowRef(1, {"samples": deep}))
    assert [ref.row for ref in refs] == [Unreadable("The output nests too deep.")]


def test_one_sample_that_is_none_does_not_spoil_the_others() -> None:
    refs = shape_named("samples").split(RowRef(1, {"item": {}, "samples": ["a", None, "b"]}))
    assert [isinstance(ref.row, Unreadable) for ref in refs] == [False, True, False]


def test_samples_of_one_prompt_share_the_id_of_their_row_or_else_its_line() -> None:
    shape = shape_named("samples")
    groups = [ref.group for ref in shape.split(RowRef(4, {"id": 0, "samples": ["a", "b"]}))]
    assert groups == ["0", "0"]
    assert [ref.group for ref in shape.split(RowRef(4, {"samples": ["a", "b"]}))] == ["4", "4"]
    assert [ref.group for ref in shape.split(RowRef(4, {"model_sample": "a"}))] == [None]


def test_one_row_with_several_samples_among_the_first_makes_the_shape() -> None:
    single, several = {"item": {}, "model_sample": "a"}, {"item": {}, "model_sample": ["a", "b"]}
    assert detect([single, several]).name == "samples"
    assert detect([single]).plain
    assert not detect([single, several]).plain


def test_tool_calls_and_the_end_of_an_output_item_are_kept() -> None:
    raw = output_item(
        [message(None, tool_calls=[CALL]), message("done", tool_calls=[CALL])],
        finish_reason="length",
    )
    (ref,) = shape_named("evals").split(RowRef(1, raw))
    scope = scope_reader(None)(ref.row)
    assert scope.sample_value("output_tools") == [CALL, CALL]
    assert scope.output_text == "done"
    assert [flag.value for flag in scope.flags()] == ["truncated_observation_error"]


REASONS: list[tuple[str, str, Any, str]] = [
    (
        "a field that is not there",
        "flat",
        {"label": 1},
        "has no field `out` (its keys: label)",
    ),
    (
        "a field that is null",
        "flat",
        {"out": None},
        "must be text or an object, but it is null",
    ),
    (
        "a field with a strange object",
        "flat",
        {"out": {"x": 1}},
        "an object that holds no output (its keys: x)",
    ),
    ("no samples", "samples", {"item": {}}, "has no samples (its keys: item)"),
    ("an empty list", "samples", {"samples": []}, "The list of samples is empty"),
    (
        "two fields with samples",
        "samples",
        {"samples": ["a"], "sample": {}},
        "has both `samples` and `sample`",
    ),
    (
        "a hosted error",
        "evals",
        output_item([], error={"code": "x", "message": "boom"}),
        "no output here, but an error: boom.",
    ),
    (
        "a request that failed",
        "chat",
        batch_line(400, {"error": {"message": "too long"}}),
        "no output, but an error: too long.",
    ),
    ("no object", "chat", [1], "A row must be an object, but this is an array."),
    (
        "a line that was broken",
        "samples",
        Unreadable("The line is not JSON."),
        "The line is not JSON.",
    ),
]


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [case[1:] for case in REASONS],
    ids=[case[0] for case in REASONS],
)
def test_a_row_that_cannot_be_taken_apart_says_why(name: str, raw: Any, words: str) -> None:
    (ref,) = shape_named(name, "out" if name == "flat" else None).split(RowRef(1, raw))
    assert isinstance(ref.row, Unreadable)
    assert words in ref.row.reason


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            {"messages": [], "label": 1},
            "`messages` but no model output (its keys: messages, label)",
        ),
        (
            {"question": 1, "answer": 2},
            "neither `model_sample` nor `sample` (its keys: question, answer)",
        ),
        ({"choices": ["A", "B"], "question": 1}, "(its keys: choices, question)"),
    ],
)
def test_rows_of_no_known_shape_are_refused_with_their_keys(
    raw: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        detect([raw])
    assert words in str(refused.value)
    assert "--sample-field" in str(refused.value)
    assert "--outputs" in str(refused.value)


def test_a_shape_is_named_as_it_is_known() -> None:
    with pytest.raises(
        InvalidRequest, match="There is no shape 'table'. There are: " + ", ".join(NAMES)
    ):
        shape_named("table")
    for name, field in (("flat", None), ("rows", "out")):
        with pytest.raises(InvalidRequest, match="'flat', and no other, needs the field"):
            shape_named(name, field)


def test_a_data_set_without_a_readable_row_has_the_plain_shape() -> None:
    assert detect([]).name == "rows"
    assert detect([Unreadable("broken"), 3]).name == "rows"
