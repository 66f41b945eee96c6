"""Grades with a real model whose weights are random: every row must end in an honest flag, and be counted.

Usage: python -m tests.judges.real_model.check BASE_URL MODEL
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import click

from tests.judges.rows import LABEL, SCORE

ROWS = 10
HONEST = {"model_grader_parse_error", "model_grader_exceeded_max_tokens_error"}
LONG = {"max_completions_tokens": 64, "temperature": 1.0, "top_p": 0.9, "seed": 1}
GRADERS: dict[str, dict[str, Any]] = {
    "score_model": {**SCORE, "sampling_params": LONG},
    "score_model of two tokens": {**SCORE, "sampling_params": {"max_completions_tokens": 2}},
    "label_model": {**LABEL, "sampling_params": LONG},
    "both in a multi": {
        "type": "multi",
        "graders": {
            "score": {**SCORE, "sampling_params": LONG},
            "tone": {**LABEL, "sampling_params": LONG},
        },
        "calculate_output": "score + tone",
    },
}
ENDPOINTS = {
    "chat": 'api = "chat"',
    "chat without a schema": 'api = "chat"\nstructured = "text"',
    "responses": 'api = "responses"',
}


def results_of(grader: dict[str, Any], config: Path, model: str, folder: Path) -> list[Any]:
    """The result lines of `graders score`, which must come to its end."""
    out = folder / "out.jsonl"
    arguments = ["--grader", json.dumps(grader), "--data", str(folder / "data.jsonl"),
                 "--out", str(out), "--config", str(config), "--judge-model", model,
                 "--overwrite", "--no-cache", "--concurrency", "4"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "graders_engine", "score", *arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    click.echo(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"graders score ended with exit code {done.returncode}")
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def complaints(results: list[Any]) -> list[str]:
    """What is wrong with the results: an outage, a reward out of nothing, or tokens that are not counted."""
    wrong = [] if len(results) == ROWS else [f"{len(results)} results for {ROWS} rows"]
    for result in results:
        line = f"line {result['line']}: "
        if result["status"] == "failed" or not set(result["flags"]) <= HONEST:
            wrong.append(f"{line}{result['status']}, {result['flags']}")
        if result["status"] == "scored":
            wrong.append(f"{line}a reward of {result['reward']} from a model that knows no words")
        if result["status"] == "invalid" and result["reward"] not in (None, 0.0):
            wrong.append(f"{line}invalid, with a reward of {result['reward']}")
        if not sum(used["completion_tokens"] for used in result.get("usage", {}).values()):
            wrong.append(f"{line}no tokens counted")
    return wrong


def main(base_url: str, model: str) -> None:
    wrong = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows = [{"item": {}, "model_sample": f"answer {number}"} for number in range(ROWS)]
        (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for endpoint, settings in ENDPOINTS.items():
            config = folder / "graders.toml"
            config.write_text(f'[endpoints.default]\nbase_url = "{base_url}"\n{settings}\n')
            for kind, grader in GRADERS.items():
                results = results_of(grader, config, model, folder)
                flags = Counter(flag for result in results for flag in result["flags"])
                used = [used for one in results for used in one.get("usage", {}).values()]
                tokens = sum(each["total_tokens"] for each in used)
                click.echo(f"== {kind} by {endpoint}: {dict(flags)}, {tokens} tokens\n")
                wrong += [f"{kind} by {endpoint}: {each}" for each in complaints(results)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    click.echo("Every row ended in an honest flag, and its tokens are counted.")


if __name__ == "__main__":
    main(*sys.argv[1:])
