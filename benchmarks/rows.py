"""One process, a compiled grader, rows in memory: the time from a row to its outcome, best of five."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.measurement import Measurement
from graders_engine import Engine

ROWS = 50_000
TIMES = 5
CHECK: dict[str, Any] = {
    "type": "string_check",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
NAME_EMAIL: dict[str, Any] = {
    "type": "multi",
    "graders": {
        "name": {
            "type": "text_similarity",
            "input": "{{sample.output_json.name}}",
            "reference": "{{item.name}}",
            "evaluation_metric": "fuzzy_match",
        },
        "email": {
            "type": "string_check",
            "input": "{{sample.output_json.email}}",
            "reference": "{{item.email}}",
            "operation": "eq",
        },
    },
    "calculate_output": "(name + email) / 2",
}


def us_per_row(engine: Engine, grader: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    compiled = engine.compile(grader)
    best = float("inf")
    for _ in range(TIMES):
        began = time.perf_counter()
        for _graded in engine.score(compiled, rows):
            pass
        best = min(best, time.perf_counter() - began)
    return 1e6 * best / len(rows)


def compile_us(engine: Engine, grader: dict[str, Any]) -> float:
    engine.compile(grader)
    best = float("inf")
    for _ in range(200):
        began = time.perf_counter()
        engine.compile(grader).require_runnable()
        best = min(best, time.perf_counter() - began)
    return 1e6 * best


def measurements() -> Iterator[Measurement]:
    cats = [{"item": {"label": f"cat{n % 7}"}, "model_sample": "cat1"} for n in range(ROWS)]
    people = [
        {
            "item": {"name": f"John Smith {n % 7}", "email": "john@example.org"},
            "model_sample": '{"name": "Jon Smith", "email": "john@example.org"}',
        }
        for n in range(ROWS)
    ]
    with Engine() as engine:
        yield Measurement(
            "string_check through engine.score", us_per_row(engine, CHECK, cats), "us/row", bar=12
        )
        time_us = us_per_row(engine, NAME_EMAIL, people)
        yield Measurement("name/email multi through engine.score", time_us, "us/row", bar=45)
        yield Measurement("compile a string_check", compile_us(engine, CHECK), "us")
        yield Measurement("compile the name/email multi", compile_us(engine, NAME_EMAIL), "us")
