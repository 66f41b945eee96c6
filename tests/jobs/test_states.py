"""The states of a job, against a model of a few lines: whatever is tried, in whatever order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graders_engine.jobs.states import NEXT, cancel, change, pause, resume
from graders_engine.storage.ids import new_job_id
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

ENDS = {"succeeded", "failed", "cancelled"}
OPEN = {"validating_files", "queued", "running", "pausing", "paused"}
ACTIONS = {
    "pause": {"queued": "paused", "running": "pausing"},
    "resume": {"paused": "queued"},
    "cancel": dict.fromkeys(OPEN, "cancelled"),
    "files are valid": {"validating_files": "queued"},
    "files are not valid": {"validating_files": "failed"},
    "worker begins": {"queued": "running"},
    "worker has paused": {"pausing": "paused", "running": "paused"},
    "worker is done": {"running": "succeeded", "pausing": "succeeded"},
    "worker has failed": {"running": "failed", "pausing": "failed"},
    "worker is lost": {"running": "queued"},
    "workers die": {"queued": "failed"},
}
"""What each action makes of the states in which it does something; in the others, nothing changes."""


def act(store: Store, job_id: str, action: str) -> bool:
    by_name = {"pause": pause, "resume": resume, "cancel": cancel}
    if action in by_name:
        return by_name[action](store.jobs, job_id)
    (to,) = set(ACTIONS[action].values())
    columns: dict[str, Any] = {"fine_tuned_model": "ft:m"} if to == "succeeded" else {}
    return change(store.jobs, job_id, to, tuple(ACTIONS[action]), **columns)


class States(RuleBasedStateMachine):
    """A job in a store, and what it should be."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name))
        self.job_id, self.status, self.changes = new_job_id(), "validating_files", 0
        made = StoredJob(
            id=self.job_id, project="p", status=self.status, created_at=1, request={}, spec={}
        )
        assert self.store.jobs.add(made)

    @rule(action=st.sampled_from(sorted(ACTIONS)))
    def something_happens(self, action: str) -> None:
        expected = ACTIONS[action].get(self.status)
        assert act(self.store, self.job_id, action) == (expected is not None)
        self.status = expected or self.status

    @invariant()
    def the_job_says_what_is_so(self) -> None:
        found = self.store.jobs.find(self.job_id)
        assert found is not None
        assert found.status == self.status
        wanted = {"pausing": "paused", "cancelled": "cancelled"}
        assert found.wanted == wanted.get(self.status, "")
        assert (found.finished_at is not None) == (self.status in ENDS)
        assert (found.fine_tuned_model is not None) == (self.status == "succeeded")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


TestStates = States.TestCase
TestStates.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


def test_the_table_has_the_states_of_the_model_and_no_end_is_left() -> None:
    assert set(NEXT) == ENDS | OPEN
    assert all(not NEXT[status] for status in ENDS)
    allowed = {(before, after) for changes in ACTIONS.values() for before, after in changes.items()}
    assert {(before, after) for before, all_ in NEXT.items() for after in all_} == allowed


def test_a_change_that_the_table_does_not_have_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(ValueError, match="from succeeded to queued"):
            change(store.jobs, "ftjob-1", "queued", ("succeeded",))
        with pytest.raises(ValueError, match="with a model only"):
            change(store.jobs, "ftjob-1", "succeeded")


def test_each_change_that_people_ask_for_has_its_event(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        made = StoredJob(
            id=new_job_id(), project="p", status="queued", created_at=1, request={}, spec={}
        )
        store.jobs.add(made)
        assert pause(store.jobs, made.id)
        assert not pause(store.jobs, made.id)
        assert resume(store.jobs, made.id)
        assert cancel(store.jobs, made.id)
        assert not cancel(store.jobs, made.id)
        events = store.jobs.events(made.id, Page()).data
        assert [event.message for event in events] == [
            "The job is paused.",
            "The job is resumed.",
            "The job is cancelled.",
        ]
