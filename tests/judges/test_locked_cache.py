"""A cache whose file another process writes to: rows that can proceed do, and no reply is paid twice."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.models import sqlite_file
from graders_engine.models.base import ModelReply, encoded
from graders_engine.models.cache import INSERT, Cached, ReplyStore
from graders_engine.models.recorded import TRANSCRIPT
from graders_engine.models.scripted import Scripted
from tests.judges.rows import SCORE, judging, rows
from tests.judges.test_conformance import asking, content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replies.sqlite"


@contextmanager
def locked(path: Path, how: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """The file, while another connection writes to it."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"BEGIN {how}")
    try:
        yield other
    finally:
        other.close()


def kept_in(path: Path) -> int:
    with sqlite3.connect(path) as file:
        count: int = file.execute("SELECT COUNT(*) FROM replies").fetchone()[0]
    file.close()
    return count


def test_a_row_that_waits_for_the_file_keeps_no_other_from_its_reply(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(Scripted(0.5), store)
        first = await cached.complete(asking("known"))
        with locked(path) as other:
            waiting = asyncio.create_task(cached.complete(asking("new")))
            for _ in range(5):
                assert content(await cached.complete(asking("known"))) == first
                await asyncio.sleep(0.01)
            assert not waiting.done()
            other.execute("COMMIT")
            await waiting
        store.close()

    asyncio.run(main())
    assert kept_in(path) == 2


def test_a_value_that_sqlite_cannot_hold_takes_no_other_row_with_it(path: Path) -> None:
    async def main() -> None:
        ReplyStore(path).close()
        file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        writer = sqlite_file.Writer(file, INSERT)
        with locked(path) as other:  # so that they share a transaction
            waiting = [
                writer.write((str(number), b"{}", "m", tokens, 0.0))
                for number, tokens in enumerate((1, 10**30, 1))
            ]
            other.execute("COMMIT")
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), OverflowError, type(None)]
        writer.close()

    asyncio.run(main())
    assert kept_in(path) == 2


def test_an_equal_request_gets_the_reply_that_is_not_written_yet(path: Path) -> None:
    backend = Scripted(0.5)

    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(backend, store)
        with locked(path) as other:
            waiting = asyncio.create_task(cached.complete(asking("x")))
            for _ in range(50):  # until the reply is there and waits for the file
                await asyncio.sleep(0)
            again = await cached.complete(asking("x"))
            assert not waiting.done()
            other.execute("COMMIT")
            assert content(again) == await waiting
        assert again.kept
        store.close()

    asyncio.run(main())
    assert len(backend.requests) == 1


def test_a_file_that_stays_locked_ends_the_run_with_a_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReplyStore(path).close()
    monkeypatch.setattr(sqlite_file, "WAIT_S", 0.1)
    with (
        locked(path),
        Engine(judges=judging(Scripted(0.5), cache=path)) as engine,
        pytest.raises(DataSetError, match=r"The cache .* cannot be written: database is locked\."),
    ):
        list(engine.score(SCORE, rows(5)))


def test_a_new_file_that_is_locked_is_prepared_when_it_is_free(path: Path) -> None:
    path.touch()

    async def main() -> None:
        with locked(path) as other:
            store = ReplyStore(path)
            cached = Cached(Scripted(0.5), store)
            waiting = [asyncio.create_task(cached.complete(asking(text))) for text in "abc"]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            other.execute("COMMIT")
            await asyncio.gather(*waiting)
        store.close()

    asyncio.run(main())
    assert kept_in(path) == 3


def test_a_reply_is_read_when_the_file_is_free_again(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(Scripted([0.5]), store)
        first = await cached.complete(asking("x"))
        store.close()
        with sqlite3.connect(path) as file:
            file.execute("PRAGMA journal_mode = DELETE")  # there a writer keeps readers out, too
        file.close()
        store = ReplyStore(path)
        cached = Cached(Scripted([]), store)
        with locked(path, "EXCLUSIVE") as other:
            waiting = asyncio.create_task(cached.complete(asking("x")))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            other.execute("COMMIT")
            assert content(await waiting) == first
        store.close()

    asyncio.run(main())


def test_closing_waits_for_the_file_so_that_no_paid_reply_is_lost(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        with locked(path) as other:
            waiting = asyncio.create_task(store.put("key", ModelReply("{}", "m")))
            await asyncio.sleep(0)  # it begins
            closing = asyncio.create_task(asyncio.to_thread(store.close))
            await asyncio.sleep(0.05)
            assert not closing.done()
            other.execute("COMMIT")
            await closing
            await waiting

    asyncio.run(main())
    assert kept_in(path) == 1


def test_closing_does_not_wait_for_a_file_that_stays_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "CLOSE_WAIT_S", 0.1)

    async def main() -> None:
        store = ReplyStore(path)
        with locked(path):
            waiting = asyncio.create_task(store.put("key", ModelReply("{}", "m")))
            await asyncio.sleep(0)  # it begins
            await asyncio.to_thread(store.close)
            with pytest.raises(DataSetError, match="cannot be written"):
                await waiting

    asyncio.run(main())


def test_a_caller_that_is_cancelled_does_not_lose_the_reply(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        with locked(path) as other:
            waiting = asyncio.create_task(store.put("key", ModelReply("{}", "m")))
            await asyncio.sleep(0)  # it begins
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            other.execute("COMMIT")
        await asyncio.to_thread(store.close)

    asyncio.run(main())
    assert kept_in(path) == 1


def test_an_observer_hears_which_replies_were_kept_and_only_the_others_are_spent(
    path: Path,
) -> None:
    heard: list[ModelReply] = []
    spent = []
    for _ in range(2):
        settings = judging(Scripted(0.5), cache=path)
        with Engine(judges=settings, observe=lambda _, reply: heard.append(reply)) as engine:  # type: ignore[arg-type] # no failure here
            assert engine.run(SCORE, model_sample="x").reward == 0.5
            spent.append(engine.spending()["tokens"])
    assert [reply.kept for reply in heard] == [False, True]
    assert spent == [heard[0].usage.total_tokens, 0]


def test_a_replayed_reply_is_marked_and_the_mark_is_not_recorded(tmp_path: Path) -> None:
    heard: list[ModelReply] = []
    cache = tmp_path / "replies.sqlite"
    ways: list[dict[str, Path]] = [
        {"cache": cache}, {"cache": cache, "record": tmp_path}, {"replay": tmp_path},
    ]  # fmt: skip
    for way in ways:
        settings = judging(Scripted(0.5), **way)
        with Engine(judges=settings, observe=lambda _, reply: heard.append(reply)) as engine:  # type: ignore[arg-type] # no failure here
            engine.run(SCORE, model_sample="x")
    assert [reply.kept for reply in heard] == [False, True, True]
    assert "kept" not in (tmp_path / TRANSCRIPT).read_text()


def test_a_kept_reply_is_marked_and_the_mark_is_not_stored(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(Scripted(0.5), store)
        assert not (await cached.complete(asking("x"))).kept
        assert (await cached.complete(asking("x"))).kept
        store.close()

    asyncio.run(main())
    with sqlite3.connect(path) as file:
        [(reply,)] = file.execute("SELECT reply FROM replies").fetchall()
    file.close()
    assert "kept" not in json.loads(reply)
    assert b"kept" not in encoded(ModelReply("", "m"))


def test_a_reply_is_not_paid_twice_when_its_row_is_cancelled_while_the_file_is_locked(
    path: Path,
) -> None:
    backend = Scripted(0.5)

    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(backend, store)
        with locked(path) as other:
            first = asyncio.create_task(cached.complete(asking("x")))
            for _ in range(50):  # until the reply is there and waits for the file
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert first.cancelled()
            assert (await cached.complete(asking("x"))).kept
            other.execute("COMMIT")
        await asyncio.to_thread(store.close)

    asyncio.run(main())
    assert len(backend.requests) == 1
    assert kept_in(path) == 1


def test_a_cache_that_loses_its_name_is_written_on(path: Path) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(Scripted(0.5), store)
        path.rename(path.with_name("moved.sqlite"))
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        await cached.complete(asking("x"))
        assert (await cached.complete(asking("x"))).kept
        store.close()

    asyncio.run(main())
    assert not path.exists()


@pytest.mark.parametrize(
    "page", [b"\0" * 4096, b"", b"no database" * 400], ids=["zeros", "empty", "text"]
)
def test_a_cache_that_is_damaged_while_it_is_open_ends_the_run_or_goes_on_and_never_hangs(
    path: Path, page: bytes
) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        cached = Cached(Scripted(0.5), store)
        assert await store.get("unknown") is None
        path.write_bytes(page)
        with suppress(DataSetError):
            await asyncio.wait_for(cached.complete(asking("x")), 60)
        with suppress(DataSetError):
            await asyncio.wait_for(cached.complete(asking("y")), 60)
        await asyncio.to_thread(store.close)

    asyncio.run(main())


@pytest.mark.parametrize("written", [True, False], ids=["written", "only read"])
def test_the_thread_and_the_files_of_a_store_that_nobody_closes_end_with_it(
    path: Path, written: bool
) -> None:
    async def main() -> None:
        store = ReplyStore(path)
        assert await store.get("key") is None
        if written:
            await store.put("key", ModelReply("{}", "m"))

    before = set(threading.enumerate())
    asyncio.run(main())
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    open_files = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [file for file in open_files if file.startswith(str(path))]
