"""Criteria as the service gives them back: what it accepted runs here, and nulls are as if left out."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.evals.hosted.conversion import import_evals
from tests.dataset.evals_service import UUID, eval_, output_item, run
from tests.dataset.test_evals_export import graders, lines, rows, write

FAULTY = {
    "type": "string_check", "name": "Lower", "operation": "eq", "reference": "markets",
    "input": "{{ sample.output_text.strip().lower() }}",
}  # fmt: skip
UNCLOSED = {
    "type": "string_check", "name": "Unclosed", "operation": "ne", "reference": "{{item.ground_truth}}",
    "input": "{{sample.output_text}",
}  # fmt: skip
SOUND = {**UNCLOSED, "name": "Sound", "operation": "eq", "input": "{{sample.output_text}}"}
BROKEN = {**FAULTY, "name": "Broken", "operation": "equals"}


def export(folder: Path, *criteria: dict[str, Any], **scores: float) -> Path:
    items = [
        output_item(n, "evalrun_1", "eval_1", text) for n, text in enumerate(["Markets", "World"])
    ]
    for item in items:
        item["results"] = [
            {"name": f"{name}-{UUID}", "score": score} for name, score in scores.items()
        ]
    objects = [eval_("eval_1", "news", list(criteria)), run("evalrun_1", "eval_1", "mini"), *items]
    return write(folder / "export.jsonl", lines(objects))


def test_criteria_that_the_service_took_are_graders_and_run_as_it_ran_them(tmp_path: Path) -> None:
    file = export(tmp_path, FAULTY, UNCLOSED, SOUND, BROKEN, Lower=0.0, Unclosed=1.0, Sound=1.0)
    done = graders("import", "evals", str(file), "--out", str(tmp_path / "evals"), "--check")
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "evals" / "news").glob("*.json"))
    assert made == [
        "grader-Lower.json", "grader-Sound.json", "grader-Unclosed.json", "graders.json",
        "rejected-Broken.json",
    ]  # fmt: skip
    for words in (
        "Lower: 2 of 2 equal",
        "Unclosed: 2 of 2 equal",
        "Sound: 1 of 2 equal; the first",
    ):
        assert words in done.stdout
    report = (tmp_path / "evals" / "IMPORT.md").read_text(encoding="utf-8")
    assert (
        "news/grader-Lower.json, news/grader-Unclosed.json: the service took templates here"
        in report
    )
    assert "rejected-Broken.json): operation: Invalid value: 'equals'" in report
    assert "Lower (rejected" not in report
    (command,) = re.findall(r"^    graders (.*)$", report, re.MULTILINE)
    scored = graders(*shlex.split(command), "--json")
    assert scored.stderr.count("no row has a value for it") == 1
    (meta,) = (tmp_path / "evals" / "news").glob("*.meta.json")
    assert json.loads(meta.read_text())["settings"]["templates"] == "as_served"
    results = rows(tmp_path / "evals" / "news" / "mini.results.jsonl")
    assert [result["sub_rewards"] for result in results] == [
        {"Lower": None, "Unclosed": 1.0, "Sound": 1.0}, {"Lower": None, "Unclosed": 1.0, "Sound": 0.0},
    ]  # fmt: skip
    assert [result["blame"] for result in results] == ["grader", "grader"]


def test_a_command_for_graders_that_can_be_read_has_no_setting(tmp_path: Path) -> None:
    made = graders(
        "import", "evals", str(export(tmp_path, SOUND)), "--out", str(tmp_path / "evals")
    )
    assert "--templates" not in made.stdout


NULLS = {
    "grdr_id": None, "inactive_at": None, "sampling_params": None, "pass_threshold": None,
    "invalid_grade": None, "image_tag": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "criterion",
    [
        SOUND,
        {"type": "python", "name": "Sound", "source": "def grade(sample, item):\n    return 1.0"},
        {
            "type": "label_model", "name": "Sound", "model": "m", "labels": ["a", "b"],
            "passing_labels": ["a"],
            "input": [
                {"role": "user", "content": {"type": "input_text", "text": "x", "file_id": None}},
            ],
        },
        {
            "type": "score_model", "name": "Sound", "model": "m", "range": None,
            "input": [{"role": "user", "type": None, "content": "x"}],
        },
        {**SOUND, "type": "text_similarity", "evaluation_metric": "bleu", "operation": None},
    ],
    ids=lambda criterion: criterion["type"],
)  # fmt: skip
def test_the_null_keys_of_an_echo_are_left_out(criterion: dict[str, Any], tmp_path: Path) -> None:
    echo = {**criterion, "id": f"Sound-{UUID}", **NULLS}
    file = export(tmp_path, echo, Sound=1.0)
    made = import_evals([file], tmp_path / "evals").evals[0]
    (one,) = made.criteria
    assert not NULLS.keys() & one.grader.keys()
    with Engine() as engine:
        assert engine.validate(one.grader).grader == one.grader
    assert [row["hosted"] for row in rows(made.runs[0].path)] == [{"Sound": 1.0}] * 2


def test_scores_find_their_criterion_by_id_where_two_have_one_name(tmp_path: Path) -> None:
    other = f"{UUID[:-1]}8"
    criteria = [{**SOUND, "id": f"Sound-{uuid}"} for uuid in (other, UUID)]
    items = [output_item(0, "evalrun_1", "eval_1", "Markets")]
    items[0]["results"] = [
        {"name": f"Sound-{uuid}", "score": score} for uuid, score in ((UUID, 0.25), (other, 0.75))
    ]
    objects = [eval_("eval_1", "news", criteria), run("evalrun_1", "eval_1", "mini"), *items]
    made = import_evals([write(tmp_path / "export.jsonl", lines(objects))], tmp_path / "evals")
    (row,) = rows(made.evals[0].runs[0].path)
    assert row["hosted"] == {"Sound": 0.75, "Sound_2": 0.25}


def test_an_import_says_what_a_mean_of_all_graders_is_worth(tmp_path: Path) -> None:
    judge = {
        "type": "score_model", "name": "Polite", "model": "m", "range": [1, 5],
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }  # fmt: skip
    arguments = ["--out", str(tmp_path / "evals")]
    made = graders("import", "evals", str(export(tmp_path, SOUND, judge)), *arguments)
    assert "news/grader-Polite.json gives 1 to 5: a mean of numbers on different" in made.stdout
    assert "no row can have a value here" not in made.stdout
    made = graders("import", "evals", str(export(tmp_path, SOUND, UNCLOSED)), *arguments)
    assert "on different scales" not in made.stdout
    assert "no row can have a value here" not in made.stdout
    made = graders("import", "evals", str(export(tmp_path, SOUND, FAULTY)), *arguments)
    assert "news/grader-Lower.json: no row can have a value here" in made.stdout
    (command,) = re.findall(r"^    graders (.*)$", made.stdout, re.MULTILINE)
    scored = graders(*shlex.split(command))
    assert scored.returncode == 1
    assert "100.0 % of 2 rows have no complete grade because of the grader" in scored.stdout
    assert "mean reward  0.2500  over 2 rows" in scored.stdout
    assert "Nothing was scored: no row has a complete grade, 2 by the grader; in the mean" in (
        scored.stderr
    )
