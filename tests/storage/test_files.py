"""Files in the store: whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graders_engine.storage.errors import StoreError, UnknownCursor
from graders_engine.storage.files import StoredFile
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.storage.interrupts import interrupt_after_the_next_write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def add(store: Store, content: bytes = b"", **about: object) -> StoredFile:
    part = store.files.new_part()
    part.write(content)
    told: dict[str, object] = {"project": "p", "purpose": "evals", "name": "a.jsonl", **about}
    return store.files.add(part, **told)  # type: ignore[arg-type] # of many kinds


def test_a_file_is_what_was_written(store: Store) -> None:
    content = os.urandom(100_000)
    before = int(time.time())
    file = add(store, content, name="größe.jsonl", purpose="fine-tune")
    assert store.files.get("p", file.id) == file
    assert store.files.path(file.id).read_bytes() == content
    assert (file.bytes, file.sha256) == (100_000, hashlib.sha256(content).hexdigest())
    assert (file.name, file.purpose, file.expires_at) == ("größe.jsonl", "fine-tune", None)
    assert before <= file.created_at <= time.time()


def test_another_projects_file_is_not_there(store: Store) -> None:
    file = add(store)
    assert store.files.get("other", file.id) is None
    assert not store.files.delete("other", file.id)
    assert not store.files.page("other", Page()).data
    with pytest.raises(UnknownCursor):
        store.files.page("other", Page(after=file.id))


def test_a_deleted_file_is_gone_with_its_content(store: Store) -> None:
    file = add(store, b"x")
    assert store.files.delete("p", file.id)
    assert not store.files.delete("p", file.id)
    assert store.files.get("p", file.id) is None
    assert not store.files.path(file.id).exists()


def test_a_discarded_part_leaves_nothing(store: Store) -> None:
    part = store.files.new_part()
    part.write(b"x")
    part.discard()
    part.discard()
    assert not os.listdir(store.folder / "files")


def test_an_expired_file_is_gone_before_anybody_removes_it(store: Store) -> None:
    file = add(store, expires_after_s=0)
    assert file.expires_at == file.created_at
    assert store.files.get("p", file.id) is None
    assert not store.files.page("p", Page()).data
    assert not store.files.delete("p", file.id)


def test_expired_files_are_removed_with_their_content(store: Store) -> None:
    stays = add(store, expires_after_s=3600)
    add(store, expires_after_s=0)
    assert store.files.expire(time.time()) == 1
    assert os.listdir(store.folder / "files") == [stays.id]
    assert store.files.expire(time.time() + 3601) == 1


def test_files_count_their_bytes(store: Store) -> None:
    assert store.files.total_bytes() == 0
    add(store, b"12")
    add(store, b"345", project="other")
    assert store.files.total_bytes() == 5


def test_a_full_disk_leaves_neither_a_row_nor_a_content(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    part = store.files.new_part()
    part.write(b"x")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.files.add(part, project="p", purpose="evals", name="a")
    monkeypatch.undo()
    assert not os.listdir(store.folder / "files")
    assert not store.files.page("p", Page()).data


def test_an_interrupt_behind_the_row_leaves_the_content(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = store.files.new_part()
    part.write(b"whole")
    interrupt_after_the_next_write(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        store.files.add(part, project="default", purpose="evals", name="a")
    (kept,) = store.files.page("default", Page()).data
    assert store.files.path(kept.id).read_bytes() == b"whole"


def test_a_server_that_starts_while_a_file_is_added_removes_no_content(store: Store) -> None:
    added: list[StoredFile] = []
    starting = Store(store.folder)

    def add() -> None:
        part = store.files.new_part()
        part.write(b"whole")
        added.append(store.files.add(part, project="default", purpose="evals", name="a"))

    for _ in range(50):
        adding = threading.Thread(target=add)
        adding.start()
        while adding.is_alive():
            with suppress(OSError):
                starting.files.clean_up()
            adding.join(0.002)  # SQLite does not queue: who waits would wait until nobody else asks
    starting.close()
    assert all(store.files.path(file.id).read_bytes() == b"whole" for file in added)
    assert [file.id for file in added] == [
        file.id for file in store.files.page("default", Page(limit=100)).data
    ]


def test_a_list_is_filtered_by_purpose(store: Store) -> None:
    files = [add(store, purpose=purpose) for purpose in ("evals", "batch", "evals")]
    found = store.files.page("p", Page(), "evals")
    assert [file.id for file in found.data] == [files[0].id, files[2].id]
    # The cursor need not have the purpose.
    assert [file.id for file in store.files.page("p", Page(after=files[1].id), "evals").data] == [
        files[2].id
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_script_may_delete_what_it_lists(store: Store, order: str) -> None:
    ids = [add(store).id for _ in range(7)]
    seen: list[str] = []
    page = Page(None, 2, order)  # type: ignore[arg-type] # a plain string
    while found := store.files.page("p", page):
        for file in found.data:
            seen.append(file.id)
            store.files.delete("p", file.id)
        if not found.has_more:
            break
        page = Page(seen[-1], 2, page.order)
    assert seen == (ids if order == "asc" else ids[::-1])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    limit=st.integers(1, 4),
    order=st.sampled_from(["asc", "desc"]),
    steps=st.lists(st.sampled_from(["add", "delete", "page"]), max_size=25),
    data=st.data(),
)
def test_pages_show_each_file_that_stays_once_while_others_come_and_go(
    tmp_path_factory: pytest.TempPathFactory,
    limit: int,
    order: str,
    steps: list[str],
    data: st.DataObject,
) -> None:
    with Store(tmp_path_factory.mktemp("store")) as store:
        alive = [add(store).id for _ in range(5)]
        initial, deleted = list(alive), set()
        seen: list[str] = []
        after: str | None = None
        more = True

        def turn() -> None:
            nonlocal after, more
            found = store.files.page("p", Page(after, limit, order))  # type: ignore[arg-type]
            seen.extend(file.id for file in found.data)
            more, after = found.has_more, seen[-1] if found.data else after

        for step in steps:
            if step == "add":
                alive.append(add(store).id)
            elif step == "delete" and alive:
                gone = alive.pop(data.draw(st.integers(0, len(alive) - 1)))
                deleted.add(gone)
                store.files.delete("p", gone)
            elif step == "page" and more:
                turn()
        while more:
            turn()
        assert len(seen) == len(set(seen))
        staying = [id for id in initial if id not in deleted]  # noqa: A001 - the wire's word
        shown = [id for id in seen if id in staying]  # noqa: A001 - the wire's word
        assert shown == (staying if order == "asc" else staying[::-1])
