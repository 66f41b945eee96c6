"""Graders that the tests of preflight put together."""

from __future__ import annotations

from typing import Any

from tests.preflight.ask import EXACT

CLOSE = {
    "type": "text_similarity",
    "name": "close",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "evaluation_metric": "fuzzy_match",
}
HEAD = "def grade(sample, item):\n"
SAME = '    return 1.0 if sample["output_text"] == item["answer"] else 0.0\n'


def python(source: str, **keys: Any) -> dict[str, Any]:
    """A python grader."""
    return {"type": "python", "name": "python", "source": source, **keys}


def judge(*contents: Any, role: str = "user", **keys: Any) -> dict[str, Any]:
    """A score_model with a message for each content."""
    messages = [{"role": role, "content": content} for content in contents]
    return {
        "type": "score_model",
        "name": "judge",
        "model": "gpt-4o-mini",
        "input": messages
        or [{"role": "user", "content": "{{item.answer}} {{sample.output_text}}"}],
        **keys,
    }


def multi(formula: str, **parts: Any) -> dict[str, Any]:
    """A multi; parts that are not given are those whose keys it names."""
    known = {
        "exact": EXACT,
        "close": CLOSE,
        "judge": judge(range=[0.0, 10.0]),
        "code": python(HEAD + SAME),
    }
    named = {key: part for key, part in known.items() if key in formula}
    return {
        "type": "multi",
        "name": "multi",
        "graders": {**named, **parts},
        "calculate_output": formula,
    }


def job(response_format: Any = None) -> dict[str, Any]:
    """A job's request around a grader that is given apart."""
    method: dict[str, Any] = {"grader": EXACT}
    if response_format is not None:
        method["response_format"] = response_format
    return {
        "model": "o4-mini-2025-04-16",
        "training_file": "file-1",
        "validation_file": "file-2",
        "method": {"type": "reinforcement", "reinforcement": method},
    }


def json_schema(schema: Any) -> dict[str, Any]:
    """A response format with a schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }


def object_of(
    properties: dict[str, Any], *, required: list[str] | None = None, closed: bool = True
) -> dict[str, Any]:
    """The schema of an object."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        **({"additionalProperties": False} if closed else {}),
    }
