"""Runs to report on: one with hostile texts, which is really scored, and a large one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from graders_engine import Engine
from graders_engine.dataset.results.digest import digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.scoring.score import score_file
from graders_engine.outcome import Usage
from graders_engine.report.numbers import Numbers, numbers_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts, texts_of

HOSTILE = [
    "</script><script>document.title = 'taken'</script>",
    '"><img src=https://example.org/x.png onerror="document.title=1">',
    "<style>@import url(https://example.org/x.css)</style>",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f c1 \x9b",
    "left to right \u202egnihtyreve\u202c isolate \u2066 mark \u200e",
    "half a character \ud800 and another \udfff",
    "separators \u2028 \u2029 \x85 zero width \u200b \ufeff tag \U000e0041",
    "&amp; ]]> <!-- --> ${style} $script {{item.x}} %s",
    "a\r\nb\tc",
    "x" * 5000,
]
GRADER = {
    "type": "multi",
    "name": "names </title><script>1</script> \u202e",
    "graders": {
        "same": {
            "type": "string_check",
            "operation": "eq",
            "input": "{{sample.output_text}}",
            "reference": "{{item.text}}",
        },
        "<b>near": {
            "type": "text_similarity",
            "evaluation_metric": "fuzzy_match",
            "input": "{{sample.output_text}}",
            "reference": "{{item.text}}",
        },
        "given": {
            "type": "string_check",
            "operation": "eq",
            "input": "{{item.given}}",
            "reference": "yes",
        },
    },
    "calculate_output": "same",
}


class Run(NamedTuple):
    """A run, read for its report."""

    results: Path
    numbers: Numbers
    provenance: Provenance
    texts: RowTexts


def read(results: Path, data: Path | None = None) -> Run:
    meta = read_meta(results)
    numbers = numbers_of(digest(results), meta)
    rows = numbers.digest
    texts = texts_of(rows.extremes(), meta, data, others=rows.drawn.rows())
    return Run(results, numbers, Provenance(results, meta), texts)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Texts that look like markup or hide characters, as items and as samples, with and without a reward."""
    folder = tmp_path_factory.mktemp("hostile")
    grader: dict[str, Any] = json.loads(json.dumps(GRADER))
    rows = []
    for number, text in enumerate(HOSTILE):
        item = {"given": "yes", "text": text if number % 2 else "other", text: [text]}
        rows.append({"item": item, "model_sample": text})
        rows.append({"item": {text: 1}, "model_sample": text})
    data, results = folder / "rows.jsonl", folder / "results.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{torn\n", encoding="utf-8")
    with Engine() as engine:
        score_file(engine, grader, data, results)
    return read(results)


LARGE_ROWS = 100_000
PRICES = {"judge": {"input": 0.25, "cached_input": 0.025, "output": 2.0}}


def write_large(folder: Path, rows: int = LARGE_ROWS) -> Path:
    """Results of a judged run with four samples per prompt, and their data set."""
    chance = random.Random(7)  # noqa: S311 - made-up rewards, not a secret
    results, data = folder / "results.jsonl", folder / "rows.jsonl"
    usage = {"judge-2026-01-31": Usage(420, 520, 100, 128)}
    with results.open("wb") as out, data.open("w", encoding="utf-8") as prompts:
        for number in range(rows):
            line, sample = number // 4 + 1, number % 4 + 1
            group, seconds, outcome = f"prompt-{line}", 0.2 + chance.random(), chance.random()
            if outcome < 0.02:
                flags = {"model_grader_server_error": "the judge answered 503 after 5 tries"}
                result = ResultLine(
                    line, None, "failed", {"facts": None}, flags, seconds, "infrastructure",
                    sample=sample, group=group,
                )  # fmt: skip
            else:
                facts, form = round(chance.random(), 3), float(chance.random() < 0.9)
                result = ResultLine(
                    line, facts * form, "scored", {"facts": facts, "form": form}, {}, seconds,
                    sample=sample, group=group, usage=usage,
                    repeats={"facts": [facts, facts, round(facts + chance.choice([0, 0.1]), 3)]},
                )  # fmt: skip
            out.write(msgspec.json.encode(result) + b"\n")
            if sample == 1:
                text = f"answer to {line}: <b>{'lorem & ipsum ' * 30}</b>"
                row = {"item": {"id": group, "question": "why? " * 40}, "samples": [text] * 4}
                prompts.write(json.dumps(row) + "\n")
    meta = {
        "engine": "0.1.0",
        "grader": {"type": "multi", "name": "essays", "calculate_output": "facts * form"},
        "data": {"path": str(data), "form": "jsonl", "size": data.stat().st_size},
        "settings": {"shape": "samples", "prices": PRICES},
    }
    results.with_name("results.jsonl.meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return results


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(write_large(tmp_path_factory.mktemp("large")))
