"""Jobs, their events and checkpoints: what is kept, changed, listed and deleted."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from graders_engine.storage.database import MIGRATIONS, statements
from graders_engine.storage.errors import UnknownCursor
from graders_engine.storage.ids import new_checkpoint_id, new_event_id, new_job_id
from graders_engine.storage.job_records import NewEvent, StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.pages import Listing, Page
from graders_engine.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def job(store: Store, status: str = "queued", project: str = "p", **more: object) -> StoredJob:
    made = StoredJob(
        id=new_job_id(),
        project=project,
        status=status,
        created_at=1,
        request={"model": "m"},
        spec={"seed": 1},
        **more,  # type: ignore[arg-type] # as the test names them
    )
    assert store.jobs.add(made)
    return made


def test_a_job_is_kept_as_it_was_given(store: Store) -> None:
    made = job(
        store,
        "running",
        metadata={"ключ": "ü"},
        wanted="paused",
        attempt=2,
        reached=7,
        error={"code": "x", "message": "y", "param": None},
        fine_tuned_model="ft:m",
        trained_tokens=5,
        estimated_finish=9,
        finished_at=8,
        result_files=("file-1",),
        heartbeat=1.5,
    )
    assert store.jobs.get("p", made.id) == store.jobs.find(made.id) == made
    assert store.jobs.get("q", made.id) is None
    assert not store.jobs.add(made)


def test_a_status_changes_only_from_those_that_are_named(store: Store) -> None:
    made = job(store)
    assert not store.jobs.move(made.id, "paused", ["running"], events=[NewEvent("info", "no")])
    assert store.jobs.move(
        made.id, "running", ["queued"], attempt=1, events=[NewEvent("info", "yes")]
    )
    found = store.jobs.find(made.id)
    assert found is not None
    assert (found.status, found.attempt) == ("running", 1)
    assert [event.message for event in store.jobs.events(made.id, Page()).data] == ["yes"]
    assert not store.jobs.move("ftjob-none", "running", ["queued"])


def test_of_many_that_change_a_status_at_once_one_does(store: Store) -> None:
    made = job(store)
    won: list[bool] = []
    threads = [
        Thread(target=lambda: won.append(store.jobs.move(made.id, "running", ["queued"])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_what_a_worker_notes_late_is_not_kept(store: Store) -> None:
    made = job(store, "cancelled")
    assert not store.jobs.note(made.id, ["running"], trained_tokens=3)
    assert not store.jobs.add_event(made.id, "info", "late", while_in=["running"])
    late = StoredCheckpoint(made.id, 1, "m", "step-1", "0", {})
    assert not store.jobs.add_checkpoint(late, while_in=["running"])
    assert store.jobs.note(made.id, trained_tokens=3)
    assert not store.jobs.events(made.id, Page()).data
    assert not store.jobs.all_checkpoints(made.id)


def test_only_columns_that_may_change_do(store: Store) -> None:
    made = job(store)
    with pytest.raises(TypeError, match="cannot change project"):
        store.jobs.note(made.id, project="other")


def test_a_step_has_one_metrics_event(store: Store) -> None:
    made, other = job(store), job(store)
    assert store.jobs.add_event(made.id, "info", "Step 1/2", {"a": 1.5}, "metrics", 1)
    assert not store.jobs.add_event(made.id, "info", "Step 1/2", {"a": 2.5}, "metrics", 1)
    assert store.jobs.add_event(other.id, "info", "Step 1/2", None, "metrics", 1)
    assert store.jobs.add_event(made.id, "info", "Step 2/2", None, "metrics", 2)
    first, second = store.jobs.events(made.id, Page()).data
    assert (first.data, first.step, second.step) == ({"a": 1.5}, 1, 2)
    assert (store.jobs.last_step(made.id), store.jobs.last_step("none")) == (2, 0)


def test_what_happens_once_has_one_event(store: Store) -> None:
    made = job(store)
    assert store.jobs.add_event(made.id, "info", "started", once="started")
    assert not store.jobs.add_event(made.id, "info", "started", once="started")
    assert not store.jobs.add_event("ftjob-none", "info", "started")
    assert store.jobs.add_event(made.id, "warn", "again")
    assert store.jobs.add_event(made.id, "warn", "again")
    assert len(store.jobs.events(made.id, Page()).data) == 3


def test_jobs_are_listed_by_what_their_metadata_says(store: Store) -> None:
    a = job(store, metadata={'a "b" $.c': "1", "k": "v"})
    b = job(store, metadata={"k": "v"})
    none, empty = job(store), job(store, metadata={})
    job(store, project="q", metadata={"k": "v"})

    def ids(**asked: object) -> list[str]:
        found = store.jobs.page("p", Page(order="desc"), **asked)  # type: ignore[arg-type]
        return [one.id for one in found.data]

    assert ids() == [empty.id, none.id, b.id, a.id]
    assert ids(metadata={"k": "v"}) == [b.id, a.id]
    assert ids(metadata={"k": "v", 'a "b" $.c': "1"}) == [a.id]
    assert ids(metadata={"k": ""}) == []
    assert ids(without_metadata=True) == [empty.id, none.id]


def test_pages_go_on_where_the_last_one_ended(store: Store) -> None:
    made = [job(store) for _ in range(5)]
    first = store.jobs.page("p", Page(limit=2, order="desc"))
    second = store.jobs.page("p", Page(after=first.data[-1].id, limit=5, order="desc"))
    assert [one.id for one in [*first.data, *second.data]] == [one.id for one in made[::-1]]
    assert (first.has_more, second.has_more) == (True, False)
    store.jobs.delete("p", first.data[-1].id)
    again = store.jobs.page("p", Page(after=first.data[-1].id, limit=5, order="desc"))
    assert again.data == second.data
    with pytest.raises(UnknownCursor):
        store.jobs.events(made[0].id, Page(after=new_event_id()))
    with pytest.raises(UnknownCursor):
        store.jobs.checkpoints(made[0].id, Page(after=new_checkpoint_id()))


@pytest.mark.parametrize("after", [None, "ftevent-15000", "ftevent-50"])
def test_a_page_of_many_events_costs_the_same_wherever_it_is(
    store: Store, after: str | None
) -> None:
    made, other = job(store), job(store)
    with closing(sqlite3.connect(store.folder / "store.sqlite3")) as file, file:
        file.executemany(
            "INSERT INTO event (id, job_id, level, type, message, step, created_at) "
            "VALUES (?, ?, 'info', 'metrics', 'Step', ?, 1)",
            (
                (f"ftevent-{n}", made.id if n < 100 or 10_000 <= n < 20_000 else other.id, n)
                for n in range(30_000)
            ),
        )
        file.row_factory = sqlite3.Row
        ticks = itertools.count()
        file.set_progress_handler(
            lambda: next(ticks) < 0, 100
        )  # after 100 of SQLite's instructions
        page = Listing("event", {"job_id": made.id}).select(file, Page(after, 20, "desc"))
        assert len(page.data) == 20
        assert next(ticks) < 20  # of 10,000 rows, each would cost some instructions


def test_checkpoints_are_listed_and_removed(store: Store) -> None:
    made = job(store)
    kept = [
        StoredCheckpoint(made.id, step, f"m:ckpt-step-{step}", f"step-{step}", "0", {"a": 0.5})
        for step in (5, 10)
    ]
    assert all(store.jobs.add_checkpoint(one) for one in kept)
    assert not store.jobs.add_checkpoint(StoredCheckpoint(made.id, 5, "m", "step-5", "1", {}))
    assert store.jobs.checkpoints(made.id, Page(order="desc")).data == kept[::-1]
    store.jobs.end_resumable(kept[0].id)
    assert [one.resumable for one in store.jobs.all_checkpoints(made.id)] == [False, True]
    store.jobs.make_final(kept[1].id)
    assert [one.final for one in store.jobs.all_checkpoints(made.id)] == [False, True]
    assert store.jobs.remove_checkpoint(kept[1].id)
    assert not store.jobs.remove_checkpoint(kept[1].id)
    assert store.jobs.checkpoints(made.id, Page(after=kept[1].id, order="desc")).data


def test_states_are_listed_by_status_and_by_what_is_wanted(store: Store) -> None:
    a, b = job(store, wanted="cancelled"), job(store, "running", reached=3)
    assert [state.id for state in store.jobs.states("queued", "running")] == [a.id, b.id]
    assert [state.id for state in store.jobs.with_wanted("cancelled")] == [a.id]
    state = store.jobs.state(b.id)
    assert state == (b.id, "running", "", 0, 3)
    assert store.jobs.state("none") is None


def test_a_deleted_job_takes_everything_with_it(store: Store) -> None:
    made = job(store)
    folder = store.job_folder(made.id)
    folder.mkdir()
    store.jobs.add_event(made.id, "info", "x")
    store.jobs.add_checkpoint(StoredCheckpoint(made.id, 1, "m", "step-1", "0", {}))
    assert not store.jobs.delete("q", made.id)
    assert store.jobs.delete("p", made.id)
    assert not store.jobs.delete("p", made.id)
    assert not folder.exists()
    assert not store.jobs.events(made.id, Page()).data
    assert not store.jobs.all_checkpoints(made.id)


def test_folders_of_jobs_without_a_row_are_removed_when_a_server_starts(store: Store) -> None:
    made = job(store)
    store.job_folder(made.id).mkdir()
    held = store.job_folder(new_job_id())
    for folder in (held, store.job_folder(new_job_id())):
        folder.mkdir()
    lock = ProcessLock(held / "lock")
    assert lock.take()
    with store.serve():
        assert {path.name for path in (store.folder / "jobs").iterdir()} == {made.id, held.name}
    lock.release()


def test_a_store_that_was_made_before_there_were_jobs_gets_them(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    for statement in statements(MIGRATIONS[0]):
        file.execute(statement)
    file.execute("PRAGMA user_version = 1")
    file.execute("INSERT INTO eval VALUES (1, 'eval_1', 'p', 'n', NULL, 1, 1, '{}')")
    file.close()
    with Store(tmp_path) as store:
        assert store.evals.get("p", "eval_1") is not None
        made = job(store)
        assert store.jobs.find(made.id) == made
