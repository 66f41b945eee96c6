"""Samples that have no partner of their own are compared by the means of their prompts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import write_rows

SAID = "each prompt counts once, by the mean of its samples: {} in A, {} in B"


def graders(*arguments: object) -> Result:
    return CliRunner().invoke(cli.graders, list(map(str, arguments)))


def compared(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(graders("compare", *arguments, "--json").stdout)
    return found


class Runs:
    """Scores samples of prompts, each of which is right ("x") or wrong ("y")."""

    def __init__(self, folder: Path, engine: Engine, grader: dict[str, Any]) -> None:
        self._folder, self._engine, self._grader = folder, engine, grader

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"

    def lists(self, name: str, samples: list[str]) -> Path:
        rows: list[Any] = [
            {"item": {"id": number, "label": "x"}, "samples": list(texts)}
            for number, texts in enumerate(samples)
        ]
        return self.score(name, rows)

    def score(self, name: str, rows: list[Any], **reading: Any) -> Path:
        out = self.path(name)
        data = write_rows(self.path(f"{name}.rows"), rows)
        score_file(self._engine, self._grader, data, out, **reading)
        return out


@pytest.fixture
def runs(engine: Engine, string_check: dict[str, Any], tmp_path: Path) -> Runs:
    return Runs(tmp_path, engine, string_check)


def test_other_numbers_of_samples_drop_none_and_a_worse_run_is_a_miss(runs: Runs) -> None:
    four = runs.lists("four", ["xyxx"] * 20)
    two = runs.lists("two", ["xy"] * 20)
    found = compared(four, two)
    assert found["pairs"]["prompts"] == {"matched": 20, "before": [4, 4], "after": [2, 2]}
    assert (found["pairs"]["only_before"], found["pairs"]["only_after"]) == (0, 0)
    difference = found["difference"]
    assert (difference["before"]["value"], difference["after"]["value"]) == (0.75, 0.5)
    assert (difference["difference"]["value"], difference["losses"]) == (-0.25, 20)
    ended = graders("compare", four, two, "--fail-if-worse")
    assert ended.exit_code == 3
    assert SAID.format(4, 2) in ended.stdout
    assert "over 20 prompts that count in both means: B is lower" in ended.stdout
    assert "changed most, samples of a prompt by their rank in reward\n  line 1#" in ended.stdout
    assert graders("compare", two, four, "--fail-if-worse").exit_code == 0


def test_samples_in_another_order_are_no_difference(runs: Runs) -> None:
    lists = runs.lists("lists", ["xyxx", "yyyx"] * 10)
    rows: list[Any] = [
        {"item": {"id": number, "label": "x"}, "model_sample": text}
        for number in range(20)
        for text in ("xyxx", "yyyx")[number % 2]
    ]
    mixed = random.Random(1).sample(rows, len(rows))  # noqa: S311 - an order, not a secret
    found = compared(lists, runs.score("mixed", mixed))
    assert found["pairs"]["prompts"] == {"matched": 20, "before": [4, 4], "after": [4, 4]}
    assert (found["difference"]["ties"], found["difference"]["wins"]) == (20, 0)
    assert found["changed_most"] == []


def test_a_sample_that_became_invalid_is_the_partner_of_one_without_a_reward(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    runs = Runs(tmp_path, engine, {**string_check, "input": "{{sample.output_json.v}}"})
    right, wrong = '{"v": "x"}', '{"v": "y"}'
    before = runs.score("before", [{"item": {"label": "x"}, "samples": [wrong, right]}])
    after = runs.score("after", [{"item": {"label": "x"}, "samples": [wrong[:-1], right]}])
    found = compared(before, after)
    assert found["changed_most"] == []
    assert list(found["moved"].values()) == [1]


def test_the_difference_is_that_of_the_means_of_the_prompts_that_both_have(runs: Runs) -> None:
    draw = random.Random(2)  # noqa: S311 - samples, not a secret
    sides = [["".join(draw.choices("xy", k=draw.randint(1, 5))) for _ in range(30)] for _ in "ab"]
    sides[1] = sides[1][:25]
    found = compared(*(runs.lists(name, side) for name, side in zip("ab", sides, strict=True)))
    changes = [
        after.count("x") / len(after) - before.count("x") / len(before)
        for before, after in zip(*sides, strict=False)
    ]
    difference = found["difference"]
    assert difference["difference"]["value"] == pytest.approx(sum(changes) / 25)
    assert difference["difference"]["rows"] == 25
    assert difference["wins"] == sum(change > 0 for change in changes)
    assert difference["losses"] == sum(change < 0 for change in changes)
    assert found["pairs"]["only_before"] == sum(map(len, sides[0][25:]))
    spans = [[min(map(len, side[:25])), max(map(len, side[:25]))] for side in sides]
    assert found["pairs"]["prompts"] == {"matched": 25, "before": spans[0], "after": spans[1]}


def test_other_outputs_for_one_data_set_are_compared_prompt_by_prompt(runs: Runs) -> None:
    items: list[Any] = [{"id": number, "label": "x"} for number in range(20)]
    outs = []
    for name, texts in (("a", "xyxx"), ("b", "yx")):
        answers: list[Any] = [{"id": n, "output": text} for n in range(20) for text in texts]
        outputs = write_rows(runs.path(f"{name}.answers"), answers)
        outs.append(runs.score(name, items, outputs=outputs, join_on="id"))
    found = compared(*outs)
    assert (found["pairs"]["by"], found["pairs"]["matched"]) == ("line", 40)
    assert found["pairs"]["prompts"] == {"matched": 20, "before": [4, 4], "after": [2, 2]}
    assert found["difference"]["difference"]["value"] == -0.25


def test_samples_of_one_data_set_are_their_own_partners(runs: Runs) -> None:
    one = runs.lists("one", ["xyxx"] * 20)
    assert compared(one, one)["pairs"]["prompts"] is None
    assert compared(one, one)["difference"]["difference"]["rows"] == 80


def test_the_page_says_that_prompts_are_compared(runs: Runs) -> None:
    paths = runs.lists("four", ["xyxx"] * 20), runs.lists("two", ["xy"] * 20)
    assert (
        graders("compare", *paths, "--out", runs.path("four").with_suffix(".html")).exit_code == 0
    )
    page = runs.path("four").with_suffix(".html").read_text(encoding="utf-8")
    assert f"Each{SAID.format(4, 2)[4:]}." in page
    assert "over the 20 prompts that count in both means" in page
    assert "Rows are paired within their prompts" in page
