"""What a reinforcement job asks of its model's answers, from the request to the queue."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine.jobs.validation.validating import validate
from graders_engine.jobs.wire import job_object
from graders_engine.models.tables.training import TrainingConfig
from graders_engine.storage.store import Store
from graders_engine.training.trainer import JobSpec
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
ASKED = """
import json, pathlib, sys
assert sys.argv[1:] == ["-P", "-m", "graders_engine.training.answers"]
pathlib.Path({path!r}).write_bytes(sys.stdin.buffer.read())
print("something else first")
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """What the Python that trains was asked."""
    return tmp_path / "asked.json"


def python_that(folder: Path, asked: Path, does: str) -> TrainingConfig:
    """A program in the place of the Python that trains."""
    path = folder / "python"
    text = f"#!{sys.executable}\n{ASKED.format(path=str(asked))}{does}\n"
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return TrainingConfig(python=str(path))


def body_with(store: Store, **more: Any) -> dict[str, Any]:
    body = body_of(store, "reinforcement")
    body["method"]["reinforcement"] |= more
    return body


def checked(store: Store, folder: Path, training: TrainingConfig, body: Any) -> dict[str, Any]:
    """A job as the API answers it, after its check."""
    job = add_job(store, body)
    assert validate(store, job.id, config_of(folder, training=training))
    return job_object(found(store, job.id))


def test_a_response_format_is_checked_by_the_python_that_trains_and_shown(
    tmp_path: Path, store: Store, asked: Path
) -> None:
    training = python_that(tmp_path, asked, "print('null')")
    job = checked(store, tmp_path, training, body_with(store, response_format=FORMAT))
    assert (job["status"], job["error"]) == ("queued", None)
    assert job["method"]["reinforcement"]["response_format"] == FORMAT
    spec = msgspec.convert(found(store, job["id"]).spec, JobSpec)
    assert spec.response_format == FORMAT
    question = msgspec.json.decode(asked.read_bytes())
    assert question == {
        "model_path": spec.model_path, "response_format": FORMAT, "names_calls": False,
    }  # fmt: skip


@pytest.mark.parametrize("chosen", [None, {"type": "text"}])
def test_nothing_is_asked_where_answers_are_text(
    tmp_path: Path, store: Store, asked: Path, chosen: Any
) -> None:
    training = python_that(tmp_path, asked, "print('null')")
    job = checked(store, tmp_path, training, body_with(store, response_format=chosen))
    assert job["status"] == "queued"
    assert job["method"]["reinforcement"].get("response_format") == chosen
    assert not asked.exists()


def test_what_is_wrong_fails_the_job_with_its_code_and_param(
    tmp_path: Path, store: Store, asked: Path
) -> None:
    answer = {"code": "invalid_response_format", "message": "It is wrong.", "param": PARAM}
    training = python_that(tmp_path, asked, f"print(json.dumps({answer!r}))")
    job = checked(store, tmp_path, training, body_with(store, response_format=FORMAT))
    assert (job["status"], job["error"]) == ("failed", answer)
    assert events_of(store, job["id"])[-1] == ("error", "It is wrong.")


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("sys.exit('no memory')", "is unknown: no memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "is unknown: no reason is given."),
    ],
)  # fmt: skip
def test_a_check_that_dies_is_no_good_check(
    tmp_path: Path, store: Store, asked: Path, does: str, says: str
) -> None:
    training = python_that(tmp_path, asked, does)
    job = checked(store, tmp_path, training, body_with(store, response_format=FORMAT))
    assert job["status"] == "failed"
    assert (job["error"]["code"], job["error"]["param"]) == ("validation_failed", PARAM)
    assert says in job["error"]["message"]


def test_a_python_that_is_not_there_fails_the_job(tmp_path: Path, store: Store) -> None:
    training = TrainingConfig(python=str(tmp_path / "nowhere"))
    job = checked(store, tmp_path, training, body_with(store, response_format=FORMAT))
    assert "is unknown: No such file or directory" in job["error"]["message"]


@pytest.mark.skipif(find_spec("llguidance") is not None, reason="this Python has the package")
def test_a_python_without_the_package_of_grammars_fails_the_job(
    tmp_path: Path, store: Store
) -> None:
    job = checked(store, tmp_path, TrainingConfig(), body_with(store, response_format=FORMAT))
    assert (job["error"]["code"], job["error"]["param"]) == ("trainer_not_available", PARAM)
    assert "No module named 'llguidance'" in job["error"]["message"]


def test_a_grader_of_tool_calls_asks_whether_those_of_the_model_can_be_read(
    tmp_path: Path, store: Store, asked: Path
) -> None:
    answer = {"code": "c", "message": "No.", "param": "method.reinforcement.grader"}
    training = python_that(tmp_path, asked, f"print(json.dumps({answer!r}))")
    job = checked(store, tmp_path, training, body_with(store, grader=CALLS))
    assert job["error"] == answer
    question = msgspec.json.decode(asked.read_bytes())
    assert (question["response_format"], question["names_calls"]) == (None, True)


def test_rows_with_tools_are_refused_where_each_answer_is_json(
    tmp_path: Path, store: Store, asked: Path
) -> None:
    training = python_that(tmp_path, asked, "print('null')")
    tool = {"type": "function", "function": {"name": "f"}}
    rows = [*ROWS["reinforcement"], {**ROWS["reinforcement"][0], "tools": [tool]}]
    body = {**body_with(store, response_format=FORMAT), "training_file": add_file(store, rows)}
    error = checked(store, tmp_path, training, body)["error"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")
    assert "Line 13: It has `tools`" in error["message"]
    body["method"]["reinforcement"]["response_format"] = {"type": "text"}
    assert checked(store, tmp_path, training, body)["status"] == "queued"


def test_a_key_that_the_schema_does_not_have_is_a_warning_before_training(
    tmp_path: Path, store: Store, asked: Path
) -> None:
    training = python_that(tmp_path, asked, "print('null')")
    grader = {
        "type": "string_check", "name": "m", "operation": "eq", "reference": "{{item.label}}",
        "input": "{{sample.output_json.m}}",
    }  # fmt: skip
    job = checked(
        store, tmp_path, training, body_with(store, response_format=FORMAT, grader=grader)
    )
    warned = [text for level, text in events_of(store, job["id"]) if level == "warn"]
    assert any(text.startswith("Preflight, not-in-schema: ") for text in warned)
