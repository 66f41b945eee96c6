"""Evals and runs made in a store, without a server."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.body_fields import InvalidBody
from graders_engine.evals.creating import (
    DIGEST,
    MAX_QUEUED,
    QueueFull,
    content_of,
    create_eval,
    create_run,
)
from graders_engine.evals.requests.eval_body import new_eval
from graders_engine.evals.requests.run_body import new_run
from graders_engine.evals.run.place import ITEMS
from graders_engine.evals.wire import encoded, eval_object, json_array, run_object
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.evals.test_requests import BASES
from tests.storage.interrupts import interrupt_after_the_next_write

RUN: dict[str, Any] = BASES["jsonl"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def owner(store: Store) -> StoredEval:
    return create_eval(store, "default", new_eval(copy.deepcopy(BASES["eval"])), now=7, digest="d")


def run_folders(store: Store) -> list[Path]:
    return sorted((store.folder / "runs").iterdir())


def test_an_eval_is_kept_with_the_digest_that_no_answer_shows(
    store: Store, owner: StoredEval
) -> None:
    stored = store.evals.get("default", owner.id)
    assert stored == owner
    assert stored.body[DIGEST] == "d"
    shown = eval_object(stored)
    assert DIGEST not in json.dumps(shown)
    assert shown["created_at"] == 7


def test_a_run_is_kept_with_its_items_beside_it(store: Store, owner: StoredEval) -> None:
    run = create_run(store, owner, new_run(copy.deepcopy(RUN)), now=9, digest="e")
    assert run is not None
    assert store.runs.find(run.id) == run
    assert (run.status, run.created_at, run.project) == ("queued", 9, "default")
    content = RUN["data_source"]["source"]["content"]
    assert "content" not in run.request["source"]
    lines = content_of(store, run)
    assert lines is not None
    assert [json.loads(line) for line in lines.splitlines()] == content
    shown = json.loads(encoded(run_object(run, "http://here/reports/x", json_array(lines))))
    assert shown["data_source"] == RUN["data_source"]
    (path,) = store.run_folder(run.id).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_run_of_a_file_keeps_its_rows_when_the_file_is_deleted(
    store: Store, owner: StoredEval
) -> None:
    part = store.files.new_part()
    part.write(b'{"item": {"label": "a"}}\n')
    file = store.files.add(part, project="default", purpose="evals", name="rows.jsonl")
    source = {"type": "file_id", "id": file.id}
    new = new_run({"data_source": {"type": "jsonl", "source": source}})
    run = create_run(store, owner, new, now=9)
    assert run is not None
    assert content_of(store, run) is None
    assert run.request == {"type": "jsonl", "source": source}
    assert store.files.delete("default", file.id)
    assert (store.run_folder(run.id) / ITEMS).read_bytes() == b'{"item": {"label": "a"}}\n'


def test_a_file_of_another_project_is_none(store: Store, owner: StoredEval) -> None:
    part = store.files.new_part()
    part.write(b'{"item": {"label": "a"}}\n')
    file = store.files.add(part, project="research", purpose="evals", name="rows.jsonl")
    source = {"type": "file_id", "id": file.id}
    with pytest.raises(InvalidBody, match="no file"):
        create_run(
            store, owner, new_run({"data_source": {"type": "jsonl", "source": source}}), now=9
        )


def test_a_run_whose_rows_do_not_fit_leaves_nothing(store: Store, owner: StoredEval) -> None:
    body = copy.deepcopy(RUN)
    body["data_source"]["source"]["content"].append({"item": {}})
    with pytest.raises(InvalidBody):
        create_run(store, owner, new_run(body), now=9)
    assert run_folders(store) == []
    assert store.runs.states("queued") == []


def test_an_interrupt_behind_the_run_leaves_its_items(
    store: Store, owner: StoredEval, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after_the_next_write(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        create_run(store, owner, new_run(copy.deepcopy(RUN)), now=5)
    (kept,) = store.runs.page("default", owner.id, Page()).data
    assert (store.run_folder(kept.id) / ITEMS).exists()


def test_a_run_of_an_eval_that_was_deleted_meanwhile_leaves_nothing(
    store: Store, owner: StoredEval
) -> None:
    store.evals.delete("default", owner.id)
    assert create_run(store, owner, new_run(copy.deepcopy(RUN)), now=9) is None
    assert run_folders(store) == []


def test_a_project_has_room_for_so_many_waiting_runs(store: Store, owner: StoredEval) -> None:
    def another() -> Any:
        return create_run(store, owner, new_run(copy.deepcopy(RUN)), now=9)

    runs = [another() for _ in range(MAX_QUEUED)]
    with pytest.raises(QueueFull):
        another()
    elsewhere = create_eval(store, "research", new_eval(copy.deepcopy(BASES["eval"])), now=7)
    assert create_run(store, elsewhere, new_run(copy.deepcopy(RUN)), now=9) is not None
    store.runs.move(runs[0].id, "canceled", ("queued",))
    assert another() is not None


def test_an_imported_eval_is_shown_whatever_its_source_was(store: Store) -> None:
    config = {"type": "logs", "metadata": {"usecase": "chat"}}
    stored = StoredEval("eval_1", "default", "", None, 1, 1, {"data_source_config": config})
    shown = eval_object(stored)
    assert shown["data_source_config"]["type"] == "logs"
    assert shown["data_source_config"]["schema"]["type"] == "object"
    assert shown["testing_criteria"] == []


@pytest.mark.parametrize(
    ("criteria", "param"),
    [([], "testing_criteria"), ([{"type": "azure_ai_evaluator"}], "testing_criteria[0].type")],
)
def test_an_imported_eval_that_cannot_be_run_is_refused_by_its_criterion(
    store: Store, criteria: list[Any], param: str
) -> None:
    owner = StoredEval("eval_1", "default", "", None, 1, 1, {"testing_criteria": criteria})
    store.evals.add(owner)
    with pytest.raises(InvalidBody) as refused:
        create_run(store, owner, new_run(copy.deepcopy(RUN)), now=9)
    assert refused.value.mistakes[0].param == param
    assert run_folders(store) == []


def test_an_imported_eval_whose_schema_costs_too_much_is_refused_by_it(store: Store) -> None:
    body = new_eval(copy.deepcopy(BASES["eval"]))
    schema = {"properties": {"item": {"allOf": [{"$ref": "#"}]}}}
    config = {"type": "custom", "schema": schema}
    criteria = body.testing_criteria
    stored = {"data_source_config": config, "testing_criteria": criteria}
    owner = StoredEval("eval_1", "default", "", None, 1, 1, stored)
    with pytest.raises(InvalidBody, match="refers to itself") as refused:
        create_run(store, owner, new_run(copy.deepcopy(RUN)), now=9)
    assert refused.value.mistakes[0].param == "data_source"
    assert run_folders(store) == []
