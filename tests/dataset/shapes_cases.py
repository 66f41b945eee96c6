"""Rows of each shape, with the item and the texts that they hold."""

from __future__ import annotations

from typing import Any

ITEM = {"label": "cat"}
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def message(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text} | more


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


def exported(outputs: Any, **more: Any) -> dict[str, Any]:
    """A line of the file that the evals dashboard exports."""
    return {
        "run_id": "evalrun_1",
        "data_source_idx": 0,
        "item": ITEM,
        "sample": {
            "trajectory": [],
            "outputs": outputs,
            "finish_reason": "stop",
            "sampled_model_name": "m",
            "sampled_model_params": {},
            "token_usage": {},
            **more,
        },
        "grades": {"exact": 1.0},
        "grader_samples": {},
        "passes": {"exact": True},
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
    ("an exported line", "evals", exported([message("a")]), ITEM, ["a"]),
    (
        "the last message of an exported line",
        "evals",
        exported([message("a"), message("b")]),
        ITEM,
        ["b"],
    ),
    ("an exported line without output", "evals", exported([]), ITEM, [""]),
    (
        "an exported line without a sample",
        "evals",
        {**exported([]), "sample": None},
        ITEM,
        [""],
    ),
    (
        "an exported line with a trajectory",
        "evals",
        exported([], trajectory=[{"role": "user", "content": "q"}, message("a")]),
        ITEM,
        ["a"],
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
