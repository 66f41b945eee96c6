"""The folder: its lock, its rights, what a crash leaves, and its versions."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from graders_engine.storage.errors import StoreError, StoreFull, StoreInUse
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_file_id, new_run_id
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.reserve import RESERVE_BYTES
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def test_only_its_owner_can_read_a_store(store: Store) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [store.folder, *store.folder.iterdir()]
    }
    assert modes["store"] == modes["files"] == modes["runs"] == modes["jobs"] == 0o700
    assert modes["store.sqlite3"] == 0o600


def test_a_second_server_is_refused_with_a_sentence(store: Store) -> None:
    with (
        store.serve(),
        Store(store.folder) as other,
        pytest.raises(StoreInUse, match=r"Another server uses .*--jobs"),
        other.serve(),
    ):
        pass


def test_the_next_server_may_start_when_the_first_has_ended(store: Store) -> None:
    with store.serve():
        pass
    with store.serve():
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from graders_engine.storage.lock import ProcessLock\n"
        "lock = ProcessLock(Path(sys.argv[1])); print(lock.take(), flush=True); time.sleep(60)"
    )
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        lock = ProcessLock(path)
        assert not lock.take()
        process.kill()
        process.wait()
        assert lock.take()
        lock.release()


def test_what_a_crash_left_is_removed_when_a_server_starts(store: Store) -> None:
    kept = store.files.add(store.files.new_part(), project="p", purpose="evals", name="a")
    files = store.folder / "files"
    (files / f"{new_file_id()}.part").write_bytes(b"cut off")
    (files / new_file_id()).write_bytes(b"without a row")
    store.run_folder("evalrun_gone").mkdir()
    with store.serve():
        assert os.listdir(files) == [kept.id]
        assert not os.listdir(store.folder / "runs")


def test_the_folder_of_a_deleted_run_stays_while_its_worker_lives(store: Store) -> None:
    folder = store.run_folder(new_run_id())
    folder.mkdir()
    lock = ProcessLock(folder / "lock")
    assert lock.take()
    with store.serve():
        assert folder.exists()
    lock.release()
    with store.serve():
        assert not folder.exists()


def test_two_open_stores_of_a_folder_see_the_same(store: Store) -> None:
    added = StoredEval(new_eval_id(), "p", "name", None, 1, 1, {"a": 1})
    with Store(store.folder) as other:
        other.evals.add(added)
        assert store.evals.get("p", added.id) == added


def test_opening_waits_for_another_process_that_makes_the_same_store(tmp_path: Path) -> None:
    other = sqlite3.connect(
        tmp_path / "store.sqlite3", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN EXCLUSIVE")
    opening = Thread(target=lambda: Store(tmp_path).close())
    opening.start()
    opening.join(0.3)
    assert opening.is_alive()
    other.execute("COMMIT")
    opening.join()
    other.close()
    with Store(tmp_path) as store:
        assert store.files.total_bytes() == 0


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    file = sqlite3.connect(tmp_path / "store.sqlite3")
    file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_text("no database" * 1000)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="File exists"):
        Store(tmp_path / "store")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.evals.get("p", "x")


@pytest.mark.parametrize("name", ["..", "a/b", "", "/etc", "a\0b"])
def test_no_id_leads_out_of_the_folder(store: Store, name: str) -> None:
    for place in (store.files.path, store.run_folder):
        with pytest.raises(ValueError, match="cannot be the name"):
            place(name)


def test_threads_share_a_store(store: Store) -> None:
    def add(thread: int) -> None:
        for number in range(25):
            store.evals.add(StoredEval(f"eval_{thread}_{number}", "p", "", None, 1, 1, {}))

    threads = [Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.evals.get("p", f"eval_{a}_{b}") for a in range(8) for b in range(25))


@pytest.mark.parametrize("deleted", ["file", "eval", "run", "job"])
def test_a_full_disk_is_cleared_by_deleting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: str
) -> None:
    reserve, connect = tmp_path / "reserve", sqlite3.connect

    class OnFullDisk(sqlite3.Connection):
        """Has the room of the reserve alone."""

        full = False

        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE" and self.full and reserve.exists():
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return super().execute(sql, *values)  # type: ignore[arg-type] # as given

    def connected(*args: object, **more: object) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, factory=OnFullDisk, **more)  # type: ignore[call-overload]
        return made

    monkeypatch.setattr("sqlite3.connect", connected)
    with Store(tmp_path) as store, store.serve():
        part = store.files.new_part()
        part.write(b"x")
        file = store.files.add(part, project="p", purpose="evals", name="a")
        store.evals.add(StoredEval("eval_1", "p", "", None, 1, 1, {}))
        store.runs.add(StoredRun("evalrun_1", "eval_1", "p", "", "", "queued", None, 1, {}, {}))
        queued = StoredJob(
            id="ftjob-1", project="p", status="queued", created_at=1, request={}, spec={}
        )
        store.jobs.add(queued)
        monkeypatch.setattr(OnFullDisk, "full", True)
        with pytest.raises(StoreFull, match="delete files or runs, or make room") as refused:
            store.evals.add(StoredEval("eval_2", "p", "", None, 1, 1, {}))
        assert str(tmp_path) not in str(refused.value)
        delete = {
            "file": lambda: store.files.delete("p", file.id),
            "eval": lambda: store.evals.delete("p", "eval_1"),
            "run": lambda: store.runs.delete("p", "eval_1", "evalrun_1"),
            "job": lambda: store.jobs.delete("p", "ftjob-1"),
        }
        assert delete[deleted]()
        assert reserve.stat().st_size == RESERVE_BYTES  # for the next time
        assert store.files.path(file.id).exists() == (deleted != "file")
        assert (store.runs.find("evalrun_1") is None) == (deleted in ("eval", "run"))
        assert (store.jobs.find("ftjob-1") is None) == (deleted == "job")
