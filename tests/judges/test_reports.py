"""Faults and budgets as a user of the command line meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.models.cache import ReplyStore
from tests.judges import judge_server as judge
from tests.judges.judge_server import USED, JudgeServer, answer, error, judge_server, said
from tests.judges.rows import SCORE, row

REPLIES: dict[str, judge.Reply] = {
    "good": judge.verdict(1),
    "poor": judge.verdict(0),
    "prose": answer(said("I like it.")),
    "refused": answer(said(None, refusal="No.")),
    "long": answer(said('{"steps"', finish="length")),
    "down": error(400, "out of order"),
    "page": judge.http(200, b"<html>"),
    "lost": judge.reset_midway,
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        opened.script = lambda asked: REPLIES[asked.text.split("answer: ")[1].split()[0]]
        yield opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    texts = [*(f"{kind} x" for kind in REPLIES), "good y", "good z", "poor y"]
    path.write_text("".join(json.dumps(row(text)) + "\n" for text in texts))
    return path


def score(server: JudgeServer, data: Path, *more: str, out: str = "out.jsonl") -> Result:
    arguments = ["score", "--grader", json.dumps(SCORE), "--data", str(data), "--judge-attempts", "1",
                 "--out", str(data.with_name(out)), "--base-url", server.url, *more]  # fmt: skip
    return CliRunner().invoke(graders, arguments)


def results(data: Path, out: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.with_name(out).read_text().splitlines()]


def test_a_report_keeps_failed_rows_apart_from_zeros(server: JudgeServer, data: Path) -> None:
    done = score(server, data)
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    # Five of eleven have a reward: three ones and two zeros; an outage is in neither.
    assert lines["mean"].startswith("mean reward  0.6000")
    assert lines["scored"].split()[1] == "5"
    assert lines["invalid"].split()[1] == "3"
    assert lines["failed"].split()[1] == "3"
    assert "not a zero" in lines["failed"]
    by_status = Counter(one["status"] for one in results(data))
    assert by_status == {"scored": 5, "invalid": 3, "failed": 3}
    for one in results(data):
        assert (one["reward"] is None) == (one["status"] != "scored")
        assert one.get("usage", {}) == ({} if one["status"] == "failed" else {"judge-1-2026": USED})


def test_each_flag_is_in_the_report_and_in_the_results(server: JudgeServer, data: Path) -> None:
    done = score(server, data)
    counted = Counter(flag for one in results(data) for flag in one["flags"])
    assert counted == {
        "model_grader_server_error": 3,
        "model_grader_parse_error": 1,
        "model_grader_refusal_error": 1,
        "model_grader_exceeded_max_tokens_error": 1,
    }
    assert all(flag in done.stdout for flag in counted)


def test_only_failed_rows_are_tried_again(server: JudgeServer, data: Path) -> None:
    score(server, data)
    server.asked.clear()
    server.script = lambda asked: judge.verdict(0.5)
    done = score(server, data, "--retry-failed", "--no-cache")
    assert done.exit_code == 0, done.output
    again = sorted(asked.text.split("answer: ")[1].split()[0] for asked in server.asked)
    assert again == ["down", "lost", "page"]
    assert Counter(one["status"] for one in results(data)) == {"scored": 8, "invalid": 3}


@pytest.mark.parametrize(
    ("kind", "flag", "paid"),
    [
        ("down", "model_grader_server_error", False),
        ("prose", "model_grader_parse_error", True),
        ("refused", "model_grader_refusal_error", True),
        ("long", "model_grader_exceeded_max_tokens_error", True),
    ],
)
def test_the_wire_form_serves_a_zero_with_the_flag_and_the_tokens(
    server: JudgeServer, kind: str, flag: str, paid: bool
) -> None:
    asked = CliRunner().invoke(
        graders,
        ["run", "--grader", json.dumps(SCORE), "--model-sample", f"{kind} x",
         "--base-url", server.url, "--judge-attempts", "1"],
    )  # fmt: skip
    assert asked.exit_code == 0
    answered = json.loads(asked.stdout)
    assert answered["reward"] == 0.0
    assert [key for key, value in answered["metadata"]["errors"].items() if value is True] == [flag]
    assert answered["metadata"]["token_usage"] == (49 if paid else None)
    used = answered["model_grader_token_usage_per_model"]
    assert used == ({"judge-1-2026": USED} if paid else {})
    assert flag in asked.stderr


def test_a_budget_stops_the_run_and_a_larger_one_goes_on_and_pays_nothing_twice(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.script = lambda asked: judge.verdict(0.5)
    data = tmp_path / "many.jsonl"
    data.write_text("".join(json.dumps(row(f"{n} x")) + "\n" for n in range(40)))
    stopped = score(server, data, "--max-tokens", str(49 * 10), "--concurrency", "4")
    assert stopped.exit_code != 0
    assert "budget for judges is spent" in stopped.stderr
    assert "run the same command with a larger budget to resume" in stopped.stderr
    assert "Traceback" not in stopped.output
    assert len(server.asked) == 10
    kept = results(data)
    assert [one["line"] for one in kept] == list(range(1, len(kept) + 1))
    assert all(one["status"] == "scored" for one in kept)
    assert len(kept) >= 10 - 4
    done = score(server, data, "--max-tokens", str(49 * 100), "--concurrency", "4")
    assert done.exit_code == 0, done.output
    assert len(results(data)) == len(server.asked) == 40
    assert results(data)[: len(kept)] == kept


def test_a_killed_run_goes_on_without_asking_again_for_what_it_kept(
    server: JudgeServer, tmp_path: Path
) -> None:
    rows = 200
    data, out, cache = (tmp_path / name for name in ("many.jsonl", "out.jsonl", "replies.sqlite"))
    data.write_text("".join(json.dumps(row(f"{n} x")) + "\n" for n in range(rows)))
    enough = threading.Event()

    def reply(asked: judge.Asked) -> judge.Reply:
        if len(server.asked) == 120:
            enough.set()
        return judge.verdict(0.5)

    server.script = reply
    command = [sys.executable, "-m", "graders_engine", "score", "--grader", json.dumps(SCORE),
               "--data", str(data), "--out", str(out), "--cache", str(cache),
               "--base-url", server.url, "--concurrency", "8"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        assert enough.wait(60)
        run.kill()
    store = ReplyStore(cache)
    kept = store.info().replies
    store.close()
    # All that was answered, but for what was under way, is on disk.
    assert 120 - 8 <= kept <= rows
    server.asked.clear()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert len(server.asked) == rows - kept
    assert [one["status"] for one in results(data)] == ["scored"] * rows


def test_score_ends_with_what_its_judges_took(server: JudgeServer, data: Path) -> None:
    scored = score(server, data).stdout
    reported = CliRunner().invoke(graders, ["report", str(data.with_name("out.jsonl"))]).stdout
    took = re.compile(r"^judges\n(?:  .*\n)+", re.MULTILINE)
    assert took.findall(scored) == took.findall(reported)
    assert " prompt tokens " in took.findall(scored)[0]


def test_a_budget_in_money_stops_as_well(server: JudgeServer, tmp_path: Path) -> None:
    server.script = lambda asked: judge.verdict(0.5)
    data = tmp_path / "many.jsonl"
    data.write_text("".join(json.dumps(row(f"{n} x")) + "\n" for n in range(20)))
    config = tmp_path / "prices.toml"
    config.write_text('[prices."judge-1"]\ninput = 10000\noutput = 100000\n')  # 1.30 a request
    stopped = score(server, data, "--max-cost", "8", "--config", str(config))
    assert re.search(r"the cost so far is [0-9.]+ of 8, and ", stopped.stderr)
    assert len(server.asked) == 6


def test_numbers_outside_a_range_and_parts_left_out_are_counted_wherever_the_numbers_are(
    server: JudgeServer, tmp_path: Path
) -> None:
    def script(asked: judge.Asked) -> judge.Reply:
        if "temperature" in asked.body:
            return error(400, "temperature is not supported")
        return judge.verdict(7 if "high" in asked.text else 1)

    server.script = script
    data, record = tmp_path / "data.jsonl", str(tmp_path / "record")
    data.write_text("".join(json.dumps(row(text)) + "\n" for text in ("high 1", "high 2", "fair")))
    grader = {**SCORE, "sampling_params": {"temperature": 0}}
    multi = {
        "type": "multi", "name": "both", "calculate_output": "(tight + wide) / 2",
        "graders": {"tight": grader, "wide": {**grader, "range": [0, 9]}},
    }  # fmt: skip
    outside = "in 2 of 3 rows the judge's number was outside the range of"
    without = "judge-1 was asked without `temperature` for 3 of 3 rows"
    asks = ["--base-url", server.url, "--cache", str(tmp_path / "cache.sqlite")]
    runs = {
        "asked": (grader, "", [*asks, "--record", record]),
        "kept": (grader, "", asks),
        "replayed": (grader, "", ["--replay", record]),
        "parts": (multi, "tight", asks),
    }
    for name, (spec, key, more) in runs.items():
        out = str(tmp_path / f"{name}.jsonl")
        command = ["score", "--grader", json.dumps(spec), "--data", str(data), "--out", out, *more]
        done = CliRunner().invoke(graders, command)
        reported = CliRunner().invoke(graders, ["report", out])
        page = Path(f"{out}.html").read_text()
        for text in (done.stdout, reported.stdout, page):
            assert outside in text.replace("&#39;", "'")
            assert without in text
        meta = json.loads(Path(f"{out}.meta.json").read_text())["judged"]
        for again in (["report", out, "--json"], [*command, "--json"]):
            numbers = json.loads(CliRunner().invoke(graders, again).stdout)
            assert numbers["clamped"] == meta["clamped"] == {key: 2}
            assert numbers["left_out"] == meta["left_out"] == {"judge-1": {"temperature": 3}}
    assert [one.get("clamped") for one in results(data, "kept.jsonl")] == [{"": 7}, {"": 7}, None]


def test_a_row_without_a_verdict_is_counted_among_those_with_parts_left_out(
    server: JudgeServer, data: Path
) -> None:
    grader = {**SCORE, "sampling_params": {"seed": 1}}
    server.script = lambda asked: (
        error(400, "seed is not supported") if "seed" in asked.body else answer(said("I like it."))
    )
    out = str(data.with_name("out.jsonl"))
    command = ["score", "--grader", json.dumps(grader), "--data", str(data), "--out", out,
               "--base-url", server.url, "--json"]  # fmt: skip
    numbers = json.loads(CliRunner().invoke(graders, command).stdout)
    assert numbers["left_out"] == {"judge-1": {"seed": numbers["invalid"]}}
