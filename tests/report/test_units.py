"""Rows are called samples wherever several of them belong to one prompt, and rows elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli

GRADER = {
    "type": "multi",
    "graders": {
        "a": {
            "type": "text_similarity",
            "evaluation_metric": "fuzzy_match",
            "input": "{{sample.output_text}}",
            "reference": "{{item.n}}",
        }
    },
    "calculate_output": "1 / a",
}


def graders(*arguments: object) -> str:
    ended = CliRunner().invoke(cli.graders, list(map(str, arguments)))
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.fixture(scope="module", params=["rows", "samples"])
def unit_and_text(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[str, str]:
    """Two runs, one better than the other: all that is said of them, and of their difference."""
    folder: Path = tmp_path_factory.mktemp("units")
    said = []
    for run, texts in (("a", ["0", "x", "1", "10"]), ("b", ["10", "x", "1", "100"])):
        rows: list[Any] = [
            {"item": {"n": n % 2}, "model_sample": text} for n, text in enumerate(texts)
        ]
        if request.param == "samples":
            rows = [
                {"item": {"n": 0}, "samples": texts[:2]},
                {"item": {"n": 1}, "samples": texts[2:]},
            ]
        (folder / f"{run}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out, page = folder / f"{run}.out.jsonl", folder / f"{run}.html"
        arguments = ("--data", folder / f"{run}.jsonl", "--out", out, "--max-invalid", "100%")
        said.append(graders("score", "--grader", json.dumps(GRADER), *arguments))
        said += [graders("report", out, "--out", page), page.read_text()]
    page = folder / "compared.html"
    outs = (folder / "a.out.jsonl", folder / "b.out.jsonl")
    said += [graders("compare", *outs, "--out", page, "--force"), page.read_text()]
    return str(request.param), "\n".join(said)


def test_counts_have_one_unit_everywhere(unit_and_text: tuple[str, str]) -> None:
    unit, text = unit_and_text
    shown = re.sub(r"<(style|script).*?</\1>|<[^>]*>", "", text, flags=re.DOTALL)
    other = "samples?" if unit == "rows" else "rows?"
    assert not re.findall(rf".*[0-9] (?:{other})\b.*", shown)
    assert re.search(rf"[0-9] {unit}\b", shown)


def test_what_is_said_before_the_mean_has_that_unit(unit_and_text: tuple[str, str]) -> None:
    unit, text = unit_and_text
    assert text.count(f"of 4 {unit} have no complete grade because of the grader") >= 4
