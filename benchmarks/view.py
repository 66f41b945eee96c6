"""The page on a run of 1,000,000 rows: first open, open again, filter, sort, page, search, memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

PROMPTS, SAMPLES = 250_000, 4
SYLLABLES = [
    *("ba", "be", "bi", "bo", "da", "de", "di", "do", "fa", "la", "le", "li", "lo"),
    *("ma", "me", "mi", "ra", "re", "ri", "ro", "sa", "se", "ta", "te", "ti", "va", "ve"),
]
GRADER = {
    "type": "multi",
    "name": "invoices",
    "graders": {
        key: {
            "type": "string_check",
            "name": key,
            "operation": "eq",
            "input": f"{{{{sample.output_json.{key}}}}}",
            "reference": f"{{{{item.{key}}}}}",
        }
        for key in ("vendor", "date", "currency", "total")
    },
    "calculate_output": "0.4 * vendor + 0.2 * date + 0.1 * currency + 0.3 * total",
}


def words(drawn: random.Random, count: int) -> str:
    return " ".join("".join(drawn.choices(SYLLABLES, k=2)) for _ in range(count))


def invoice(drawn: random.Random) -> dict[str, object]:
    return {
        "vendor": words(drawn, 2).title(),
        "date": f"20{drawn.randrange(19, 27)}-{drawn.randrange(1, 13):02}-{drawn.randrange(1, 29):02}",
        "currency": drawn.choice(("EUR", "USD", "CHF")),
        "total": round(drawn.uniform(10, 9999), 2),
    }


def sample(drawn: random.Random, truth: dict[str, object]) -> str:
    if drawn.random() < 0.136:
        return f"The vendor is {truth['vendor']}, I think; {words(drawn, 8)}"
    wrong = {key: value for key, value in invoice(drawn).items() if drawn.random() < 0.2}
    return json.dumps({**truth, **wrong, "notes": words(drawn, 6)})


def make(folder: Path, prompts: int = PROMPTS) -> Path:
    """A data set and its results, as `graders score` makes them."""
    drawn = random.Random(18)  # noqa: S311 - no secret
    data, results = folder / "data.jsonl", folder / "results.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for number in range(prompts):
            truth = invoice(drawn)
            item = {"id": f"inv-{number}", "text": words(drawn, 40), **truth}
            samples = [sample(drawn, truth) for _ in range(SAMPLES)]
            file.write(json.dumps({"item": item, "samples": samples}) + "\n")
    grader = folder / "grader.json"
    grader.write_text(json.dumps(GRADER), encoding="utf-8")
    command = ["score", str(grader), "--data", str(data), "--out", str(results), "--quiet"]
    subprocess.run([sys.executable, "-m", "graders_engine", *command], check=True)
    return results
