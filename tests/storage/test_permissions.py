"""Permissions: what is kept, listed and ended, and with what it ends by itself."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from graders_engine.storage.database import MIGRATIONS, statements
from graders_engine.storage.errors import UnknownCursor
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.inference.tuned import names_of, trained_job

ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def projects_of(store: Store, name: str) -> list[str]:
    return [one.project for one in store.permissions.page(name, Page()).data]


def test_a_permission_is_kept_as_it_was_given(store: Store) -> None:
    model, first, _ = names_of(trained_job(store))
    made = store.permissions.add(first, ["b", "a", "b"])
    assert [(one.checkpoint, one.project) for one in made] == [(first, "b"), (first, "a")]
    assert all(re.fullmatch(r"cp_[0-9a-f]{24}", one.id) for one in made)
    assert store.permissions.page(first, Page()).data == made
    assert projects_of(store, model) == []


def test_a_permission_that_is_given_twice_is_one(store: Store) -> None:
    model, *_ = names_of(trained_job(store))
    first = store.permissions.add(model, ["a"])
    assert store.permissions.add(model, ["a", "b"])[0] == first[0]
    assert projects_of(store, model) == ["a", "b"]


def test_many_that_give_the_same_permission_at_once_give_one(store: Store) -> None:
    model, *_ = names_of(trained_job(store))
    ids: set[str] = set()

    def give() -> None:
        ids.update(one.id for one in store.permissions.add(model, ["a"]))

    threads = [Thread(target=give) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 1


def test_what_does_not_exist_cannot_be_shared(store: Store) -> None:
    running = trained_job(store, status="running")
    assert store.permissions.add("ft:none", ["a"]) == []
    assert store.permissions.add(names_of(running)[0], ["a"]) == []
    assert len(store.permissions.add(names_of(running)[1], ["a"])) == 1


def test_permissions_are_listed_over_pages_also_after_one_has_ended(store: Store) -> None:
    model, *_ = names_of(trained_job(store))
    made = store.permissions.add(model, ["a", "b", "c", "d"])
    first = store.permissions.page(model, Page(limit=2, order="desc"))
    assert ([one.project for one in first.data], first.has_more) == (["d", "c"], True)
    assert store.permissions.delete(model, made[2].id)
    rest = store.permissions.page(model, Page(after=made[2].id, order="desc"))
    assert ([one.project for one in rest.data], rest.has_more) == (["b", "a"], False)
    assert [one.project for one in store.permissions.page(model, Page(), "b").data] == ["b"]
    assert not store.permissions.page(model, Page(), "c").data
    with pytest.raises(UnknownCursor):
        store.permissions.page(names_of(trained_job(store))[0], Page(after=made[0].id))


def test_a_permission_is_ended_by_the_name_that_has_it_alone(store: Store) -> None:
    model, first, _ = names_of(trained_job(store))
    (made,) = store.permissions.add(model, ["a"])
    assert not store.permissions.delete(first, made.id)
    assert store.permissions.delete(model, made.id)
    assert not store.permissions.delete(model, made.id)


def test_permissions_end_with_their_checkpoint_and_others_do_not(store: Store) -> None:
    job = trained_job(store)
    model, first, last = names_of(job)
    for name in (model, first, last):
        store.permissions.add(name, ["a"])
    (kept, _) = store.jobs.all_checkpoints(job.id)
    assert store.jobs.remove_checkpoint(kept.id)
    assert [projects_of(store, name) for name in (model, first, last)] == [["a"], [], ["a"]]


@pytest.mark.parametrize("deleted", [0, 2])
def test_a_deleted_model_has_no_permission_under_either_of_its_names(
    store: Store, deleted: int
) -> None:
    job, other = trained_job(store), trained_job(store)
    names = names_of(job)
    for name in (*names, names_of(other)[0]):
        store.permissions.add(name, ["a"])
    gone = store.models.delete(names[deleted], "default", ENDED)
    assert gone is not None
    assert gone.job_id == job.id
    assert [projects_of(store, name) for name in names] == [[], ["a"], []]
    assert projects_of(store, names_of(other)[0]) == ["a"]
    folders = {path.name for path in store.job_folder(job.id).iterdir()}
    assert folders == {"step-5"}
    assert store.models.delete(names[deleted], "default", ENDED) is None


def test_a_model_of_another_project_or_of_a_job_that_works_is_not_deleted(store: Store) -> None:
    ended, running = trained_job(store), trained_job(store, status="running")
    assert store.models.delete(names_of(ended)[0], "other", ENDED) is None
    assert store.models.delete(names_of(running)[1], "default", ENDED) is None
    assert store.models.delete(names_of(running)[1], None, ENDED) is None
    assert len(store.jobs.all_checkpoints(running.id)) == 2
    assert store.models.delete(names_of(ended)[0], None, ENDED) is not None


def test_a_deleted_job_has_no_permission_left(store: Store) -> None:
    job = trained_job(store)
    for name in names_of(job):
        store.permissions.add(name, ["a"])
    assert store.jobs.delete("default", job.id)
    assert [projects_of(store, name) for name in names_of(job)] == [[], [], []]


def test_weights_that_no_row_names_are_removed_when_a_server_starts(store: Store) -> None:
    job, worked_on = trained_job(store), trained_job(store, status="running")
    lost = store.job_folder(job.id) / "step-7"
    held = store.job_folder(worked_on.id) / "step-7"
    for folder in (lost, held):
        folder.mkdir()
    lock = ProcessLock(store.job_folder(worked_on.id) / "lock")
    assert lock.take()
    with store.serve():
        assert not lost.exists()
        assert held.exists()
        assert len(list(store.job_folder(job.id).glob("step-*"))) == 2
    lock.release()


def test_a_store_that_was_made_before_there_were_permissions_gets_them(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    for script in MIGRATIONS[:2]:
        for statement in statements(script):
            file.execute(statement)
    file.execute("PRAGMA user_version = 2")
    file.close()
    with Store(tmp_path) as store:
        model, *_ = names_of(trained_job(store))
        assert len(store.permissions.add(model, ["a"])) == 1


def test_names_with_anything_in_them_are_no_names_of_models(store: Store) -> None:
    model, *_ = names_of(trained_job(store))
    for name in (
        "",
        "\0",
        "\ud800",
        "'; DROP TABLE job; --",
        "%",
        f"{model}%",
        "x" * 100_000,
        model.upper(),
    ):
        assert store.models.find("default", name) is None
        assert store.models.owned(name) is None
        assert store.permissions.add(name, ["a"]) == []
        assert not store.permissions.page(name, Page()).data
        assert not store.permissions.delete(name, name)
