"""Replies recorded to a folder and given back from it, without any network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidRequest
from graders_engine.cli.main import graders
from graders_engine.errors import BackendFailure
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.recorded import TRANSCRIPT, Recorded, Transcript
from graders_engine.models.scripted import Scripted
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, judge_server
from tests.judges.rows import LABEL, SCORE, judging, row, rows, unsaved

MULTI: dict[str, Any] = {
    "type": "multi",
    "name": "both",
    "graders": {"score": SCORE, "tone": LABEL},
    "calculate_output": "(score + tone) / 2",
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def kind_or_number(asked: judge.Asked) -> judge.Reply:
    label = "enum" in json.dumps(asked.body)
    return judge.verdict("kind" if label else len(asked.text) % 5 / 4)


def recorded(endpoint: Any, folder: Path, **settings: Any) -> list[Any]:
    with Engine(judges=judging(endpoint, record=folder, **settings)) as engine:
        return unsaved(engine.score(MULTI, rows(8)))


def replayed(folder: Path, **settings: Any) -> list[Any]:
    with Engine(judges=JudgeSettings(replay=folder, **settings)) as engine:
        return unsaved(engine.score(MULTI, rows(8)))


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_replay_gives_what_was_recorded_and_asks_nobody(
    server: JudgeServer, tmp_path: Path, repeats: int
) -> None:
    server.script = kind_or_number
    first = recorded(server.url, tmp_path, repeats=repeats)
    asked = len(server.asked)
    assert asked == 16 * repeats
    assert replayed(tmp_path, repeats=repeats) == first
    assert len(server.asked) == asked
    assert all(outcome.status == "scored" for outcome in first)


def test_a_transcript_holds_under_any_map_of_models(server: JudgeServer, tmp_path: Path) -> None:
    server.script = kind_or_number
    first = recorded(server.url, tmp_path, models={"*": "some-model"})
    assert {asked.body["model"] for asked in server.asked} == {"some-model"}
    assert replayed(tmp_path, models={"*": "other@nowhere"}) == first


def test_refusals_and_cut_off_answers_are_replayed_too(server: JudgeServer, tmp_path: Path) -> None:
    for reply in (judge.said(None, refusal="no"), judge.said("{", finish="length")):
        server.answers(judge.answer(reply))
        first = recorded(server.url, tmp_path / str(len(server.asked)))
        assert replayed(tmp_path / str(len(server.asked) - 16)) == first


def test_what_was_not_recorded_is_a_failed_row_that_says_so(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.script = kind_or_number
    recorded(server.url, tmp_path)
    with Engine(judges=JudgeSettings(replay=tmp_path)) as engine:
        known, unknown = engine.score(MULTI, [*rows(1), row("never seen")])
    assert known.status == "scored"
    assert (unknown.status, unknown.reward) == ("failed", None)
    assert "has no reply to this request" in unknown.flags["model_grader_server_error"]


def test_an_outage_is_not_recorded(server: JudgeServer, tmp_path: Path) -> None:
    server.answers(judge.error(400, "no"))
    assert all(outcome.status == "failed" for outcome in recorded(server.url, tmp_path))
    assert (tmp_path / TRANSCRIPT).read_bytes() == b""
    assert all(outcome.status == "failed" for outcome in replayed(tmp_path))


def test_the_same_request_is_written_once_and_a_second_run_adds_to_the_first(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.script = kind_or_number
    recorded(server.url, tmp_path)
    once = (tmp_path / TRANSCRIPT).read_bytes()
    recorded(server.url, tmp_path)
    assert (tmp_path / TRANSCRIPT).read_bytes() == once
    with Engine(judges=judging(server.url, record=tmp_path)) as engine:
        list(engine.score(MULTI, [row("one more")]))
    assert (tmp_path / TRANSCRIPT).read_bytes().startswith(once)
    assert len((tmp_path / TRANSCRIPT).read_text().splitlines()) == 18


def test_kept_replies_are_recorded_as_well(server: JudgeServer, tmp_path: Path) -> None:
    server.script = kind_or_number
    cache = tmp_path / "replies.sqlite"
    first = recorded(server.url, tmp_path / "one", cache=cache)
    asked = len(server.asked)
    assert recorded(server.url, tmp_path / "two", cache=cache) == first
    assert len(server.asked) == asked
    assert replayed(tmp_path / "two") == first


def test_each_line_shows_the_request_and_the_reply(server: JudgeServer, tmp_path: Path) -> None:
    server.script = kind_or_number
    recorded(server.url, tmp_path)
    lines = (tmp_path / TRANSCRIPT).read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        assert set(line) == {"key", "request", "reply"}
        assert line["request"]["model"] == "judge-1"
        assert line["reply"]["usage"]["total_tokens"] == 49


def test_a_line_torn_by_a_kill_is_left_out_and_recorded_again(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.script = kind_or_number
    first = recorded(server.url, tmp_path)
    transcript = tmp_path / TRANSCRIPT
    whole = transcript.read_bytes()
    transcript.write_bytes(whole[:-40])
    assert sum(outcome.status == "failed" for outcome in replayed(tmp_path)) == 1
    assert recorded(server.url, tmp_path) == first
    assert sorted(transcript.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("line", [b"hello", b"{}", b"[1]", b'{"key": 1}', b"\xff\xfe", b"null"])
def test_a_spoilt_line_is_a_sentence_with_its_number(tmp_path: Path, line: bytes) -> None:
    good = json.dumps({"key": "k", "request": {}, "reply": {"text": "", "model": "m"}}).encode()
    (tmp_path / TRANSCRIPT).write_bytes(good + b"\n" + line + b"\n" + good + b"\n")
    for opened in (Recorded, Transcript):
        with pytest.raises(InvalidRequest, match="line 2, is not an exchange"):
            opened(tmp_path)


def test_no_transcript_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="make one with --record"):
        replayed(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match=r"--record .*file"):
        recorded(Scripted(0.5), tmp_path / "file")


def test_recording_and_replaying_at_once_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="not both at once"):
        Engine(judges=JudgeSettings(record=tmp_path, replay=tmp_path))


def test_a_fault_in_the_transcript_s_reply_is_the_row_s_as_before(tmp_path: Path) -> None:
    faults = Scripted([BackendFailure("no"), 0.5, "prose", 0.25], name="m")
    with Engine(judges=judging(faults, record=tmp_path), concurrency=1) as engine:
        live = [(one.status, one.reward) for one in engine.score(SCORE, rows(4))]
    with Engine(judges=JudgeSettings(replay=tmp_path)) as engine:
        again = [(one.status, one.reward) for one in engine.score(SCORE, rows(4))]
    assert live == again
    assert [status for status, _ in live] == ["failed", "scored", "invalid", "scored"]


def test_the_command_line_records_and_replays(server: JudgeServer, tmp_path: Path) -> None:
    server.script = kind_or_number
    grader = ["run", "--grader", json.dumps(MULTI), "--model-sample", "x", "--field", "reward"]
    tape = str(tmp_path / "tape")
    live = CliRunner().invoke(graders, [*grader, "--base-url", server.url, "--record", tape])
    shutil.move(tape, tmp_path / "moved")
    again = CliRunner().invoke(graders, [*grader, "--replay", str(tmp_path / "moved")])
    assert (live.exit_code, again.exit_code) == (0, 0)
    assert live.stdout == again.stdout
    assert len(server.asked) == 2
    assert again.stderr == ""
    other = ["--replay", str(tmp_path / "moved"), "--judge-model", "other", "--map", "a=b"]
    unheard = CliRunner().invoke(graders, [*grader, *other])
    assert unheard.stdout == live.stdout
    assert unheard.stderr == (
        "note: with --replay nobody is asked: the replies are the recorded ones, whatever "
        "--judge-model and --map say\n"
    )
