"""One process, a compiled grader, rows in memory: the time from a row to its outcome, best of five.

Rows of rouge_l are compared with the Python metric alone on the same texts, in turns. When rows had no other
metric, and cost 2.2 us beside it, it took two thirds of a row of 20 tokens and nearly all of one of 200.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.measurement import Measurement
from benchmarks.metrics_texts import Texts
from graders_engine import Engine, metrics
from graders_engine.metrics import core

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


ROUGE_L: dict[str, Any] = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference}}",
    "evaluation_metric": "rouge_l",
}
ROUGE_BARS = {20: 1.45, 200: 3.7}
"""For texts of so many tokens: 2.2 and 4 times faster than rows were with the Python metric."""


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


def rouge(engine: Engine, tokens: int) -> Iterator[Measurement]:
    """Rows in an iterator and in a list; only those in a list are compared on all processors."""
    source = Texts(seed=7)
    pairs = [source.pair(tokens) for _ in range(200_000 // tokens)]
    rows = [
        {"item": {"reference": reference}, "model_sample": answer} for answer, reference in pairs
    ]
    python, compiled = metrics.load_pure("rouge_l"), engine.compile(ROUGE_L)
    alone, one_by_one, together = [], [], []
    for _ in range(TIMES):
        began = time.perf_counter()
        for answer, reference in pairs:
            python(answer, reference)
        alone.append(time.perf_counter() - began)
        began = time.perf_counter()
        for _graded in engine.score(compiled, iter(rows)):
            pass
        one_by_one.append(time.perf_counter() - began)
        began = time.perf_counter()
        for _graded in engine.score(compiled, rows):
            pass
        together.append(time.perf_counter() - began)
    what = f"rouge_l of {tokens} tokens"
    bar = ROUGE_BARS[tokens] if core.ACTIVE == "compiled" else None
    yield Measurement(f"{what} through engine.score", 1e6 * min(one_by_one) / len(rows), "us/row")
    speed = min(alone) / min(one_by_one)
    yield Measurement("the Python metric alone, over that", speed, "x", bar, at_least=True)
    yield Measurement("rows in a list, over that", min(together) / min(one_by_one), "x")


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
            "string_check through engine.score", us_per_row(engine, CHECK, cats), "us/row", bar=5
        )
        time_us = us_per_row(engine, NAME_EMAIL, people)
        yield Measurement("name/email multi through engine.score", time_us, "us/row", bar=30)
        for tokens in ROUGE_BARS:
            yield from rouge(engine, tokens)
        yield Measurement("compile a string_check", compile_us(engine, CHECK), "us")
        yield Measurement("compile the name/email multi", compile_us(engine, NAME_EMAIL), "us")
