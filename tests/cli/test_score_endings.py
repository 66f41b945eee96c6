"""How `graders score` ends: its exit codes, the limits that it is given, runs that exist already."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from tests.dataset.files import cats, results, write_rows
from tests.environment import unmeasured
from tests.judges.judge_server import USAGE, answer, error, judge_server, said, verdict
from tests.judges.rows import SCORE, rows

TOKENS = USAGE["total_tokens"]
NOT_THERE: dict[str, Any] = {"item": {}, "model_sample": "cat0"}


def score(grader: Any, data: Path, out: Path, *more: str) -> Result:
    arguments = ["score", "--grader", json.dumps(grader), "--data", str(data), "--out", str(out)]
    return CliRunner().invoke(graders, [*arguments, *more])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.mark.parametrize("more", [(), ("--quiet",)])
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "Nothing was scored: the data set has no rows."),
        ([NOT_THERE] * 3, "Nothing was scored: none of 3 rows has a reward."),
        (["{broken", "{too"], "Nothing was scored: none of 2 rows has a reward."),
    ],
)
def test_a_run_without_a_scored_row_fails_each_time(
    string_check: Any, tmp_path: Path, out: Path, given: list[Any], reason: str, more: Any
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", given)
    for _ in range(2):  # when it is complete, too
        ended = score(string_check, data, out, *more)
        assert (ended.exit_code, reason in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("more", "code", "reason"),
    [
        ([], 0, ""),
        (["--fail-under", "0.3"], 0, ""),
        (["--fail-under", "1.1"], 3, "The mean reward is below 1.1 (--fail-under):"),
        (["--max-invalid", "25%"], 0, ""),
        (["--max-invalid", "25"], 0, ""),
        (["--max-invalid", "24.9%"], 3, "More than 24.9 % of the rows are invalid (--max-invalid)"),
        (["--max-invalid", "0"], 3, ": 1 of 4, 25 %."),
        (["--max-failed", "0%"], 0, ""),
        (["--max-invalid", "1%", "--fail-under", "2"], 3, "The mean reward is below 2"),
        (["--max-invalid", "101%"], 2, "a percentage from 0 to 100"),
        (["--max-failed", "few"], 2, "'few' is not a percentage"),
        (["--max-invalid", "0.05"], 2, "write 0.05% or 5%"),
        (["--max-failed", ".5"], 2, "write 0.5% or 50%"),
        (["--max-failed", "0.05%"], 0, ""),
        (["--max-failed", "0.0"], 0, ""),
        (["--fail-under", "nan"], 2, "--fail-under must be a number"),
    ],
)
def test_a_limit_that_is_not_kept_is_an_exit_code_of_its_own(
    string_check: Any, tmp_path: Path, out: Path, more: list[str], code: int, reason: str
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [*cats(3), NOT_THERE])
    ended = score(string_check, data, out, "--quiet", *more)
    assert (ended.exit_code, reason in ended.stderr, ended.stdout) == (code, True, "")


def parts(formula: str) -> dict[str, Any]:
    """A multi whose parts `a`, `b` and `c` are 1 where they are the output."""
    check = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}"}
    graders = {key: {**check, "name": key, "reference": key} for key in "abc"}
    return {"type": "multi", "name": "m", "graders": graders, "calculate_output": formula}


@pytest.mark.parametrize(
    ("formula", "lowest", "code"),
    [
        ("0.3 * c - 0.2 * b - 0.1 * a", "0", 0),  # the sum of its floats is -2.8e-17
        ("0.3 * c - 0.2 * b - 0.1 * a", "1e-10", 3),
        ("-1e-9 * a", "0", 3),
        ("1.7e308 * (a + b)", "0", 3),  # the sum is infinite
    ],
)
def test_the_last_bits_of_a_mean_do_not_decide_and_one_without_a_value_is_too_low(
    tmp_path: Path, out: Path, formula: str, lowest: str, code: int
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{"item": {}, "model_sample": key} for key in "abc"])
    ended = score(parts(formula), data, out, "--fail-under", lowest)
    assert ended.exit_code == code
    assert "-0.0000" not in ended.stdout


def test_an_outage_counts_for_its_own_limit(tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(4))
    with judge_server() as server:
        server.script = lambda asked: error(500, "x") if "answer 2" in asked.text else verdict(1.0)
        more = ["--base-url", server.url, "--judge-attempts", "1", "--no-cache"]
        ended = score(SCORE, data, out, *more, "--max-failed", "20%")
        assert (ended.exit_code, "are failed (--max-failed): 1 of 4" in ended.stderr) == (3, True)
        assert "1 row failed by an outage: the same command with --retry-failed" in ended.stdout
        again = score(SCORE, data, out, *more, "--max-failed", "30%")
        assert again.exit_code == 0
        assert "Already complete" in again.stdout
        assert "--retry-failed" in again.stdout
        server.answers(verdict(1.0))
        mended = score(SCORE, data, out, *more, "--max-failed", "0%", "--retry-failed")
        assert (mended.exit_code, "1 row failed" in mended.stdout) == (0, False)
        assert "Already complete: only rows that had failed were retried (1)." in mended.stdout


def test_answers_without_a_verdict_are_asked_for_again_by_the_command_that_is_named(
    tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(30))
    with judge_server() as server:
        more = ["--base-url", server.url, "--cache", str(tmp_path / "replies.sqlite")]
        server.script = lambda asked: answer(said("I like it."))
        stopped = score(SCORE, data, out, *more)
        assert "Mend what is wrong and run the command again" in stopped.stderr
        kept = score(SCORE, data, out, *more, "--keep-going")
        assert "30 rows have an answer of a judge without a verdict" in kept.stdout
        assert "with --overwrite asks again for them" in kept.stdout
        asked_before = len(server.asked)
        server.script = lambda asked: verdict(1.0)
        mended = score(SCORE, data, out, *more, "--overwrite")
        assert (mended.exit_code, "without a verdict" in mended.stdout) == (0, False)
        assert len(server.asked) == asked_before + 30
        assert [one["reward"] for one in results(out)] == [1.0] * 30


PRICES = '[prices."judge-1"]\ninput = 1.0\noutput = 2.0\n'


def test_what_a_run_cost_is_said_also_where_it_stopped_early(tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(30))
    config = tmp_path / "graders.toml"
    config.write_text(PRICES)
    more = ["--config", str(config), "--no-cache"]
    with judge_server() as server:
        more += ["--base-url", server.url]
        server.script = lambda asked: answer(said("I like it."))
        stopped = score(SCORE, data, out, *more)
        said_so = re.search(r"The judges took ([\d,]+) tokens, cost (\S+) \(in the", stopped.stderr)
        assert said_so
        assert 20 * TOKENS <= int(said_so[1].replace(",", "")) <= 30 * TOKENS
        server.script = lambda asked: verdict(1.0)
        ended = score(SCORE, data, out, *more)
    assert "(in the unit of the prices)" in ended.stdout


def test_a_judge_that_gave_no_answer_is_not_said_to_have_answered(
    tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(3))
    with judge_server() as server:
        server.script = lambda asked: error(500, "x")
        more = ["--base-url", server.url, "--judge-attempts", "1", "--no-cache", "--keep-going"]
        ended = score(SCORE, data, out, *more)
    assert "judge judge-1: judge-1, openai" in ended.stdout
    assert "answered" not in ended.stdout


def test_a_run_that_stopped_early_goes_through_when_the_judge_is_mended(
    tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(30))
    with judge_server() as server:
        more = ["--base-url", server.url, "--cache", str(tmp_path / "replies.sqlite")]
        server.script = lambda asked: answer(said("I like it."))
        assert score(SCORE, data, out, *more).exit_code == 1
        server.script = lambda asked: verdict(1.0)
        ended = score(SCORE, data, out, *more)
        assert (ended.exit_code, "over 30 rows" in ended.stdout) == (0, True)


def test_a_run_says_how_much_of_it_was_there(string_check: Any, tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(10))
    assert "before" not in score(string_check, data, out).stdout
    assert "Already complete: nothing was graded." in score(string_check, data, out).stdout
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]))
    ended = score(string_check, data, out)
    assert "4 rows had been graded before; 6 were left." in ended.stdout
    assert len(results(out)) == 10
    assert "Already" not in score(string_check, data, out, "--overwrite").stdout


def test_a_field_that_no_row_has_is_refused_at_once(
    string_check: Any, tmp_path: Path, out: Path
) -> None:
    flat = [{"label": "x", "completion": "x"}] * 5
    data = write_rows(tmp_path / "rows.jsonl", flat)
    ended = score(string_check, data, out, "--sample-field", "complet")
    assert (ended.exit_code, out.exists()) == (2, False)
    assert "have no field `complet` (its keys: label, completion)" in ended.stderr
    assert "Did you mean `completion`?" in ended.stderr
    outputs = write_rows(tmp_path / "outputs.jsonl", [{"id": 1, "text": "x"}] * 5)
    more = ["--outputs", str(outputs), "--sample-field", "txt"]
    ended = score(string_check, data, out, *more)
    assert (ended.exit_code, "Did you mean `text`?" in ended.stderr) == (2, True)
    later = write_rows(tmp_path / "later.jsonl", [{"label": "x"}] * 30 + flat)
    ended = score(string_check, later, out, "--sample-field", "completion")
    assert (ended.exit_code, "add --shape flat" in ended.stderr) == (2, True)
    more = ["--sample-field", "completion", "--shape", "flat", "--keep-going"]
    assert score(string_check, later, out, *more).exit_code == 0


@pytest.mark.parametrize(("mark", "name"), [(";", "`;`"), ("\t", "a tab"), ("|", "`|`")])
def test_a_table_with_another_delimiter_is_refused_by_its_name(
    string_check: Any, tmp_path: Path, out: Path, mark: str, name: str
) -> None:
    data = tmp_path / "table.csv"
    for header in (f"label{mark}answer", f'"label"{mark}"answer"'):
        data.write_text(f"{header}\nx{mark}x\n", encoding="utf-8")
        ended = score(string_check, data, out, "--sample-field", "answer")
        assert (ended.exit_code, out.exists()) == (1, False)
        assert f"the delimiter seems to be {name} (label, answer)" in ended.stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            '{"item": {} "model_sample": "x"}',
            'a comma or a closing bracket is missing at character 13, before \'"model_sample": "x"}\'',
        ),
        ('{"item": {}, "model_sample": "x"', "it ends too early: a comma or a closing bracket is"),
        ('{"item" {}}', "a colon is missing after a key at character 9, before '{}}'"),
        ("{'item': {}}", "a key in double quotes is expected (JSON has double quotes only) at"),
        ('{"item": {},}', "a key in double quotes is expected at character 13, before '}'"),
        (
            '{"item": None}',
            "a value is expected (JSON writes null, true and false) at character 10",
        ),
        ('{"item": "x', "it ends too early: a string is not closed"),
        ('{"item": 1} {}', "there is more text after the end of the JSON value at character 13"),
        ('{"item": "\t"}', "must be escaped in a string at character 11"),
        ('{"item": "\\q"}', "a string has a backslash that begins no escape at character 11"),
    ],
)
def test_a_line_that_is_no_json_is_explained_in_our_own_words(
    string_check: Any, tmp_path: Path, out: Path, line: str, reason: str
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [*cats(1), line])
    assert score(string_check, data, out).exit_code == 0
    found = results(out)[1]["flags"]["other_error"]
    assert reason in found
    assert "Expecting" not in found
    assert "line 1" not in found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_end_a_run_say_how_to_go_on(
    tmp_path: Path, out: Path, number: signal.Signals
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(3))
    with judge_server() as server:
        was_asked = threading.Event()

        def hold(asked: Any) -> Any:
            was_asked.set()
            return lambda conversation: conversation.state.closing.wait(60)

        server.script = hold
        process = subprocess.Popen(
            [
                sys.executable, "-m", "graders_engine", "score", "--grader", json.dumps(SCORE),
                "--data", str(data), "--out", str(out), "--base-url", server.url, "--no-cache",
            ],
            stderr=subprocess.PIPE, text=True, env=unmeasured(),
        )  # fmt: skip
        assert was_asked.wait(60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.strip() == "Interrupted. Run the same command again to resume."


def test_a_run_to_standard_output_that_is_stopped_names_no_file_of_its_own(
    string_check: Any, tmp_path: Path
) -> None:
    data = write_rows(
        tmp_path / "rows.jsonl", [{"item": {"n": n}, "model_sample": "x"} for n in range(20)]
    )
    ended = score(string_check, data, Path("-"))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "what was graded before is printed" in ended.stderr
    assert "--keep-going" in ended.stderr
    assert "results.jsonl" not in ended.stderr
