"""What a reinforcement job asks of its model's answers, from the request to the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine.jobs.validation.validating import validate
from graders_engine.jobs.wire import job_object
from graders_engine.storage.store import Store
from graders_engine.training.trainer import JobSpec, TrainingFailed
from tests.jobs.stores import ROWS, add_file, add_job, body_of, config_of, events_of, found

FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "n",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "boolean"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
}
PARAM = "method.reinforcement.response_format"
CALLS = {
    "type": "string_check", "name": "calls", "operation": "eq", "reference": "f",
    "input": "{{sample.output_tools[0].function.name}}",
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


class Check:
    """A trainer's check, in its place: it keeps the specs that it is given, and fails if it is told to."""

    def __init__(self, fails: TrainingFailed | None = None) -> None:
        self.fails = fails
        self.specs: list[JobSpec] = []

    def __call__(self, spec: JobSpec, python: str) -> None:
        self.specs.append(spec)
        if self.fails is not None:
            raise self.fails


def body_with(store: Store, **more: Any) -> dict[str, Any]:
    body = body_of(store, "reinforcement")
    body["method"]["reinforcement"] |= more
    return body


def checked(store: Store, folder: Path, check: Check, body: Any) -> dict[str, Any]:
    """A job as the API answers it, after its check."""
    job = add_job(store, body)
    assert validate(store, job.id, config_of(folder), check)
    return job_object(found(store, job.id))


def test_a_response_format_reaches_the_trainers_check_and_is_shown(
    tmp_path: Path, store: Store
) -> None:
    check = Check()
    job = checked(store, tmp_path, check, body_with(store, response_format=FORMAT))
    assert (job["status"], job["error"]) == ("queued", None)
    assert job["method"]["reinforcement"]["response_format"] == FORMAT
    spec = msgspec.convert(found(store, job["id"]).spec, JobSpec)
    assert check.specs == [spec]
    assert (spec.response_format, spec.names_calls) == (FORMAT, False)


@pytest.mark.parametrize("chosen", [None, {"type": "text"}])
def test_text_is_shown_as_it_was_asked_for(tmp_path: Path, store: Store, chosen: Any) -> None:
    job = checked(store, tmp_path, Check(), body_with(store, response_format=chosen))
    assert job["status"] == "queued"
    assert job["method"]["reinforcement"].get("response_format") == chosen


def test_what_is_wrong_fails_the_job_with_its_code_and_param(tmp_path: Path, store: Store) -> None:
    check = Check(TrainingFailed("invalid_response_format", "It is wrong.", PARAM))
    job = checked(store, tmp_path, check, body_with(store, response_format=FORMAT))
    error = {"code": "invalid_response_format", "message": "It is wrong.", "param": PARAM}
    assert (job["status"], job["error"]) == ("failed", error)
    assert events_of(store, job["id"])[-1] == ("error", "It is wrong.")


def test_the_trainers_check_is_told_whether_the_grader_reads_the_calls_of_tools(
    tmp_path: Path, store: Store
) -> None:
    check = Check()
    checked(store, tmp_path, check, body_with(store, grader=CALLS))
    assert [spec.names_calls for spec in check.specs] == [True]


def test_rows_with_tools_are_refused_where_each_answer_is_json(
    tmp_path: Path, store: Store
) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    rows = [*ROWS["reinforcement"], {**ROWS["reinforcement"][0], "tools": [tool]}]
    body = {**body_with(store, response_format=FORMAT), "training_file": add_file(store, rows)}
    error = checked(store, tmp_path, Check(), body)["error"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")
    assert "Line 13: It has `tools`" in error["message"]
    body["method"]["reinforcement"]["response_format"] = {"type": "text"}
    assert checked(store, tmp_path, Check(), body)["status"] == "queued"


def test_a_key_that_the_schema_does_not_have_is_a_warning_before_training(
    tmp_path: Path, store: Store
) -> None:
    grader = {
        "type": "string_check", "name": "m", "operation": "eq", "reference": "{{item.label}}",
        "input": "{{sample.output_json.m}}",
    }  # fmt: skip
    body = body_with(store, response_format=FORMAT, grader=grader)
    job = checked(store, tmp_path, Check(), body)
    warned = [text for level, text in events_of(store, job["id"]) if level == "warn"]
    assert any(text.startswith("Preflight, not-in-schema: ") for text in warned)
