"""`graders preflight`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.preflight.table import CHECKS
from tests.preflight.ask import EXACT, SUMS, write_rows
from tests.preflight.graders import job

CONTAINS = {**EXACT, "operation": "ilike"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "train.jsonl", SUMS)
    for name, grader in (("exact", EXACT), ("contains", CONTAINS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(grader), encoding="utf-8")
    return tmp_path


def preflight(*arguments: str, grader: str = "contains") -> Result:
    given = ("--grader", f"@{grader}.json") if grader else ()
    return CliRunner().invoke(graders, ["preflight", *given, *arguments])


def report(*arguments: str, grader: str = "contains") -> Any:
    return json.loads(
        preflight("--train", "train.jsonl", "--json", *arguments, grader=grader).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--train", "train.jsonl"), 0),
        (("--train", "train.jsonl", "--fail-on", "warning"), 3),
        (
            (
                "--train",
                "train.jsonl",
                "--fail-on",
                "warning",
                "--select",
                "hackable",
                "--ignore",
                "hackable=meant",
            ),
            0,
        ),
        (("--train", "missing.jsonl"), 1),
        (("--train", "train.jsonl", "--ignore", "hackabel"), 2),
        (("--train", "train.jsonl", "--select", "nothing"), 2),
        (("--train", "train.jsonl", "--report", "page.txt"), 2),
        (("--train", "train.jsonl", "--report", "train.jsonl"), 1),
        (("--train", "train.jsonl", "--report", "-"), 2),
        (("--train", "train.jsonl", "--report", "nowhere/page.html"), 1),
    ],
)
def test_the_exit_code_tells_findings_files_and_wrong_requests_apart(
    arguments: tuple[str, ...], code: int, folder: Path
) -> None:
    before = (folder / "train.jsonl").read_bytes()
    ended = preflight(*arguments)
    assert ended.exit_code == code, ended.output
    assert (folder / "train.jsonl").read_bytes() == before


def test_the_last_line_says_with_which_code_it_ends_and_what_would_fail() -> None:
    last = preflight("--train", "train.jsonl", "--select", "hackable").stdout.splitlines()[-1]
    assert last == "1 warning. Exit code 0 (--fail-on warning would give 3)."
    assert "1 check:" in preflight("--train", "train.jsonl", "--select", "row-count").stdout


def test_the_report_as_json_has_all_its_parts() -> None:
    said = report("--select", "hackable", "--select", "no-signal", "--ignore", "hackable=meant")
    assert [*said] == [
        "engine", "settings", "grader", "inputs", "summary", "findings", "fine", "not_checked", "measured",
        "groups", "verdicts",
    ]  # fmt: skip
    (found,) = said["findings"]
    assert (found["id"], found["ignored"]) == ("hackable", "meant")
    assert said["grader"] == {"name": "exact", "type": "string_check"}
    assert [one["question"] for one in said["verdicts"]][:2] == ["Valid?", "Fair?"]
    assert said["inputs"]["train.jsonl"]["rows"] == len(SUMS)
    assert len(said["inputs"]["contains.json"]["sha256"]) == 64
    assert said["settings"]["fail_on"] == "error"
    assert {"id": "no-signal", "why": "no --samples"} in said["not_checked"]
    assert {"references", "floor", "attacks"} <= set(said["measured"])


def test_findings_are_ignored_without_a_reason_too() -> None:
    assert [
        found["ignored"]
        for found in report("--select", "hackable", "--ignore", "hackable")["findings"]
    ] == ["--ignore"]


def test_the_settings_of_graders_toml_count(folder: Path) -> None:
    (folder / "graders.toml").write_text(
        '[preflight]\nfail_on = "warning"\n[preflight.ignore]\nhackable = "two labels"\n',
        encoding="utf-8",
    )
    assert [found["ignored"] for found in report("--select", "hackable")["findings"]] == [
        "two labels"
    ]
    (folder / "graders.toml").write_text('[preflight]\nfail_on = "warning"\n', encoding="utf-8")
    assert preflight("--train", "train.jsonl").exit_code == 3


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        ("[preflight.limits]\nbaseline_ceilin = 0.9\n", "baseline_ceiling"),
        ('[preflight.ignore]\nhackabel = "x"\n', "hackable"),
    ],
)
def test_unknown_names_in_graders_toml_are_refused(table: str, meant: str, folder: Path) -> None:
    (folder / "graders.toml").write_text(table, encoding="utf-8")
    ended = preflight("--train", "train.jsonl")
    assert ended.exit_code == 2
    assert f"Did you mean `{meant}`?" in ended.stderr


def test_the_grader_may_stand_in_the_job(folder: Path) -> None:
    job = {
        "model": "o4-mini",
        "method": {"type": "reinforcement", "reinforcement": {"grader": EXACT}},
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    said = report("--job", "job.json", grader="")
    assert said["measured"]["references"]["mean"] == 1.0


def test_a_page_is_written_and_named(folder: Path) -> None:
    ended = preflight("--train", "train.jsonl", "--report", "page.html")
    assert "report in page.html" in ended.stdout
    assert (folder / "page.html").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_but_commands_fit_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("LINES", raising=False)
    printed = preflight("--train", "train.jsonl").stdout
    listed = preflight("--explain", "list").stdout
    lines = [
        line
        for line in f"{printed}{listed}".splitlines()
        if not line.startswith(("    graders run", "        --"))
    ]
    assert max(map(len, lines)) <= columns


def test_an_interrupt_ends_it_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graders_engine.blocking.Engine.preflight", interrupted)
    ended = preflight("--train", "train.jsonl")
    assert ended.exit_code == 130


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        ("[prices.judge]\ninput = 100\noutput = 400\n", "they cost about"),
        ("", "the price of judge is not known"),
    ],
)
def test_the_plan_of_judge_calls_and_its_cost_are_printed_before_the_first_call(
    prices: str, cost: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = {
        "type": "score_model", "name": "judge", "model": "judge", "range": [0, 1],
        "input": [{"role": "user", "content": "{{item.answer}} / {{sample.output_text}}"}],
    }  # fmt: skip
    (folder / "judge.json").write_text(json.dumps(judge), encoding="utf-8")
    (folder / "graders.toml").write_text(prices, encoding="utf-8")

    async def refused(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graders_engine.preflight.examine.graded", refused)
    arguments = ("--train", "train.jsonl", "--max-calls", "30", "--base-url", "http://127.0.0.1:9")
    ended = preflight(*arguments, grader="judge")
    assert "of 30 at most" in ended.stderr
    assert cost in ended.stderr
    assert "of 30 at most" not in preflight(*arguments, "--quiet", grader="judge").stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('fail_on = "warn"', "fail_on is one of info, warning, error, not 'warn'"),
        ('[preflight.limits]\nattack = "high"', "limits.attack: Expected"),
    ],
)
def test_a_wrong_value_in_graders_toml_is_named_by_its_key(
    folder: Path, table: str, said: str
) -> None:
    (folder / "graders.toml").write_text(f"[preflight]\n{table}\n", encoding="utf-8")
    ended = preflight("--train", "train.jsonl")
    assert ended.exit_code == 2
    assert said in " ".join(ended.stderr.split())


def test_the_files_and_flags_of_a_run_are_in_its_json(folder: Path) -> None:
    samples = [{"item": row, "model_sample": row["answer"]} for row in SUMS]
    write_rows(folder / "samples.jsonl", samples)
    flags = ("--variant", "rouge_l=unicode")
    said = report("--samples", "samples.jsonl", "--ignore", "hackable=so", *flags)
    assert said["inputs"]["samples.jsonl"]["samples"] == len(SUMS)
    assert len(said["inputs"]["samples.jsonl"]["sha256"]) == 64
    assert said["settings"]["flags"] == [*flags]
    assert said["settings"]["ignore"] == {"hackable": "so"}


def test_a_reason_that_is_empty_is_refused() -> None:
    assert preflight("--train", "train.jsonl", "--ignore", "hackable=").exit_code == 2


def test_a_command_that_is_too_long_for_the_screen_is_broken_so_that_a_shell_joins_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []
    for columns in ("80", ""):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.delenv("LINES", raising=False)
        text = preflight("--train", "train.jsonl").output
        shown.append(text.partition("    graders run")[2].partition("\n\n")[0])
    broken, whole = shown
    assert broken.count(" \\\n        --") >= 2
    assert "\n" not in whole
    assert shlex.split(broken.replace("\\\n", "")) == shlex.split(whole)


@pytest.mark.parametrize("columns", [50, 80])
def test_the_page_of_each_check_fits_the_screen(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("LINES", raising=False)
    for check in CHECKS:
        text = CliRunner().invoke(graders, ["preflight", "--explain", check.id]).output
        assert all(len(line) <= columns for line in text.splitlines() if " " in line.strip())
        assert " ".join(text.split()).endswith(" ".join(check.page.split()))


def test_a_grader_that_is_given_for_a_job_is_named_as_one(tmp_path: Path) -> None:
    done = preflight("--job", "contains.json", "--train", "train.jsonl", grader="")
    assert done.output.count("invalid-request") == 1
    assert "This is a grader, and not the request of a job." in done.output
    assert "Pass it with --grader" in done.output


def test_an_unknown_key_of_a_job_is_called_no_key_and_gets_no_farfetched_name(
    tmp_path: Path,
) -> None:
    job = {"model": "o4-mini", "training_file": "file-1", "graders": {}}
    job["method"] = {"type": "reinforcement", "reinforcement": {"grader": EXACT}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = preflight("--job", "job.json", "--select", "request", grader="")
    assert "`graders` is no key of the request." in done.output
    assert "extra_headers" not in done.output


def test_samples_that_cannot_be_read_or_belong_to_no_row_are_named_by_their_lines(
    tmp_path: Path,
) -> None:
    other = {"messages": [{"role": "user", "content": "Who?"}], "answer": "I"}
    rows = [{"item": SUMS[0], "model_sample": "1"}, {"item": other, "model_sample": "2"}]
    (tmp_path / "samples.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + '{"item": {"a": "b\n'
    )
    found = report("--samples", "samples.jsonl", "--select", "samples")["findings"]
    said = {
        one["message"]: [place["line"] for place in one["where"]]
        for one in found
        if one["id"] == "samples-unmatched"
    }
    assert said == {
        "1 of 3 samples cannot be read, and is left out.": [3],
        "1 of 3 samples belongs to no row of the files, and is left out.": [2],
    }


def test_a_job_in_place_of_the_grader_is_the_job_too(folder: Path) -> None:
    (folder / "job.json").write_text(json.dumps(job()), encoding="utf-8")
    arguments = ("preflight", "--train", "train.jsonl", "--json")
    answers = [
        json.loads(CliRunner().invoke(graders, [*arguments, *given]).stdout)
        for given in (["job.json"], ["--grader", "@job.json"], ["--job", "job.json"])
    ]
    first, *others = ([one["fine"], one["not_checked"], one["inputs"]] for one in answers)
    assert all(other == first for other in others)
    assert not [one for one in first[1] if one["why"] == "no --job"]
