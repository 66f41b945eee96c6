"""Judges from the command line: cached replies, a kill during a run, agreement with human labels."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from tests.judges.judge_server import (
    Asked,
    JudgeServer,
    Reply,
    answer,
    error,
    judge_server,
    said,
    verdict,
    verdict_text,
)
from tests.judges.rows import LABEL, SCORE

KILLED_ROWS = int(os.environ.get("GRADERS_JUDGED_ROWS", "400"))
SECRET = "sk-not-to-be-seen"  # noqa: S105 - made up


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judge_server() as server:
        yield server


def called(*arguments: object) -> Result:
    return CliRunner().invoke(graders, [str(argument) for argument in arguments])


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"item": {"n": n}, "model_sample": f"answer <{n}>"} for n in range(count)]


def rewards_of(path: Path) -> list[float | None]:
    return [json.loads(line)["reward"] for line in path.read_text().splitlines()]


def by_number(asked: Asked) -> Reply:
    found = re.search(r"answer <(\d+)>", asked.text)
    assert found is not None
    return verdict(int(found[1]) % 10 / 10)


def test_a_second_run_sends_no_request(judge: JudgeServer, tmp_path: Path) -> None:
    judge.script = by_number
    data = write_rows(tmp_path / "rows.jsonl", numbered(30))
    command = ["score", "--grader", json.dumps(SCORE), "--data", data, "--base-url", judge.url]
    first = called(*command, "--out", tmp_path / "a.jsonl")
    assert first.exit_code == 0, first.output
    asked = len(judge.asked)
    again = called(*command, "--out", tmp_path / "b.jsonl")
    assert again.exit_code == 0, again.output
    assert asked == len(judge.asked) == 30
    assert rewards_of(tmp_path / "a.jsonl") == rewards_of(tmp_path / "b.jsonl")
    called(*command, "--out", tmp_path / "c.jsonl", "--no-cache")
    assert len(judge.asked) == 60


def test_a_report_tells_tokens_that_were_spent_from_those_that_were_saved(
    judge: JudgeServer, tmp_path: Path
) -> None:
    judge.script = by_number
    data = write_rows(tmp_path / "rows.jsonl", numbered(10) + numbered(10))
    command = ["score", "--grader", json.dumps(SCORE), "--data", data, "--base-url", judge.url]
    tokens = []
    for name in ("first.jsonl", "again.jsonl"):
        assert called(*command, "--out", tmp_path / name).exit_code == 0
        numbers = json.loads(called("report", tmp_path / name, "--no-html", "--json").stdout)
        spent = sum(used["total_tokens"] for used in numbers["judges"].values())
        tokens.append((spent, numbers["saved_tokens"]))
    assert len(judge.asked) == 10
    assert tokens == [(490, 490), (0, 980)]  # 49 for each request
    text = called("report", tmp_path / "again.jsonl", "--no-html").stdout
    assert "980 tokens were not spent again" in text


def test_the_cache_is_shown_and_cleared(judge: JudgeServer, tmp_path: Path) -> None:
    judge.script = by_number
    cache = tmp_path / "kept.sqlite"
    assert "no replies are kept" in called("cache", "info", "--cache", cache).output
    run = ["run", "--grader", json.dumps(SCORE), "--model-sample", "answer <3>", "--cache", cache]
    assert called(*run, "--base-url", judge.url, "--field", "reward").output == "0.3\n"
    shown = called("cache", "info", "--cache", cache).output
    assert "replies  1, which took 49 tokens" in shown
    assert "judge-1-2026  1" in shown
    assert "deleted 1 reply" in called("cache", "clear", "--cache", cache).output
    assert "replies  0" in called("cache", "info", "--cache", cache).output


def test_run_caches_no_reply_by_default(judge: JudgeServer) -> None:
    run = ["run", "--grader", json.dumps(SCORE), "--model-sample", "x", "--base-url", judge.url]
    called(*run)
    called(*run)
    assert len(judge.asked) == 2


def test_cached_answers_are_not_asked_for_again_after_a_kill(
    judge: JudgeServer, tmp_path: Path
) -> None:
    killed = threading.Event()

    def hold_after_half(asked: Asked) -> Reply:
        reply = by_number(asked)
        if len(judge.asked) <= KILLED_ROWS // 2:
            return reply

        def answer_after_the_kill(conversation: Any) -> None:
            killed.wait(60)
            reply(conversation)

        return answer_after_the_kill

    judge.script = hold_after_half
    data, out = write_rows(tmp_path / "rows.jsonl", numbered(KILLED_ROWS)), tmp_path / "out.jsonl"
    command = [
        sys.executable, "-m", "graders_engine", "score", "--quiet", "--grader", json.dumps(SCORE),
        "--data", str(data), "--out", str(out), "--base-url", judge.url, "--concurrency", "16",
    ]  # fmt: skip
    process = subprocess.Popen(command)
    while len(judge.asked) <= KILLED_ROWS // 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.set()
    subprocess.run(command, check=True)
    assert rewards_of(out) == [n % 10 / 10 for n in range(KILLED_ROWS)]
    times = Counter(asked.text for asked in judge.asked)
    assert len(times) == KILLED_ROWS
    # Only what was in flight at the kill, at most one request a slot, may be asked for again.
    assert sum(times.values()) - KILLED_ROWS <= 16


def test_an_outage_is_a_failed_row_and_not_a_zero(judge: JudgeServer, tmp_path: Path) -> None:
    judge.script = lambda asked: error(500, "down") if "<2>" in asked.text else by_number(asked)
    data, out = write_rows(tmp_path / "rows.jsonl", numbered(4)), tmp_path / "out.jsonl"
    command = ["score", "--grader", json.dumps(SCORE), "--data", data, "--out", out]
    ended = called(*command, "--base-url", judge.url, "--judge-attempts", "1")
    assert re.search(r"^failed +1 ", ended.output, re.MULTILINE), ended.output
    assert rewards_of(out) == [0.0, 0.1, None, 0.3]
    judge.script = by_number
    again = called(*command, "--base-url", judge.url, "--retry-failed")
    assert again.exit_code == 0, again.output
    assert rewards_of(out) == [0.0, 0.1, 0.2, 0.3]
    assert Counter(asked.text for asked in judge.asked).most_common(1)[0][1] == 2


def test_an_exhausted_budget_stops_the_run_which_can_be_resumed(
    judge: JudgeServer, tmp_path: Path
) -> None:
    judge.script = by_number
    data, out = write_rows(tmp_path / "rows.jsonl", numbered(20)), tmp_path / "out.jsonl"
    command = ["score", "--grader", json.dumps(SCORE), "--data", data, "--out", out]
    command += ["--base-url", judge.url]
    stopped = called(*command, "--max-tokens", 10 * 49)
    assert stopped.exit_code == 1
    assert "The budget for judges is spent" in stopped.output
    assert len(judge.asked) == 10
    assert called(*command, "--max-tokens", 10 * 49).exit_code == 0
    assert rewards_of(out) == [n % 10 / 10 for n in range(20)]
    assert len(judge.asked) == 20


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 0}, {"totalTokens": 49}])
def test_a_budget_of_tokens_stops_behind_the_first_reply_of_a_judge_that_reports_none(
    judge: JudgeServer, tmp_path: Path, usage: dict[str, int] | None
) -> None:
    judge.script = lambda asked: answer({**said(verdict_text(1)), "usage": usage})
    data, out = write_rows(tmp_path / "rows.jsonl", numbered(20)), tmp_path / "out.jsonl"
    command = ["score", "--grader", json.dumps(SCORE), "--data", data, "--out", out]
    command += ["--base-url", judge.url]
    stopped = called(*command, "--max-tokens", 1000)
    assert stopped.exit_code == 1
    assert "The budget for judges cannot be kept" in stopped.output
    assert len(judge.asked) == 1
    assert called(*command).exit_code == 0


def test_a_key_is_in_no_file_and_no_output_of_a_run(
    judge: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    judge.script = lambda asked: error(401, "no") if "<1>" in asked.text else by_number(asked)
    data = write_rows(tmp_path / "rows.jsonl", numbered(3))
    ended = called(
        "score", "--grader", json.dumps(SCORE), "--data", data, "--out", tmp_path / "out.jsonl",
        "--base-url", judge.url, "--cache", tmp_path / "cache.sqlite", "--record", tmp_path / "record",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert judge.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) >= 5
    assert not [path for path in left if SECRET.encode() in path.read_bytes()]
    assert SECRET not in ended.output


def test_judge_check_measures_agreement_with_people_and_with_itself(
    judge: JudgeServer, tmp_path: Path
) -> None:
    def unsure(asked: Asked) -> Reply:
        if "<0>" in asked.text:  # changes its mind from one repeat to the next
            return verdict("rude" if asked.body["seed"] % 2 else "kind")
        return verdict("plain")

    judge.script = unsure
    people = ["rude", "plain", "plain", "kind", "plain", None]
    rows = [{**row, "human": label} for row, label in zip(numbered(6), people, strict=True)]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    ended = called(
        "judge-check", "--grader", json.dumps(LABEL), "--data", data, "--human", "human",
        "--base-url", judge.url, "--judge-repeats", 2, "--json",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.output)
    assert found["unlabelled"] == 1
    assert found["agreement"]["rows"] == 5
    assert found["agreement"]["matching"]["agreement"]["value"] == 0.6
    assert found["agreement"]["matching"]["constant"] == "plain"
    assert found["agreement"]["flips"]["flipped"] == 0.2
    assert found["usage"]["judge-1-2026"]["total_tokens"] == 10 * 49
    assert len(judge.asked) == 10
    text = called(
        "judge-check", "--grader", json.dumps(LABEL), "--data", data, "--human", "human",
        "--base-url", judge.url, "--judge-repeats", 2,
    )  # fmt: skip
    assert "60.0 %" in text.output
    assert "for a judge that always says 'plain'" in text.output
    assert len(judge.asked) == 10


def test_judge_check_without_labels_names_the_missing_field(
    judge: JudgeServer, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", numbered(2))
    ended = called(
        "judge-check", "--grader", json.dumps(SCORE), "--data", data, "--human", "score",
        "--base-url", judge.url,
    )  # fmt: skip
    assert ended.exit_code == 1
    assert "has a label under 'score'" in ended.output
    assert not judge.asked


def test_control_characters_in_an_error_of_a_judge_are_escaped(judge: JudgeServer) -> None:
    judge.script = lambda asked: error(400, "\x1b[2J gone")
    ended = called(
        "run", "--grader", json.dumps(SCORE), "--model-sample", "x", "--base-url", judge.url
    )
    assert "\x1b" not in ended.stderr
    assert "gone" in ended.stderr
