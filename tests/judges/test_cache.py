"""Replies kept on disk: nothing is paid twice, and no reply is given to another question."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from graders_engine import DataSetError, Engine
from graders_engine.cli.main import graders
from graders_engine.errors import BackendFailure
from graders_engine.models.base import (
    ImagePart,
    ModelMessage,
    ModelRequest,
    Sampling,
    TextPart,
    fingerprint,
)
from graders_engine.models.cache import Cached, ReplyStore, default_path
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, judge_server
from tests.judges.rows import SCORE, judging, row, rows, unsaved
from tests.judges.test_conformance import asking


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "replies.sqlite"


def grade(endpoint: Any, path: Path, grader: dict[str, Any] = SCORE, **settings: Any) -> list[Any]:
    with Engine(judges=judging(endpoint, cache=path, **settings)) as engine:
        return list(engine.score(grader, rows(20)))


def test_a_second_run_asks_nobody_and_gives_the_same(server: JudgeServer, path: Path) -> None:
    server.script = lambda asked: judge.verdict(len(asked.text) % 7 / 7)
    first = grade(server.url, path)
    second = grade(server.url, path)
    assert len(server.asked) == 20
    assert unsaved(second) == unsaved(first)
    assert all(one.status == "scored" for one in first)


def test_tokens_of_kept_replies_are_saved_and_not_spent(server: JudgeServer, path: Path) -> None:
    used = {"judge-1-2026": Usage(**judge.USED)}
    for reply in (judge.verdict(0.5), judge.answer(judge.said(None, refusal="no"))):
        server.answers(reply)
        path.unlink(missing_ok=True)
        first, second = grade(server.url, path), grade(server.url, path)
        assert [(one.outcome.spent, one.outcome.saved) for one in first] == 20 * [(used, {})]
        assert [(one.outcome.spent, one.outcome.saved) for one in second] == 20 * [({}, used)]


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    grade(Scripted(0.5), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_verdicts_and_refusals_are_kept_but_no_outage_and_no_answer_without_a_verdict(
    server: JudgeServer, path: Path
) -> None:
    kept = [
        judge.answer(judge.said(None, refusal="no")),
        judge.verdict(0.5),
    ]
    unreadable = (None, " ", "prose", '{"score": 1}', '{"steps": [], "result": "high"}')
    unfinished = [judge.answer(judge.said(text)) for text in unreadable]
    unfinished.append(judge.answer(judge.said("{", finish="length")))
    page = judge.http(200, b"<html>")
    not_kept = [*unfinished, judge.error(400, "no"), page, judge.hang_up]
    for number, reply in enumerate([*kept, *not_kept]):
        server.asked.clear()
        server.answers(reply)
        for _ in range(2):
            with Engine(judges=judging(server.url, cache=path)) as engine:
                graded = engine.run(SCORE, model_sample=f"row {number}")
                assert (graded.reward == 0.5) is (number == 1)
        tries = 3 if reply in (page, judge.hang_up) else 1
        assert len(server.asked) == (1 if reply in kept else 2 * tries)


def test_an_answer_without_a_verdict_that_is_in_the_cache_is_asked_for_again_and_replaced(
    server: JudgeServer, path: Path
) -> None:
    server.script = lambda asked: judge.verdict(0.5)
    grade(server.url, path)
    with sqlite3.connect(path) as file:  # as earlier versions kept it
        file.execute("UPDATE replies SET reply = ?", (b'{"text": "prose", "model": "m"}',))
    server.asked.clear()
    assert [graded.reward for graded in grade(server.url, path)] == [0.5] * 20
    assert len(server.asked) == 20
    assert [graded.reward for graded in grade(server.url, path)] == [0.5] * 20
    assert len(server.asked) == 20


REQUEST = ModelRequest(
    "judge-1",
    (ModelMessage("user", (TextPart("a"), ImagePart("data:,x", "low"))),),
    {"type": "object"},
    Sampling(5, "low", 1, 0.5, 0.5),
)
OTHERS = {
    "model": msgspec.structs.replace(REQUEST, model="judge-2"),
    "schema": msgspec.structs.replace(REQUEST, schema={"type": "array"}),
    "repeat": msgspec.structs.replace(REQUEST, repeat=1),
    "role": msgspec.structs.replace(
        REQUEST, messages=(ModelMessage("system", REQUEST.messages[0].parts),)
    ),
    "a second message": msgspec.structs.replace(REQUEST, messages=REQUEST.messages * 2),
    "parts parted otherwise": msgspec.structs.replace(
        REQUEST,
        messages=(
            ModelMessage("user", (TextPart("a"),)),
            ModelMessage("user", (ImagePart("data:,x", "low"),)),
        ),
    ),
    "detail": msgspec.structs.replace(
        REQUEST, messages=(ModelMessage("user", (TextPart("a"), ImagePart("data:,x"))),)
    ),
    **{
        name: msgspec.structs.replace(
            REQUEST, sampling=msgspec.structs.replace(REQUEST.sampling, **{name: other})
        )
        for name, other in {
            "max_tokens": 6,
            "reasoning_effort": None,
            "seed": 2,
            "temperature": 0.0,
            "top_p": 1.0,
        }.items()
    },
}


def test_whatever_can_change_the_answer_changes_the_key() -> None:
    keys = [fingerprint(request, "here") for request in (REQUEST, *OTHERS.values())]
    assert len({*keys, fingerprint(REQUEST, "there")}) == len(OTHERS) + 2
    equal = msgspec.structs.replace(REQUEST, schema={"type": "object"})
    assert fingerprint(equal, "here") == keys[0]


def test_the_order_of_a_schema_s_keys_changes_no_key() -> None:
    one = msgspec.structs.replace(REQUEST, schema={"a": 1, "b": 2})
    other = msgspec.structs.replace(REQUEST, schema={"b": 2, "a": 1})
    assert fingerprint(one) == fingerprint(other)


def test_endpoints_and_what_is_told_to_them_keep_their_replies_apart() -> None:
    base = "http://127.0.0.1:1/v1"
    settings = [
        EndpointSettings(base_url=base),
        EndpointSettings(base_url="http://127.0.0.1:2/v1"),
        EndpointSettings(base_url=base, api="responses"),
        EndpointSettings(base_url=base, structured="text"),
        EndpointSettings(base_url=base, extra_body={"top_k": 1}),
        EndpointSettings(base_url=base, extra_body={"top_k": 2}),
        EndpointSettings(base_url=base, query={"api-version": "1"}),
    ]
    assert len({OpenAIBackend(each).signature for each in settings}) == len(settings)
    same: list[EndpointSettings | str] = [
        base,
        f"{base}/",
        EndpointSettings(base_url=base, concurrency=3),
    ]
    assert len({OpenAIBackend(each).signature for each in same}) == 1


def test_another_endpoint_is_asked_for_itself(server: JudgeServer, path: Path) -> None:
    server.answers(judge.verdict(0.25))
    with judge_server() as other:
        assert {one.reward for one in grade(server.url, path)} == {0.25}
        assert {one.reward for one in grade(other.url, path)} == {1.0}
        assert (len(server.asked), len(other.asked)) == (20, 20)


def test_another_grader_with_the_same_question_is_not_asked_again(
    server: JudgeServer, path: Path
) -> None:
    grade(server.url, path)
    grade(server.url, path, {**SCORE, "name": "other", "range": [0, 5]})
    assert len(server.asked) == 20
    grade(server.url, path, {**SCORE, "sampling_params": {"temperature": 0.5}})
    assert len(server.asked) == 40


PROCESS = """
import sys
from pathlib import Path
from graders_engine import Engine
from tests.judges.rows import SCORE, judging, rows
with Engine(judges=judging(sys.argv[1], cache=Path(sys.argv[2]))) as engine:
    graded = list(engine.score(SCORE, rows(100)))
print(sum(row.status == "scored" for row in graded))
"""


def test_processes_at_once_share_one_file(server: JudgeServer, path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, server.url, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["100"] * 4
    assert 100 <= len(server.asked) <= 400
    before = len(server.asked)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert len(server.asked) == before


@pytest.mark.parametrize(
    "content",
    [b"not a database, but a file of another kind" * 100, b"SQLite format 3\0" + b"x" * 4000],
)
def test_a_file_that_is_no_cache_is_a_sentence(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with (
        Engine(judges=judging(Scripted(0.5), cache=path)) as engine,
        pytest.raises(DataSetError, match=r"cache cannot be used: .*replies.sqlite"),
    ):
        engine.run(SCORE, model_sample="x")
    assert path.read_bytes() == content


def test_another_program_s_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE mail (text)")
    file.close()
    before = path.read_bytes()
    with pytest.raises(DataSetError, match="the database of another program"):
        ReplyStore(path)
    assert path.read_bytes() == before


def test_a_cache_of_another_version_is_a_sentence(path: Path) -> None:
    ReplyStore(path).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(DataSetError, match="another version"):
        ReplyStore(path)


@pytest.mark.parametrize("reply", [b"", b"{", b"[]", b'{"text": 5, "model": "x"}', b"\xff"])
def test_a_reply_that_was_spoilt_stops_the_run_with_a_sentence(path: Path, reply: bytes) -> None:
    store = ReplyStore(path)
    cached = Cached(Scripted(0.5), store)
    asyncio.run(cached.complete(asking("x")))
    with sqlite3.connect(path) as file:
        file.execute("UPDATE replies SET reply = ?", (reply,))
    file.close()
    with pytest.raises(DataSetError, match="cannot be read"):
        asyncio.run(cached.complete(asking("x")))
    store.close()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "replies.sqlite", tmp_path):
        with pytest.raises(DataSetError, match="--no-cache"):
            ReplyStore(place)


def test_an_equal_request_is_never_paid_twice_whenever_it_comes(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        for turns in range(12):  # of the event loop, from the first request to the second
            backend = Scripted(0.5)
            cached = Cached(backend, store)
            request = asking(f"{turns}")
            first = asyncio.create_task(cached.complete(request))
            for _ in range(turns):
                await asyncio.sleep(0)
            replies = [await cached.complete(request), await first]
            assert len(backend.requests) == 1, turns
            assert sorted(reply.kept for reply in replies) == [False, True]
        store.close()

    asyncio.run(main())


def test_the_store_says_what_it_holds_and_forgets_it(path: Path) -> None:
    store = ReplyStore(path)
    assert store.info().oldest is None
    backend = Cached(Scripted([0.5, BackendFailure("no")]), store)
    asyncio.run(backend.complete(asking("x")))
    with pytest.raises(BackendFailure):
        asyncio.run(backend.complete(asking("y")))
    info = store.info()
    assert (info.replies, info.models, info.path) == (1, {"judge-1": 1}, path)
    assert info.total_tokens > 0
    assert info.file_bytes > 0
    assert store.clear() == 1
    assert store.info().replies == 0
    store.close()


def test_scoring_keeps_replies_unless_it_is_told_not_to(
    server: JudgeServer, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row(f"{n}")) + "\n" for n in range(3)))

    def run(*more: str) -> int:
        before = len(server.asked)
        arguments = ["score", "--grader", json.dumps(SCORE), "--data", str(data), "--overwrite",
                     "--out", str(tmp_path / "out.jsonl"), "--base-url", server.url, *more]  # fmt: skip
        done = CliRunner().invoke(graders, arguments)
        assert done.exit_code == 0, done.output
        return len(server.asked) - before

    assert [run("--no-cache"), run(), run(), run("--no-cache")] == [3, 3, 0, 3]
    assert default_path().exists()
    elsewhere = str(tmp_path / "other.sqlite")
    assert [run("--cache", elsewhere), run("--cache", elsewhere)] == [3, 0]
