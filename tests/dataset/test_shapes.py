"""A raw row of any shape becomes rows to grade, and what has no shape says which keys it has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine import Engine
from graders_engine.compiled import Unreadable, scope_reader
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import NAMES, detect, shape_named
from graders_engine.errors import InvalidRequest, InvalidRow
from tests.dataset.shapes_cases import (
    CALL,
    SHAPES,
    batch_line,
    exported,
    message,
    output_item,
)

CHECK = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}


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
    absent = texts == [""]
    read = scope_reader(None, lambda: not absent)
    scopes = [read(ref.row) for ref in shape.split(RowRef(4, raw))]
    assert [scope.absent for scope in scopes] == [absent] * len(scopes)
    if field:  # it is in the item, too, with this sample
        kept = [scope.item.pop(field) for scope in scopes]
        assert kept == ([raw[field]] if len(texts) == 1 else kept)
    assert [scope.item for scope in scopes] == [item] * len(texts)
    assert [scope.output_text for scope in scopes] == texts
    assert_numbered(shape.split(RowRef(4, raw)))


def assert_numbered(refs: Sequence[RowRef]) -> None:
    """The samples of a list are numbered from 1; a sample that is in no list has no number."""
    listed = refs[0].group is not None
    assert [ref.sample for ref in refs] == (list(range(1, len(refs) + 1)) if listed else [0])


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


@settings(max_examples=400)
@given(ROWS, st.sampled_from(NAMES))
def test_no_row_breaks_a_shape(raw: Any, name: str) -> None:
    with suppress(InvalidRequest):
        assert detect([raw]).name in NAMES
    refs = shape_named(name, "out" if name == "flat" else None).split(RowRef(1, raw))
    assert_numbered(refs)
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
    "raw",
    [
        output_item([], error={"code": "server_error", "message": "boom"}),
        exported([], error={"code": "server_error", "message": "boom"}),
        exported([], error="boom"),
        exported([message("")], error={"message": "boom", "type": "invalid_request_error"}),
        exported([], error="boom", trajectory=[message("asked", role="user")]),
        exported([], error="boom", trajectory=[message("earlier"), message("asked", role="user")]),
        output_item([message("")], error={"message": "boom"}),
        {**exported([]), "sample": None, "grades": {}, "error": "boom"},
    ],
)
def test_a_hosted_row_with_an_error_and_no_output_is_failed_and_no_zero(
    raw: dict[str, Any],
) -> None:
    shape = detect([raw])
    assert shape.name == "evals"
    (ref,) = shape.split(RowRef(1, raw))
    with Engine() as engine:
        (graded,) = engine.score(CHECK, [ref.row])
    assert (graded.status, graded.blame, graded.served) == ("failed", "infrastructure", None)
    assert graded.flags == {"other_error": "The hosted run has no output here, but an error: boom."}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            {"messages": [], "label": 1},
            "`messages` but no model output (their keys: messages, label)",
        ),
        (
            {"question": 1, "answer": 2},
            "neither `model_sample` nor `sample` (their keys: question, answer)",
        ),
        ({"choices": ["A", "B"], "question": 1}, "(their keys: choices, question)"),
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
