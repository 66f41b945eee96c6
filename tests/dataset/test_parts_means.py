"""The mean of a part counts what the model is to blame for as 0, and leaves out what others are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from tests.dataset.files import write_rows

MULTI: dict[str, Any] = {
    "type": "multi",
    "name": "several",
    "graders": {
        name: {
            "type": "string_check", "name": name, "operation": "eq",
            "input": f"{{{{{path}}}}}", "reference": "yes",
        }
        for name, path in (
            ("in_json", "sample.output_json.a"), ("in_row", "item.said"), ("text", "sample.output_text")
        )
    },
    "calculate_output": "(in_json + in_row + text) / 3",
}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"item": {"said": "yes"}, "model_sample": '{"a": "yes"}'},
    {"item": {"said": "yes"}, "model_sample": '{"a": "yes"}'},
    {"item": {"said": "yes"}, "model_sample": "no JSON"},
    {"item": {}, "model_sample": "no JSON"},
]
MEANS = {"in_json": (0.5, 4), "in_row": (1.0, 3), "text": (0.0, 4)}


def printed(*arguments: object) -> dict[str, Any]:
    ended = CliRunner().invoke(cli.graders, list(map(str, arguments)))
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    data, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "results.jsonl"
    scored = printed("score", "--grader", json.dumps(MULTI), "--data", data, "--out", out, "--json")
    assert means(scored["sub_rewards"]) == MEANS
    return out


def means(parts: dict[str, Any]) -> dict[str, tuple[float, int]]:
    return {key: (part["value"], part["rows"]) for key, part in parts.items()}


def test_a_malformed_answer_counts_as_0_in_the_means_of_the_parts_that_cannot_read_it(
    results: Path,
) -> None:
    assert means(printed("report", results, "--json")["sub_rewards"]) == MEANS
    parts = printed("compare", results, results, "--json")["sub_rewards"]
    assert means({key: part["before"] for key, part in parts.items()}) == MEANS
    assert means({key: part["difference"] for key, part in parts.items()}) == {
        "in_json": (0.0, 4), "in_row": (0.0, 3), "text": (0.0, 4)
    }  # fmt: skip


def test_a_report_says_what_a_failed_part_counts_as(results: Path) -> None:
    shown = CliRunner().invoke(cli.graders, ["report", str(results), "--no-html"]).stdout
    assert "sub-rewards, mean over the rows that count in each, 95 % interval\n" in shown
    assert "  a part that fails by the sample or the grader counts as 0\n" in shown


def test_one_malformed_answer_is_no_correlation_of_the_parts(tmp_path: Path) -> None:
    said = [("yes", "no"), ("no", "yes"), ("yes", "no"), ("no", "yes")]
    parts = {
        name: {
            **MULTI["graders"]["in_json"],
            "name": name,
            "input": f"{{{{sample.output_json.{name}}}}}",
        }
        for name in ("a", "b")
    }
    grader = {**MULTI, "graders": parts, "calculate_output": "a + b"}
    rows = [{"item": {}, "model_sample": json.dumps({"a": a, "b": b})} for a, b in said]
    rows += [{"item": {}, "model_sample": "no JSON"}] * 4
    data, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "results.jsonl"
    printed("score", "--grader", json.dumps(grader), "--data", data, "--out", out, "--json")
    assert printed("report", out, "--json")["correlations"]["a"]["b"] == pytest.approx(-1)
