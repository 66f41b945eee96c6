"""The OpenAI cookbook's scripts for extraction, tools and images, by their shapes, against this server.

Only addresses and data differ from a script for the hosted evals.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.evals.cookbook import (
    STRONG,
    Place,
    content,
    counts,
    items_of,
    message,
    poll_runs,
    scores,
    template,
)
from tests.evals.cookbook_models import JUDGE, WEAK, conversation

CODES = [
    "def area(radius):\n    return 3.14 * radius**2\n\n\nclass Circle:\n    pass\n",
    "def one(): ...\ndef two(): ...\ndef three(): ...\n",
]
RUBRIC = "You grade what was extracted from a code file, on a scale of 1 to 7."


def code_eval(evals: Any, extracted: str, threshold: float) -> Any:
    """The eval of both scripts that extract symbols; they differ in where these are in the answer."""
    user = (
        f"<Code File>\n{{{{item.input}}}}\n</Code File>\n\n<Extracted Information>\n{extracted}\n"
    )
    return evals.create(
        name="Code QA Eval",
        data_source_config={
            "type": "custom",
            "item_schema": {"type": "object", "properties": {"input": {"type": "string"}}},
            "include_sample_schema": True,
        },
        testing_criteria=[
            {
                "type": "score_model",
                "name": "General Evaluator",
                "model": JUDGE,
                "input": [
                    {"role": "system", "content": RUBRIC},
                    {"role": "user", "content": user},
                ],
                "range": [1, 7],
                "pass_threshold": threshold,
            }
        ],
    )


def code_run(
    evals: Any, eval_id: str, kind: str, model: str, codes: list[str], **params: Any
) -> Any:
    return evals.runs.create(
        name=model,
        eval_id=eval_id,
        data_source={
            "type": kind,
            "source": content([{"input": code} for code in codes]),
            "input_messages": template(
                message("system", "You are a helpful assistant."),
                message("user", "Extract the symbols from the code file {{item.input}}"),
            ),
            "model": model,
            "sampling_params": {
                "seed": 42,
                "temperature": 0.7,
                "max_completions_tokens": 10000,
                "top_p": 0.9,
                **params,
            },
        },
    )


SYMBOLS = {
    "type": "object",
    "properties": {
        "symbols": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "symbol_type": {"type": "string"},
                },
                "required": ["name", "symbol_type"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["symbols"],
    "additionalProperties": False,
}


def test_structured_outputs_of_both_apis_are_graded(place: Place) -> None:
    evals = place.evals
    made = code_eval(evals, "{{sample.output_json.symbols}}", 5.5)
    named = {"name": "python_symbols", "schema": SYMBOLS, "strict": True}
    wanted = {"type": "json_schema", "json_schema": named}
    first = code_run(evals, made.id, "completions", STRONG, CODES, response_format=wanted)
    text = {"format": {"type": "json_schema", **named}}
    second = code_run(evals, made.id, "responses", WEAK, CODES, text=text)
    strong, weak = poll_runs(evals, made.id, first.id, second.id)
    assert counts(strong) == ("completed", 2, 0, 0)
    assert counts(weak) == ("completed", 1, 1, 0)
    assert scores(items_of(evals, strong)) == [7, 7]
    found = items_of(evals, weak)
    assert scores(found) == [4, 7]
    assert json.loads(found[0].sample.output[0].content) == {
        "symbols": [{"name": "area", "symbol_type": "function"}]
    }
    # What a script prints of the judge: its words, in the result of the criterion.
    judged = found[0].results[0].sample["output"][0]["content"]
    assert json.loads(judged)["result"] == 4
    (criterion,) = weak.per_testing_criteria_results
    assert (criterion.passed, criterion.failed) == (1, 1)
    used = {one.model_name: one.invocation_count for one in weak.per_model_usage}
    assert used == {WEAK: 2, "o3": 2}

    chat, responses = place.asked(STRONG)[0], place.asked(WEAK)[0]
    assert (chat.path, responses.path) == ("/v1/chat/completions", "/v1/responses")
    assert chat.body["response_format"] == wanted
    assert (chat.body["seed"], chat.body["max_completion_tokens"]) == (42, 10000)
    assert responses.body["text"]["format"] == text["format"]
    assert responses.body["max_output_tokens"] == 10000
    for body in (chat.body, responses.body):
        assert (body["temperature"], body["top_p"]) == (0.7, 0.9)
        assert [role for role, _ in conversation(body)] == ["system", "user"]


def test_sentiments_in_a_file_meet_criteria_of_every_type(place: Place, tmp_path: Path) -> None:
    dataset = [
        {"text": "I love this product!", "language": "en", "label": "positive"},
        {"text": "This is the worst that I have bought.", "language": "en", "label": "negative"},
        {"text": "总体来说我对这款产品很满意", "language": "zh", "label": "positive"},
        {"text": "¡Me encanta, de verdad!", "language": "es", "label": "negative"},
    ]
    path = tmp_path / "sentiments.jsonl"
    path.write_text("".join(json.dumps({"item": item}) + "\n" for item in dataset), "utf-8")
    with path.open("rb") as opened:
        file = place.files.create(file=opened, purpose="evals")
    properties = {key: {"type": "string"} for key in ("text", "language", "label")}
    right = "def grade(sample, item):\n    found = sample['output_json']['sentiment']\n"
    made = place.evals.create(
        name="sentiment_extraction_eval",
        data_source_config={
            "type": "custom",
            "item_schema": {"type": "object", "properties": properties, "required": ["text"]},
            "include_sample_schema": True,
        },
        testing_criteria=[
            {
                "type": "score_model",
                "name": "Sentiment Grader",
                "model": JUDGE,
                "input": [
                    {"role": "system", "content": "Score correctness on a 1-5 scale."},
                    {
                        "role": "user",
                        "content": "Text: {{item.text}}\nModel output:\n{{sample.output_json}}\n",
                    },
                ],
                "range": [1, 5],
                "pass_threshold": 3.5,
            },
            {
                "type": "string_check",
                "name": "Exact label",
                "input": "{{sample.output_json.sentiment}}",
                "reference": "{{item.label}}",
                "operation": "eq",
            },
            {
                "type": "text_similarity",
                "name": "Near label",
                "input": "{{sample.output_json.sentiment}}",
                "reference": "{{item.label}}",
                "evaluation_metric": "fuzzy_match",
                "pass_threshold": 0.9,
            },
            {
                "type": "python",
                "name": "Sure",
                "image_tag": "2025-05-08",
                "pass_threshold": 1.0,
                "source": f"{right}    return 1.0 if found == item['label'] else 0.0\n",
            },
        ],
    )
    sentiment_schema = {
        "type": "object",
        "properties": {
            "sentiment": {"type": "string", "description": "positive / negative"},
            "confidence": {"type": "number"},
            "emotions": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["sentiment", "confidence", "emotions"],
        "additionalProperties": False,
    }
    chosen = {"type": "json_schema", "name": "sentiment_output", "schema": sentiment_schema}
    run = place.evals.runs.create(
        name="gpt-4.1-sentiment",
        eval_id=made.id,
        data_source={
            "type": "responses",
            "source": {"type": "file_id", "id": file.id},
            "input_messages": template(
                message("system", "You are a helpful assistant."), message("user", "{{item.text}}")
            ),
            "model": WEAK,
            "sampling_params": {
                "max_completions_tokens": 100,
                "text": {"format": {**chosen, "strict": True}},
            },
        },
    )
    (done,) = poll_runs(place.evals, made.id, run.id)
    assert counts(done) == ("completed", 3, 1, 0)
    assert [(one.passed, one.failed) for one in done.per_testing_criteria_results] == [
        (4, 0),
        (3, 1),
        (3, 1),
        (3, 1),
    ]
    items = items_of(place.evals, done)
    assert [item.datasource_item for item in items] == dataset
    assert [item.status for item in items] == ["pass", "pass", "pass", "fail"]
    last = {result.name[:-37]: result.passed for result in items[3].results}
    assert last == {
        "Sentiment Grader": True,
        "Exact label": False,
        "Near label": False,
        "Sure": False,
    }
    failed = place.evals.runs.output_items.list(run_id=run.id, eval_id=made.id, status="fail")
    assert [item.id for item in failed] == [items[3].id]


TOOL = {
    "name": "extract_symbols",
    "description": "Extract the symbols from the code file",
    "parameters": SYMBOLS,
}


def test_tool_calls_of_both_apis_are_graded(place: Place) -> None:
    evals = place.evals
    made = code_eval(evals, "{{sample.output_tools[0].function.arguments.symbols}}", 5.0)
    codes = [*CODES, "class Circle: ...\n"]
    tools: list[dict[str, Any]] = [{"type": "function", "function": TOOL}]
    first = code_run(evals, made.id, "completions", STRONG, codes, tools=tools)
    second = code_run(
        evals, made.id, "responses", WEAK, codes, tools=[{"type": "function", **TOOL}]
    )
    strong, weak = poll_runs(evals, made.id, first.id, second.id)
    assert counts(strong) == ("completed", 3, 0, 0)
    # The weak model sees no class, so it calls no function for the last file.
    assert counts(weak) == ("completed", 1, 2, 0)
    assert scores(items_of(evals, strong)) == [7, 7, 7]
    found = items_of(evals, weak)
    assert scores(found)[:2] == [4, 7]
    assert found[2].results[0].passed is False
    assert found[2].sample.output[0].content == "There are no symbols."
    for items in (items_of(evals, strong), found):
        # As the script reads what was called with.
        call = items[0].sample.output[0].tool_calls[0]
        assert call["function"]["name"] == "extract_symbols"
        assert "area" in json.loads(call["function"]["arguments"])["symbols"][0]["name"]
    assert place.asked(STRONG)[0].body["tools"] == tools
    (sent,) = place.asked(WEAK)[0].body["tools"]
    assert {key: sent[key] for key in ("type", *TOOL)} == {"type": "function", **TOOL}
