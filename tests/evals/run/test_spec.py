"""What a worker is started with: the settings of the server, and no variable that it has no use for."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from graders_engine.errors import DataSetError, InvalidGrader, InvalidRequest, RunStopped
from graders_engine.evals.run.failure import failure_of
from graders_engine.evals.run.spec import environment
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Price
from graders_engine.models.retry import RetryPolicy
from graders_engine.models.scripted import Scripted
from graders_engine.sandbox.base import Limits
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json, from_json


def test_settings_come_out_as_they_went_in() -> None:
    judges = JudgeSettings(
        endpoints={"default": "http://127.0.0.1:1/v1"},
        models={"a": "b@c"},
        prices={"b": Price(input=1.0, output=2.0)},
        config=Path("/x/graders.toml"),
        cache=Path("/x/replies.sqlite"),
        retry=RetryPolicy(attempts=2),
        max_tokens=5,
    )
    given = EngineSettings(
        judges=judges, limits=Limits(wall_s=3), sandbox="none", allow_endpoints=False,
        metric_variants={"bleu": "nltk_method4"}, templates="as_served",
    )  # fmt: skip
    read = from_json(as_json(given))
    assert as_json(read) == as_json(given)
    assert read.judge_settings().retry == judges.retry
    assert read.judge_settings().prices == judges.prices
    assert read.limits == given.limits
    assert from_json(b"").templates == "as_served"


def test_an_object_cannot_be_a_workers_judge() -> None:
    with pytest.raises(InvalidRequest, match="processes of their own"):
        as_json(EngineSettings(judges=Scripted({})))


def test_a_worker_gets_no_variable_that_it_has_no_use_for(tmp_path: Path) -> None:
    config = tmp_path / "graders.toml"
    config.write_text(
        '[endpoints.x]\nbase_url = "http://x.test/v1"\napi_key_env = "KEY_OF_X"\n'
        '[projects.other]\napi_key_env = "GRADERS_OTHER"\n'
    )
    given = {
        "PATH": "/bin", "KEY_OF_X": "k", "OPENAI_API_KEY": "o", "GRADERS_CACHE": "c", "https_proxy": "p",
        "GRADERS_API_KEY": "secret", "GRADERS_ADMIN_KEY": "secret", "GRADERS_OTHER": "secret",
        "AWS_SECRET": "secret",
    }  # fmt: skip
    settings = EngineSettings(judges=JudgeSettings(config=config))
    passed = environment(settings, given)
    assert set(passed) == {
        "PATH",
        "KEY_OF_X",
        "OPENAI_API_KEY",
        "GRADERS_CACHE",
        "https_proxy",
    }


def full_disk() -> DataSetError:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise DataSetError("cannot be written") from error
    except DataSetError as error:
        return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (full_disk(), "disk_full"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EIO, "Input/output error"), "storage_error"),
        (DataSetError("it cannot be read"), "data_error"),
        (RunStopped("5 rows in a row failed"), "grader_not_available"),
        (InvalidGrader([]), "invalid_grader"),
        (InvalidRequest("no"), "invalid_request"),
    ],
)
def test_a_failed_run_has_a_code_and_a_sentence(error: BaseException, code: str) -> None:
    failure = failure_of(error)
    assert failure["code"] == code
    assert str(error) in failure["message"]


def test_a_full_disk_is_known_by_the_database_too(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "x.sqlite")
    file.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.Error) as caught:
        file.execute("CREATE TABLE t (x)")
    file.close()
    assert failure_of(caught.value)["code"] == "disk_full"
