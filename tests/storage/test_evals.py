"""Evals, their runs, and imported items in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from graders_engine.storage.errors import StoreError, UnknownCursor
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_run_id
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def an_eval(**given: object) -> StoredEval:
    base = StoredEval(
        new_eval_id(), "p", "näme", {"k": "v"}, 5, 5, {"testing_criteria": [{"a": 0.1}]}
    )
    return replace(base, **given)  # type: ignore[arg-type] # of many kinds


def a_run(of: StoredEval, **given: object) -> StoredRun:
    base = StoredRun(
        new_run_id(), of.id, of.project, "run", "", "queued", None, 7, {"type": "jsonl"}, {}
    )
    return replace(base, **given)  # type: ignore[arg-type] # of many kinds


def test_an_eval_is_what_was_added(store: Store) -> None:
    added = an_eval()
    store.evals.add(added)
    assert store.evals.get("p", added.id) == added
    assert store.evals.get("other", added.id) is None


def test_an_eval_cannot_be_added_twice(store: Store) -> None:
    added = an_eval()
    store.evals.add(added)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.evals.add(added)


def test_what_is_left_out_of_an_update_stays(store: Store) -> None:
    added = an_eval()
    store.evals.add(added)
    named = store.evals.update("p", added.id, name="new", now=9)
    assert named == replace(added, name="new", updated_at=9)
    cleared = store.evals.update("p", added.id, metadata=None, now=10)
    assert cleared == replace(added, name="new", metadata=None, updated_at=10)
    assert store.evals.get("p", added.id) == cleared
    assert store.evals.update("other", added.id, name="x", now=11) is None
    with pytest.raises(TypeError, match="cannot change body"):
        store.evals.update("p", added.id, body={}, now=11)


def test_evals_are_sorted_by_their_times(store: Store) -> None:
    evals = [an_eval(created_at=at, updated_at=9 - at) for at in (3, 1, 2, 2)]
    for each in evals:
        store.evals.add(each)
    by_creation = [evals[1], evals[2], evals[3], evals[0]]
    assert list(store.evals.page("p", Page()).data) == by_creation
    assert list(store.evals.page("p", Page(order="desc")).data) == by_creation[::-1]
    first = store.evals.page("p", Page(limit=2), "updated_at")
    assert (list(first.data), first.has_more) == ([evals[0], evals[2]], True)
    rest = store.evals.page("p", Page(after=evals[2].id), "updated_at")
    assert (list(rest.data), rest.has_more) == ([evals[3], evals[1]], False)


def test_a_cursor_of_another_list_is_unknown(store: Store) -> None:
    mine, other = an_eval(), an_eval(project="other")
    run = a_run(mine)
    store.evals.add(mine)
    store.evals.add(other)
    store.runs.add(run)
    for after in (other.id, run.id, "nothing"):
        with pytest.raises(UnknownCursor, match="Invalid 'after'"):
            store.evals.page("p", Page(after=after))


def test_an_eval_is_deleted_with_its_runs(store: Store) -> None:
    gone, stays = an_eval(), an_eval()
    run, other = a_run(gone), a_run(stays)
    for each in (gone, stays):
        store.evals.add(each)
    for one in (run, other):
        assert store.runs.add(one)
        store.items.add_many(one.id, [{"id": "outputitem_1", "status": "pass"}])
        store.run_folder(one.id).mkdir()
    assert not store.evals.delete("other", gone.id)
    assert store.evals.delete("p", gone.id)
    assert store.evals.get("p", gone.id) is None
    assert store.runs.find(run.id) is None
    assert not store.run_folder(run.id).exists()
    assert not store.items.any_of(run.id)
    assert store.runs.find(other.id) == other
    assert store.run_folder(other.id).exists()
    assert store.items.any_of(other.id)


def test_a_run_is_not_added_to_an_eval_that_is_gone(store: Store) -> None:
    assert not store.runs.add(a_run(an_eval()))


def test_runs_are_listed_by_their_eval_and_status(store: Store) -> None:
    one, two = an_eval(), an_eval()
    store.evals.add(one)
    store.evals.add(two)
    runs = [a_run(one), a_run(two), a_run(one, status="completed"), a_run(one)]
    for run in runs:
        store.runs.add(run)
    assert list(store.runs.page("p", one.id, Page()).data) == [runs[0], runs[2], runs[3]]
    assert list(store.runs.page("p", one.id, Page(), "queued").data) == [runs[0], runs[3]]
    assert store.runs.with_status("queued", "completed") == runs
    assert store.runs.get("p", two.id, runs[0].id) is None
    assert store.runs.get("p", one.id, runs[0].id) == runs[0]
    assert store.runs.delete("p", one.id, runs[0].id)
    assert list(store.runs.page("p", one.id, Page(after=runs[0].id)).data) == runs[2:]


def test_a_status_changes_only_from_those_that_are_named(store: Store) -> None:
    each = an_eval()
    run = a_run(each)
    store.evals.add(each)
    store.runs.add(run)
    assert not store.runs.move(run.id, "completed", {"in_progress"})
    assert store.runs.move(run.id, "in_progress", {"queued"}, attempt=1, heartbeat=2.5)
    assert store.runs.note(run.id, wanted="canceled", result={"total": 3})
    assert store.runs.move(run.id, "failed", ["in_progress"], error={"code": "x"})
    assert store.runs.find(run.id) == replace(
        run, status="failed", attempt=1, heartbeat=2.5, wanted="canceled", result={"total": 3},
        error={"code": "x"},
    )  # fmt: skip
    assert not store.runs.note("nothing", wanted="")
    with pytest.raises(TypeError, match="cannot change project"):
        store.runs.note(run.id, project="x")


def test_one_of_many_wins_a_change_of_status(store: Store) -> None:
    each = an_eval()
    run = a_run(each)
    store.evals.add(each)
    store.runs.add(run)
    start, wins = Barrier(8), []

    def take() -> None:
        start.wait()
        if store.runs.move(run.id, "in_progress", {"queued"}):
            wins.append(1)

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1


def test_items_are_kept_whole_and_once(store: Store) -> None:
    items = [
        {"id": f"outputitem_{number}", "status": "pass" if number % 2 else "fail", "x": number}
        for number in range(5)
    ]
    assert store.items.add_many("evalrun_1", items) == 5
    assert store.items.add_many("evalrun_1", items) == 0
    found = store.items.page("evalrun_1", Page(limit=2))
    assert (list(found.data), found.has_more) == (items[:2], True)
    assert list(store.items.page("evalrun_1", Page(after="outputitem_1")).data) == items[2:]
    assert list(store.items.page("evalrun_1", Page(order="desc"), "pass").data) == [
        items[3],
        items[1],
    ]
    assert store.items.get("evalrun_1", "outputitem_3") == items[3]
    assert store.items.get("evalrun_2", "outputitem_3") is None


def test_a_name_that_is_no_unicode_is_kept_readable(store: Store) -> None:
    added = an_eval(name="a\ud800b")
    store.evals.add(added)
    found = store.evals.get("p", added.id)
    assert found is not None
    assert found.name == "a?b"
