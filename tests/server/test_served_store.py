"""The store in an event loop: it does not hold it up, and files whose time is over are removed."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from graders_engine.server.store import served as served_module
from graders_engine.server.store.served import ServedStore
from graders_engine.storage.store import Store


def test_expired_files_are_removed_while_the_server_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_module, "EXPIRE_EVERY_S", 0.02)

    async def live(served: ServedStore, store: Store) -> None:
        async with served.living():
            add = store.files.add
            await served.call(
                add, store.files.new_part(), project="p", purpose="evals", name="a",
                expires_after_s=0,
            )  # fmt: skip
            async with asyncio.timeout(30):
                while os.listdir(tmp_path / "files"):
                    await asyncio.sleep(0.01)

    with Store(tmp_path) as store:
        asyncio.run(live(ServedStore(store, max_file_bytes=1, max_bytes=1), store))


def test_a_call_that_waits_does_not_hold_up_others(tmp_path: Path) -> None:
    async def live(served: ServedStore) -> None:
        done = threading.Event()
        async with served.living():
            waiting = served.begin(done.wait, 30)
            assert await served.call(len, "abc") == 3
            done.set()
            assert await waiting

    with Store(tmp_path) as store:
        asyncio.run(live(ServedStore(store, max_file_bytes=1, max_bytes=1)))
