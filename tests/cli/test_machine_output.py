"""What programs read: JSON of one documented shape for each command, results on standard output, tables."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli import main as cli
from tests.cli.test_command_line import CHECK
from tests.dataset.files import results, timeless

MULTI = json.dumps(
    {
        "type": "multi",
        "graders": {
            key: {
                "type": "string_check", "operation": "eq", "reference": "cat",
                "input": f"{{{{sample.output_json.{key}}}}}",
            }
            for key in ("name", "city")
        },
        "calculate_output": "name + city",
    }
)  # fmt: skip
ROWS = [
    {"item": {}, "model_sample": '{"name": "cat", "city": "=1+1"}'},
    {"item": {}, "model_sample": 'no JSON, but "quotes"\nand lines'},
    {"item": {}, "samples": ['{"name": "cat", "city": "cat"}', '{"name": "a"}']},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "check.yaml").write_text(CHECK)
    (tmp_path / "multi.json").write_text(MULTI)
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graders(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.graders, list(arguments), input=stdin)


def keys_of(ended: Result) -> list[str]:
    return list(json.loads(ended.stdout))


def test_validate_prints_the_grader_its_mistakes_and_its_warnings(folder: Path) -> None:
    ended = graders("validate", "check.yaml", "--json")
    assert ended.exit_code == 0
    assert keys_of(ended) == ["valid", "grader", "mistakes", "warnings", "data"]
    found = json.loads(ended.stdout)
    assert (found["valid"], found["mistakes"], found["warnings"]) == (True, [], [])
    assert found["grader"]["operation"] == "eq"


@pytest.mark.parametrize(
    ("grader", "path", "message"),
    [
        (CHECK.replace("eq", "eqq"), "operation", "Invalid value: 'eqq'"),
        ("{broken", None, "--grader: "),
        ("@no.yaml", None, "no.yaml: no such file"),
    ],
)
def test_mistakes_are_json_too(grader: str, path: str | None, message: str, folder: Path) -> None:
    ended = graders("validate", "--grader", grader, "--json")
    assert (ended.exit_code, ended.stderr) == (2, "")
    found = json.loads(ended.stdout)
    assert (found["valid"], found["grader"]) == (False, None)
    [mistake] = found["mistakes"]
    assert list(mistake) == ["path", "message", "detail", "hint"]
    assert mistake["path"] == path
    assert mistake["message"].startswith(message)


SCORED = [
    "results", "complete", "rows", "scored", "invalid", "failed", "blames", "mean", "scored_mean",
    "hosted_mean", "pass_rate", "sub_rewards", "histogram", "groups", "clamped", "left_out", "flags",
    "settings", "engine", "metrics_core",
]  # fmt: skip
REPORTED = ["quantiles", "correlations", "judges", "saved_tokens", "seconds"]


def test_a_run_is_printed_as_json_by_score_and_by_report(folder: Path) -> None:
    (folder / "plain.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS[:2]))
    scored = ("--grader", "@multi.json", "--passing", "1", "--json")
    plain = graders("score", *scored, "--data", "plain.jsonl", "--out", "plain-out.jsonl")
    assert keys_of(plain) == SCORED
    grouped = graders("score", *scored, "--data", "rows.jsonl", "--out", "out.jsonl")
    reported = graders("report", "out.jsonl", "--passing", "1", "--json")
    assert sorted(keys_of(reported)) == sorted(SCORED + REPORTED)
    assert json.loads(grouped.stdout)["groups"] == json.loads(reported.stdout)["groups"]
    found = json.loads(reported.stdout)
    assert found["complete"] is True
    assert list(found["mean"]) == ["value", "rows", "low", "high", "groups"]
    assert list(found["groups"]) == [
        "prompts", "sizes", "group_size", "signal", "fewer_samples", "group_by", "alone", "passing", "at",
    ]  # fmt: skip


def test_report_asks_for_the_numbers_that_score_was_asked_for(folder: Path) -> None:
    score = ("score", "--grader", "@multi.json", "--data", "rows.jsonl", "--out", "out.jsonl")
    asked = ("--passing", "0.5", "--group-size", "2")
    scored = json.loads(graders(*score, *asked, "--json").stdout)
    reported = json.loads(graders("report", "out.jsonl", "--json").stdout)
    assert (scored["pass_rate"]["passing"], scored["groups"]["group_size"]) == (0.5, 2)
    for name in ("pass_rate", "groups"):
        assert reported[name] == scored[name]
    other = json.loads(graders("report", "out.jsonl", "--passing", "1", "--json").stdout)
    assert other["pass_rate"]["passing"] == 1.0


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_passing_reward_is_a_finite_number(number: str, folder: Path) -> None:
    ended = graders("report", "out.jsonl", "--passing", number)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"'{number}' is not a finite number" in ended.stderr


def test_a_run_that_has_not_ended_is_reported_as_such(folder: Path) -> None:
    score = ("score", "--grader", "@check.yaml", "--data", "rows.jsonl", "--out", "out.jsonl")
    assert graders(*score).exit_code == 0
    meta = folder / "out.jsonl.meta.json"
    recorded = json.loads(meta.read_text())
    assert recorded["complete"] is True
    meta.write_text(json.dumps({**recorded, "complete": False}))
    assert "This run has not ended" in graders("report", "out.jsonl", "--no-html").stdout
    assert json.loads(graders("report", "out.jsonl", "--json").stdout)["complete"] is False
    assert graders(*score).exit_code == 0
    assert json.loads(graders("report", "out.jsonl", "--json").stdout)["complete"] is True


def test_the_sandboxes_are_printed_as_json() -> None:
    ended = graders("sandbox", "--json")
    found = json.loads(ended.stdout)
    assert keys_of(ended) == ["proved", "tiers", "memory_cgroup"]
    assert ended.exit_code == (0 if found["proved"] else 1)
    for tier in found["tiers"]:
        assert list(tier) == [
            "name", "available", "unavailable_because", "covers", "does_not_cover", "checks"
        ]  # fmt: skip
        for check in tier["checks"]:
            assert list(check) == ["name", "passed", "detail"]


def test_a_cache_that_is_not_there_is_an_empty_one(folder: Path) -> None:
    ended = graders("cache", "info", "--cache", "c.sqlite", "--json")
    assert json.loads(ended.stdout) == {
        "path": "c.sqlite", "replies": 0, "file_bytes": 0, "total_tokens": 0, "models": {},
        "oldest": None,
    }  # fmt: skip
    ended = graders("cache", "clear", "--cache", "c.sqlite", "--json")
    assert json.loads(ended.stdout) == {"path": "c.sqlite", "deleted": 0}
    assert not (folder / "c.sqlite").exists()


def score(*arguments: str, grader: str = "multi.json") -> Result:
    return graders("score", grader, "--data", "rows.jsonl", *arguments)


@pytest.mark.parametrize("more", [[], ["--retry-failed"], ["--workers", "1"], ["--quiet"]])
def test_results_are_written_to_standard_output(more: list[str], folder: Path) -> None:
    assert score("--out", "out.jsonl").exit_code == 0
    before = sorted(path.name for path in folder.iterdir())
    ended = score("--out", "-", *more)
    assert ended.exit_code == 0
    (folder / "printed").write_text(ended.stdout)
    assert timeless(folder / "printed") == timeless(folder / "out.jsonl")
    assert ("mean reward" in ended.stderr) == ("--quiet" not in more)
    assert "results in" not in ended.stderr
    (folder / "printed").unlink()
    assert sorted(path.name for path in folder.iterdir()) == before


def test_the_numbers_stay_apart_from_results_on_standard_output(folder: Path) -> None:
    ended = score("--out", "-", "--json")
    assert len(ended.stdout.splitlines()) == 4
    assert isinstance(json.loads(ended.stderr), dict)


def test_rows_from_a_pipe_give_results_in_a_pipe(folder: Path) -> None:
    flags = ["check.yaml", "--data", "-", "--out", "-", "--quiet"]
    ended = subprocess.run(
        [sys.executable, "-m", "graders_engine", "score", *flags],
        cwd=folder, input='{"item": {}, "model_sample": "cat"}\n', capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(ended.stdout)["reward"] == 1.0


def test_a_reader_that_goes_away_gets_no_traceback(folder: Path) -> None:
    command = (
        f"{sys.executable} -m graders_engine score multi.json --data rows.jsonl --out - | true"
    )
    ended = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in ended.stderr


def test_a_page_is_written_to_standard_output(folder: Path) -> None:
    assert score("--out", "out.jsonl").exit_code == 0
    ended = graders("report", "out.jsonl", "--out", "-")
    assert ended.stdout.startswith("<!doctype html>")
    assert "mean reward" in ended.stderr
    assert not (folder / "-").exists()
    assert not (folder / "out.jsonl.html").exists()


def test_a_csv_has_the_values_of_the_results(folder: Path) -> None:
    assert score("--out", "out.csv").exit_code == 0
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    lines = results(folder / "out.csv.jsonl")
    assert len(table) == len(lines) == 4
    for row, line in zip(table, lines, strict=True):
        for name in ("line", "sample", "status", "blame", "group", "seconds", "served", "reward"):
            value = line.get(name)
            assert row[name] == ("" if value is None else str(value)), name
        for key in ("name", "city"):
            value = line["sub_rewards"].get(key)
            assert row[f"sub_rewards.{key}"] == ("" if value is None else str(value))
        assert json.loads(row["flags"] or "{}") == line["flags"]
    assert graders("report", "out.csv", "--no-html").exit_code == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("r.json", "use .jsonl"),
        ("r.jsonl.gz", "Compress"),
        ("r.JSON", "use .jsonl"),
        ("r.txt", ""),
        ("r.xlsx", "Use .csv"),
        ("a.b/r.yaml", ""),
    ],
)
def test_an_ending_that_is_no_format_is_refused(name: str, hint: str, folder: Path) -> None:
    ended = score("--out", name, "--overwrite")
    assert ended.exit_code == 2
    assert "results are .jsonl, .csv or .parquet" in ended.stderr
    assert hint in ended.stderr
    assert not (folder / name).exists()


@pytest.mark.parametrize("name", ["results", "run-0.5", "v1.2", "r.ndjson", "r.JSONL", "r.CSV"])
def test_a_name_without_the_ending_of_another_format_is_taken(name: str, folder: Path) -> None:
    ended = score("--out", name)
    assert ended.exit_code == 0, ended.stderr
    assert (folder / name).exists()


def test_a_page_has_the_ending_of_a_page(folder: Path) -> None:
    assert score("--out", "out.jsonl").exit_code == 0
    for name in ("page.pdf", "page.json", "page.csv"):
        ended = graders("report", "out.jsonl", "--out", name)
        assert ended.exit_code == 2
        assert "name a file that ends in .html" in ended.stderr
        assert not (folder / name).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "evals", "rows.jsonl", "--out", "-"],
        ["diff-graders", "check.yaml", "check.yaml", "--data", "rows.jsonl", "--out-dir", "-"],
        ["run", "check.yaml", "--model-sample", "x", "--record", "-"],
        ["run", "check.yaml", "--model-sample", "x", "--cache", "-"],
    ],
)
def test_a_folder_or_a_database_is_no_standard_stream(arguments: list[str], folder: Path) -> None:
    ended = graders(*arguments)
    assert ended.exit_code == 2
    assert "'-' stands for a standard stream" in ended.stderr
    assert not (folder / "-").exists()


def test_parquet_without_its_package_is_refused_before_any_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = score("--out", "r.parquet")
    assert ended.exit_code == 1
    assert "r.parquet is Parquet: to write it, pip install" in ended.stderr
    assert not list(folder.glob("r.parquet*"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rows.jsonl", "It seems to be a data set; `graders score --data rows.jsonl` makes"),
        ("check.yaml", "Results are files that `graders score` has written."),
        ("no.jsonl", "no.jsonl: No such file or directory. Results come from"),
        ("no.csv", "(no.csv is made from it). Results come from `graders score`."),
    ],
)
def test_a_file_that_holds_no_results_says_what_makes_them(
    name: str, sentence: str, folder: Path
) -> None:
    for arguments in (
        ["report", name, "--no-html"],
        ["explain", name, "1"],
        ["compare", name, name],
    ):
        ended = graders(*arguments)
        assert ended.exit_code == 1, arguments
        assert sentence in ended.stderr
