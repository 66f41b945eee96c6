"""The page of a run that is deleted while it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.server.evals.repeats import Creations
from graders_engine.server.evals.reports import page_of
from graders_engine.server.responses import Refused
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_run_id
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


def test_it_is_not_found(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        owner = StoredEval(new_eval_id(), "default", "an eval", None, 1, 1, {})
        store.evals.add(owner)
        run = StoredRun(
            new_run_id(), owner.id, "default", "", "", "completed", None, 2, {"type": "jsonl"}, {}
        )
        assert store.runs.add(run)
        assert page_of(store, run, "an eval", Creations()).startswith(b"<!doctype html>")
        store.runs.delete("default", owner.id, run.id)
        with pytest.raises(Refused) as refused:
            page_of(store, run, "an eval", Creations())
    assert refused.value.status == 404
    assert refused.value.mistake.message == f"There is no run '{run.id}'."
