"""Formulas: the cost of a usual one per row, and the time of the slowest hostile one; best of three."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from graders_engine.errors import FormulaFailure
from graders_engine.language.formula import Formula
from graders_engine.language.span import SourceError

CASES = Path(__file__).parent.parent / "tests" / "compliance" / "formulas.json"
HOSTILE = [
    "9^9^9^9", "9^" * 200 + "9", "4000000^4000000", "10^3999999", "-" * 9_999 + "1", "1+" * 4_999 + "1",
    "(" * 9_999, "max(" * 2_000 + "1", "1" * 9_999, "." * 9_999, "a" * 9_999, "1e308*" * 100 + "1",
    "exp(" * 100 + "1" + ")" * 100, "min(" + "1," * 400 + "1)", " " * 9_999 + "1", "1e" + "9" * 9_000,
]  # fmt: skip


def milliseconds(source: str, values: dict[str, float]) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        with contextlib.suppress(SourceError, FormulaFailure):
            Formula.compile(source, values).evaluate(values)
        best = min(best, 1000 * (time.perf_counter() - began))
    return best


def expand(formula: Any) -> str:
    if isinstance(formula, str):
        return formula
    return str(
        formula.get("first", "") + formula["repeat"] * formula["times"] + formula.get("then", "")
    )


def measurements() -> Iterator[Measurement]:
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    refused = [case for case in cases if "result" not in case]
    times = [milliseconds(expand(case["formula"]), case.get("values", {})) for case in refused]
    times += [milliseconds(source, {"a": 1.0}) for source in HOSTILE]
    yield Measurement(f"slowest of {len(times)} hostile formulas", max(times), "ms", bar=20)
    formula = Formula.compile("(name + email) / 2", ["name", "email"])
    values = {"name": 0.5, "email": 1.0}
    began = time.perf_counter()
    for _ in range(100_000):
        formula.evaluate(values)
    yield Measurement("(name + email) / 2, compiled", 10 * (time.perf_counter() - began), "us")
