"""`graders attack`: what it prints, and the rows that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.report.width import columns_of
from tests.preflight.ask import write_rows
from tests.preflight.attacks.graders import CALL, CITIES, DISEASES, TICKETS, check

CONTAINED = check("like", "{{sample.output_text}}", "{{item.answer}}")
EXACT = check("eq", "{{item.answer}}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "train.jsonl", DISEASES)
    return tmp_path


def attack(
    grader: dict[str, Any], *more: str, columns: int = 80, data: str = "train.jsonl"
) -> Result:
    Path("g.json").write_text(json.dumps(grader))
    arguments = ["attack", "--grader", "@g.json", "--data", data, *more]
    return CliRunner().invoke(graders, arguments, env={"COLUMNS": str(columns), "LINES": None})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("columns", [80, 120])
def test_each_attack_stands_in_a_line_that_fits_with_its_best_sample(columns: int) -> None:
    ended = attack(CONTAINED, columns=columns)
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    copied = [line for line in lines if line.startswith(("    graders ", "        --"))]
    assert max(columns_of(line) for line in lines if line not in copied) <= columns
    (empty,) = [line for line in lines if line.startswith("empty ")]
    assert empty.split() == ["empty", "free", "1.00", "nothing:", '""']
    assert any(line.startswith("warning  hackable") for line in lines)
    assert any(line.startswith("not tried, for they do not fit: ") for line in lines)


@pytest.mark.usefixtures("folder")
def test_a_grader_that_cannot_be_gamed_is_said_to_be_so() -> None:
    ended = attack(EXACT)
    assert ended.exit_code == 0
    assert ended.stdout.endswith("No attack earns enough to be learned.\n")


@pytest.mark.usefixtures("folder")
def test_only_the_named_attacks_are_tried() -> None:
    ended = attack(CONTAINED, "--only", "empty,refusal", "--json")
    assert {one["name"] for one in json.loads(ended.stdout)["attacks"]} == {"empty", "refusal"}


@pytest.mark.usefixtures("folder")
def test_an_attack_that_does_not_exist_is_refused_with_the_nearest() -> None:
    ended = attack(CONTAINED, "--only", "emtpy")
    assert ended.exit_code == 2
    assert "There is no attack `emtpy`. Did you mean `empty`?" in ended.stderr


@pytest.mark.usefixtures("folder")
def test_a_grader_with_mistakes_is_refused() -> None:
    ended = attack({**EXACT, "operation": "eqq"})
    assert ended.exit_code == 2
    assert "eqq" in ended.stderr


@pytest.mark.usefixtures("folder")
def test_a_file_that_cannot_be_read_is_an_error() -> None:
    ended = attack(EXACT, data="nothing.jsonl")
    assert ended.exit_code == 1
    assert "nothing.jsonl" in ended.stderr


def test_the_samples_become_rows_that_a_mended_grader_is_scored_on(folder: Path) -> None:
    assert attack(CONTAINED, "--out", "attacks.jsonl").exit_code == 0
    rows = [json.loads(line) for line in (folder / "attacks.jsonl").read_text().splitlines()]
    first = rows[0]
    assert list(first) == ["item", "model_sample", "attack", "variant", "kind", "line", "earned"]
    assert (first["attack"], first["model_sample"], first["earned"]) == ("empty", "", 1.0)

    def mean(grader: dict[str, Any]) -> float:
        more = ["--data", "attacks.jsonl", "--out", "r.jsonl", "--overwrite", "--json"]
        ended = CliRunner().invoke(graders, ["score", "--grader", json.dumps(grader), *more])
        assert ended.exit_code == 0, ended.output
        graded = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
        return float(sum(one["reward"] for one in graded) / len(graded))

    assert mean(CONTAINED) == pytest.approx(sum(one["earned"] for one in rows) / len(rows))
    assert mean(EXACT) == 0.0


def test_tool_calls_become_sample_objects_that_score_reads(folder: Path) -> None:
    write_rows(folder / "train.jsonl", CITIES)
    grader = check("like", "get_", "{{sample.output_tools}}")
    assert attack(grader, "--reference-template", CALL, "--out", "attacks.jsonl").exit_code == 0
    rows = [json.loads(line) for line in (folder / "attacks.jsonl").read_text().splitlines()]
    calls = [one for one in rows if one["attack"] == "all-tools"]
    assert all("model_sample" not in one and one["sample"]["output_tools"] for one in calls)
    arguments = [
        "score",
        "--grader",
        json.dumps(grader),
        "--data",
        "attacks.jsonl",
        "--out",
        "r.jsonl",
    ]
    assert CliRunner().invoke(graders, arguments).exit_code == 0
    graded = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [one["reward"] for one in graded] == [one["earned"] for one in rows]


def test_the_rows_are_not_written_over_the_training_rows(folder: Path) -> None:
    before = (folder / "train.jsonl").read_bytes()
    ended = attack(CONTAINED, "--out", "train.jsonl")
    assert ended.exit_code == 1
    assert (folder / "train.jsonl").read_bytes() == before


def test_json_has_the_numbers_beside_the_findings(folder: Path) -> None:
    write_rows(folder / "train.jsonl", TICKETS)
    printed = json.loads(attack(check("ilike", "{{item.label}}"), "--json").stdout)
    assert list(printed) == ["grader", "full", "right", "other", "attacks", "findings"]
    assert (printed["full"], printed["right"], printed["other"]) == (1.0, 1.0, 0.0)
    assert "hackable" in {one["id"] for one in printed["findings"]}


JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "judge",
    "input": [{"role": "user", "content": "{{item.answer}} / {{sample.output_text}}"}],
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("grader", "rows", "more", "why"),
    [
        (EXACT, "", [], "no row can be read"),
        (EXACT, "\x00\n", [], "no row can be read"),
        (check("eq", "{{item.nothing}}"), None, [], "follows from missing-field"),
        (EXACT, None, ["--only", "injection"], "nothing to try fits these rows"),
        (JUDGE, None, ["--max-calls", "0"], "no calls of judges are left (--max-calls)"),
        (JUDGE, None, ["--max-calls", "2"], "judges may get 2 calls (--max-calls), and it takes"),
        (JUDGE, None, ["--judge-attempts", "1"], "follows from grader-fails"),
    ],
)
def test_where_no_hostile_sample_has_a_reward_it_fails_and_says_why(
    grader: dict[str, Any], rows: str | None, more: list[str], why: str
) -> None:
    if rows is not None:
        Path("train.jsonl").write_text(rows)
    ended = attack(
        grader, *more, *(["--base-url", "http://127.0.0.1:9"] if grader is JUDGE else [])
    )
    assert ended.exit_code == 1, ended.output
    assert f"No hostile sample got a reward ({why}" in " ".join(ended.stderr.split())
    assert "No attack earns" not in ended.stdout


def raising(condition: str) -> dict[str, Any]:
    """A grader that raises where a condition holds of a sample, and gives 1.0 elsewhere."""
    source = (
        "def grade(sample, item):\n"
        f"    if {condition}:\n        raise ValueError('no number')\n"
        "    return 1.0\n"
    )
    return {"type": "python", "name": "raises", "source": source}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("only", [[], ["--only", "refusal"]])
@pytest.mark.parametrize(
    "condition",
    ["sample['output_text'] is not None", "sample['output_text'] != item['answer']"],
    ids=["on all", "on all but right answers"],
)
def test_where_every_hostile_sample_fails_it_fails_and_says_why(
    condition: str, only: list[str]
) -> None:
    ended = attack(raising(condition), *only)
    assert ended.exit_code == 1, ended.output
    said = " ".join(ended.stderr.split())
    assert "The hostile samples say nothing of the grader: none of " in said
    assert "was graded without a failure: ValueError: no number" in said
    assert "No attack earns" not in ended.stdout


def test_rows_that_cannot_be_read_are_named(folder: Path) -> None:
    with (folder / "train.jsonl").open("a") as file:
        file.write("no JSON\n")
    ended = attack(EXACT)
    assert "error  not-jsonl" in ended.stdout
    assert "No attack earns enough" not in ended.stdout


@pytest.mark.usefixtures("folder")
def test_a_place_that_cannot_be_written_is_refused_before_a_judge_is_asked() -> None:
    ended = attack(JUDGE, "--base-url", "http://127.0.0.1:9", "--out", "nowhere/attacks.jsonl")
    assert ended.exit_code == 1
    assert "nowhere/attacks.jsonl: there is no folder" in ended.stderr
    assert "Judges (judge) will get" not in ended.stderr


@pytest.mark.usefixtures("folder")
def test_the_calls_of_judges_are_said_before_the_first() -> None:
    ended = attack(
        JUDGE, "--base-url", "http://127.0.0.1:9", "--judge-attempts", "2", "--only", "empty"
    )
    assert "of 300 at most (--max-calls); a call that fails is made up to 2 times" in " ".join(
        ended.stderr.split()
    )


@pytest.mark.usefixtures("folder")
def test_the_file_of_hostile_samples_is_named_with_its_rows() -> None:
    ended = attack(CONTAINED, "--out", "attacks.jsonl")
    rows = len(Path("attacks.jsonl").read_text().splitlines())
    assert ended.stdout.endswith(f"\n\n{rows} rows in attacks.jsonl\n")
    assert json.loads(attack(CONTAINED, "--out", "attacks.jsonl", "--json").stdout)
