"""The check of a job by its trainer, in the Python that trains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.place import SPEC
from graders_engine.jobs.validation.trainer_check import CheckDied
from graders_engine.jobs.validation.validating import validate
from graders_engine.jobs.wire import job_object
from graders_engine.jobs.worker import read_spec
from graders_engine.language import strict_json
from graders_engine.models.tables.training import TrainingConfig
from graders_engine.storage.store import Store
from graders_engine.training.trainer import TrainingFailed
from tests.jobs.stores import GRADER, add_job, body_of, config_of, found, trains


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def checked_by(store: Store, folder: Path, python: str, **more: Any) -> dict[str, Any]:
    """A job as the API answers it, after the check by the trainer of a Python."""
    config = config_of(folder, training=TrainingConfig(python=python))
    job = add_job(store, body_of(store, "supervised", **more))
    assert validate(store, job.id, config)
    return job_object(found(store, job.id))


def test_the_trainer_checks_a_job_before_it_waits_for_its_turn(
    tmp_path: Path, store: Store
) -> None:
    python = trains(tmp_path)
    assert checked_by(store, tmp_path, python)["status"] == "queued"
    (store.folder / "script-8.json").write_text('{"check": "Line 3: It is too long."}')
    error = checked_by(store, tmp_path, python, seed=8)["error"]
    assert error == {
        "code": "invalid_training_file",
        "message": "The job failed due to an invalid training file. Line 3: It is too long.",
        "param": "training_file",
    }


OTHER = (
    "import sys, types\n"
    "import graders_engine.version as version\n"
    "version.__version__ = '0.0.1'\n"
    "from graders_engine.jobs.validation import trainer_check\n"
    "trainer_check.main(['--trainer', 'tests.jobs.served:ServedTrainer'])\n"
)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("exit 3", None),
        (f'exec "{sys.executable}" -c "{OTHER}"', "it has graders-engine 0.0.1, and this server is "),
        (f'exec "{sys.executable}" -I -S "$@"', "it has not the graders-engine of this server"),
        (f'exec "{sys.executable}" "$@" --trainer tests.jobs.nowhere:Trainer', "No module named"),
    ],
)  # fmt: skip
def test_a_python_that_cannot_train_is_found_before_the_job_waits(
    tmp_path: Path, store: Store, before: str, says: str | None
) -> None:
    python = trains(tmp_path, before)
    if says is None:  # it has died, and another check may do better
        with pytest.raises(CheckDied):
            checked_by(store, tmp_path, python)
        return
    error = checked_by(store, tmp_path, python)["error"]
    assert (error["code"], error["param"]) == ("trainer_not_available", None)
    assert says in error["message"]
    assert "pip install" in error["message"]


PRINTS = (
    "import os, sys\n"
    "print('Loaded the modules of the cluster')\n"
    "sys.stdout.flush()\n"
    "import graders_engine.training.trainer as trainer\n"
    "from graders_engine.jobs.validation import trainer_check\n"
    "from tests.jobs.served import ServedTrainer\n"
    "check = ServedTrainer.check\n"
    "def loud(self, spec):\n"
    "    os.write(1, b'a library in C\\n' + b'x' * (1 << 20))\n"
    "    print('{{}}')\n"
    "    {then}\n"
    "    check(self, spec)\n"
    "ServedTrainer.check = loud\n"
    "trainer_check.main(['--trainer', 'tests.jobs.served:ServedTrainer'])\n"
)


def prints(then: str = "pass") -> str:
    """Runs a check that prints what is no answer, and then does this."""
    return f'exec "{sys.executable}" -c "{PRINTS.format(then=then)}"'


def test_what_else_a_check_prints_is_no_part_of_its_answer(tmp_path: Path, store: Store) -> None:
    python = trains(tmp_path, prints())
    assert checked_by(store, tmp_path, python)["status"] == "queued"
    (store.folder / "script-8.json").write_text(json.dumps({"check": "Line 3: \ud800 é."}))
    error = checked_by(store, tmp_path, python, seed=8)["error"]
    assert error["message"].endswith("invalid training file. Line 3: \ud800 é.")


def test_a_check_that_is_killed_says_so_with_the_end_of_what_it_printed(
    tmp_path: Path, store: Store
) -> None:
    dies = "os.write(2, b'y' * (1 << 20) + b'\\nthe last line\\n'); os.kill(os.getpid(), 9)"
    with pytest.raises(CheckDied) as died:
        checked_by(store, tmp_path, trains(tmp_path, prints(dies)))
    assert str(died.value) == "the last line\nIt was killed by signal 9."


def test_an_answer_counts_also_when_the_process_crashes_behind_it(
    tmp_path: Path, store: Store
) -> None:
    crashes = "import atexit; atexit.register(os.kill, os.getpid(), 11)"
    assert checked_by(store, tmp_path, trains(tmp_path, prints(crashes)))["status"] == "queued"


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ("from json import no_such_name", "cannot import name 'no_such_name'"),
        ("raise SystemExit('No module named tokenizers')", "No module named tokenizers"),
    ],
)
def test_a_python_whose_packages_do_not_fit_is_found_before_the_job_waits(
    tmp_path: Path, store: Store, then: str, says: str
) -> None:
    error = checked_by(store, tmp_path, trains(tmp_path, prints(then)))["error"]
    assert error["code"] == "trainer_not_available"
    assert says in error["message"]


def test_a_python_that_is_not_there_is_found_before_the_job_waits(
    tmp_path: Path, store: Store
) -> None:
    error = checked_by(store, tmp_path, str(tmp_path / "nowhere"))["error"]
    assert error["code"] == "trainer_not_available"
    assert "nowhere cannot be started: No such file or directory" in error["message"]


def test_a_grader_with_half_of_a_character_is_checked_and_given_to_the_trainer(
    tmp_path: Path, store: Store
) -> None:
    config = config_of(tmp_path, training=TrainingConfig(python=trains(tmp_path)))
    body = body_of(store, "reinforcement")
    grader = {**GRADER, "reference": "{{item.label}}\ud800"}
    body["method"]["reinforcement"]["grader"] = grader
    job = add_job(store, body)
    assert validate(store, job.id, config)
    assert found(store, job.id).status == "queued"
    folder = store.job_folder(job.id)
    (folder / SPEC).write_bytes(strict_json.encode(found(store, job.id).spec))
    assert read_spec(folder, "{}").grader == grader
    (folder / SPEC).write_bytes(b'{"id": 5}')
    with pytest.raises(TrainingFailed, match=r"spec\.json cannot be read: Expected `str`"):
        read_spec(folder, "{}")
