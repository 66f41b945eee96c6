"""From the creation of a job to the queue, or to its failure with the place of what is wrong."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine.jobs.creating import (
    MAX_QUEUED,
    JobQueueFull,
    create_job,
    job_using,
    made_by,
)
from graders_engine.jobs.requests.request import new_job
from graders_engine.jobs.states import cancel
from graders_engine.jobs.validation.new_jobs import ATTEMPTS, NewJobs, environment
from graders_engine.jobs.validation.validating import validate
from graders_engine.jobs.wire import job_object
from graders_engine.models.config import Config
from graders_engine.models.tables.training import BaseModel, TrainingConfig
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.store import Store
from graders_engine.training.trainer import JobSpec
from tests.jobs.models import PARAMETERS, make_model
from tests.jobs.stores import (
    GRADER,
    NOW,
    ROWS,
    add_file,
    add_job,
    body_of,
    config_of,
    events_of,
    found,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def checked(store: Store, config: Config, body: dict[str, Any]) -> dict[str, Any]:
    """A job as the API answers it, after its check."""
    job = add_job(store, body)
    assert validate(store, job.id, config)
    return job_object(found(store, job.id))


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("supervised", {"n_epochs": 8, "batch_size": 1, "learning_rate_multiplier": 1.0}),
        ("dpo", {"n_epochs": 8, "batch_size": 1, "learning_rate_multiplier": 1.0, "beta": 0.1}),
        (
            "reinforcement",
            {
                "n_epochs": 8, "batch_size": 4, "learning_rate_multiplier": 1.0,
                "compute_multiplier": 1.0, "eval_interval": 2, "eval_samples": 2,
                "reasoning_effort": "default",
            },
        ),
    ],
)  # fmt: skip
def test_a_good_job_is_queued_with_auto_resolved_for_all_to_see(
    tmp_path: Path, store: Store, method: str, wanted: dict[str, Any]
) -> None:
    body = body_of(store, method)
    job = add_job(store, body)
    before = job_object(job)
    assert before["status"] == "validating_files"
    assert before["method"][method]["hyperparameters"]["n_epochs"] == "auto"
    assert validate(store, job.id, config_of(tmp_path))
    after = job_object(found(store, job.id))
    assert after["status"] == "queued"
    assert after["method"][method]["hyperparameters"] == wanted
    if method == "supervised":
        assert after["hyperparameters"] == wanted
    spec = msgspec.convert(found(store, job.id).spec, JobSpec)
    assert (spec.method, spec.seed, spec.lora) == (method, 7, None)
    assert spec.hyperparameters == wanted
    assert len(Path(spec.training_file).read_text().splitlines()) == 12
    messages = events_of(store, job.id)
    assert messages[0] == ("info", f"Created fine-tuning job: {job.id}")
    assert messages[1][1].startswith(f"Validating training file: {body['training_file']}")
    assert f"{PARAMETERS:,} parameters; all weights" in messages[-2][1]
    steps = 12 * 8 // wanted["batch_size"]
    assert messages[-1][1] == (
        f"Files validated, moving job to queued state: 12 rows, {steps} steps."
    )


def test_what_graders_toml_and_the_request_say_reaches_the_trainer(
    tmp_path: Path, store: Store
) -> None:
    folder = make_model(tmp_path / "tiny")
    base = BaseModel(str(folder), lora=True, learning_rate=1e-3, max_completion_tokens=64)
    training = TrainingConfig(accelerate="/accelerate.yaml")
    body = body_of(store, "reinforcement", integrations=[
        {"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}
    ])  # fmt: skip
    body["method"]["reinforcement"]["hyperparameters"] = {"learning_rate_multiplier": 0.5}
    job = add_job(store, body)
    assert validate(store, job.id, Config(base_models={"tiny": base}, training=training))
    spec = msgspec.convert(found(store, job.id).spec, JobSpec)
    assert (spec.model_path, spec.lora) == (str(folder), {"r": 16, "alpha": 32})
    assert (spec.learning_rate, spec.max_completion_tokens) == (5e-4, 64)
    assert (spec.grader, spec.accelerate) == (GRADER, "/accelerate.yaml")
    assert spec.wandb == {"project": "p", "entity": None, "name": None, "tags": ["a"]}


def test_a_model_under_another_name_is_said_to_stand_in(tmp_path: Path, store: Store) -> None:
    config = Config(base_models={"gpt-4o": BaseModel(str(make_model(tmp_path / "tiny")))})
    job = add_job(store, body_of(store, "supervised", model="gpt-4o"))
    validate(store, job.id, config)
    assert ("warn", "'gpt-4o' is the name of tiny here: that is the model which is trained.") in (
        events_of(store, job.id)
    )


@pytest.mark.parametrize(
    ("method", "param", "rows", "says"),
    [
        ("supervised", "training_file", ROWS["supervised"][:9],
         "It has 9 rows, but must have at least 10."),
        ("supervised", "training_file", [*ROWS["supervised"], {"messages": []}],
         "1 of 13 rows is wrong. Line 13: "),
        ("supervised", "validation_file", [], "It has 0 rows, but must have at least 1."),
        ("dpo", "training_file", ROWS["supervised"], "10: There is no key `input`."),
        ("reinforcement", "validation_file", ROWS["supervised"], "and not the user's"),
        ("reinforcement", "training_file", ["cat"], "Line 1: "),
    ],
)  # fmt: skip
def test_a_bad_file_fails_the_job_with_its_parameter_and_lines(
    tmp_path: Path, store: Store, method: str, param: str, rows: list[Any], says: str
) -> None:
    job = checked(
        store, config_of(tmp_path), body_of(store, method, **{param: add_file(store, rows)})
    )
    assert job["status"] == "failed"
    assert job["finished_at"] is not None
    error = job["error"]
    assert (error["code"], error["param"]) == (f"invalid_{param}", param)
    word = param.replace("_", " ")
    assert error["message"].startswith(f"The job failed due to an invalid {word}. ")
    assert says in error["message"]
    assert str(tmp_path) not in error["message"]
    assert events_of(store, job["id"])[-1] == ("error", error["message"])


def test_a_file_that_is_deleted_before_the_check_fails_the_job(
    tmp_path: Path, store: Store
) -> None:
    body = body_of(store, "supervised")
    job = add_job(store, body)
    store.files.delete("default", body["training_file"])
    validate(store, job.id, config_of(tmp_path))
    error = found(store, job.id).error
    assert error is not None
    assert error["param"] == "training_file"
    assert "was deleted before it was read" in error["message"]


def test_a_batch_larger_than_the_file_has_all_of_its_rows_and_says_so(
    tmp_path: Path, store: Store
) -> None:
    body = body_of(store, "supervised")
    body["method"]["supervised"] = {"hyperparameters": {"n_epochs": 3, "batch_size": 13}}
    job = checked(store, config_of(tmp_path), body)
    assert job["hyperparameters"]["batch_size"] == 12
    warning = ("warn", "A batch of 13 rows is asked for, and there are 12: it has all of them.")
    assert warning in events_of(store, job["id"])
    assert events_of(store, job["id"])[-1][1].endswith("12 rows, 3 steps.")


def test_a_model_that_is_gone_by_now_fails_the_job(tmp_path: Path, store: Store) -> None:
    config = config_of(tmp_path)
    (tmp_path / "tiny" / "config.json").unlink()
    error = checked(store, config, body_of(store, "supervised"))["error"]
    assert (error["code"], error["param"]) == ("model_not_available", "model")


def test_preflight_warns_of_a_grader_that_reads_a_field_that_no_row_has(
    tmp_path: Path, store: Store
) -> None:
    body = body_of(store, "reinforcement")
    body["method"]["reinforcement"]["grader"] = {**GRADER, "reference": "{{item.answer}}"}
    job = checked(store, config_of(tmp_path), body)
    assert job["status"] == "queued"
    warned = [text for level, text in events_of(store, job["id"]) if level == "warn"]
    about = [text for text in warned if text.startswith("Preflight, missing-field: ")]
    assert about
    assert any("the training file" in text for text in about)
    assert not any(str(tmp_path) in text for text in warned)


def test_a_line_that_preflight_names_is_one_of_a_file_that_the_request_has(
    tmp_path: Path, store: Store
) -> None:
    body = body_of(store, "reinforcement")
    body["validation_file"] = add_file(store, ROWS["reinforcement"][:2])
    job = checked(store, config_of(tmp_path), body)
    warned = [text for level, text in events_of(store, job["id"]) if level == "warn"]
    assert any("(line 1 of the training file)" in text for text in warned), warned


def test_a_job_that_was_cancelled_is_not_checked(tmp_path: Path, store: Store) -> None:
    job = add_job(store, body_of(store, "supervised"))
    assert cancel(store.jobs, job.id)
    assert not validate(store, job.id, config_of(tmp_path))
    assert found(store, job.id).status == "cancelled"


def test_a_check_that_is_made_twice_says_everything_once(tmp_path: Path, store: Store) -> None:
    job, config = add_job(store, body_of(store, "supervised")), config_of(tmp_path)
    store.jobs.add_event(job.id, "info", "Validating", once="validating")  # by one that died
    validate(store, job.id, config)
    assert not validate(store, job.id, config)
    assert len(events_of(store, job.id)) == 4


def test_the_rows_of_a_job_outlive_its_files(tmp_path: Path, store: Store) -> None:
    body = body_of(store, "supervised")
    job = add_job(store, body)
    validate(store, job.id, config_of(tmp_path))
    store.files.delete("default", body["training_file"])
    spec = msgspec.convert(found(store, job.id).spec, JobSpec)
    assert Path(spec.training_file).read_text().count("\n") == 12


def script(folder: Path, text: str) -> str:
    """A program that is called as a Python would be."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_model_of_the_hub_is_downloaded_by_the_python_that_trains(
    tmp_path: Path, store: Store
) -> None:
    folder = make_model(tmp_path / "snapshot")
    python = script(
        tmp_path, f"import sys\nassert sys.argv[3:] == ['a/b', 'v1']\nprint({str(folder)!r})"
    )
    config = Config(
        base_models={"b": BaseModel(hub="a/b", revision="v1")},
        training=TrainingConfig(python=python),
    )
    job = add_job(store, body_of(store, "supervised", model="b"))
    validate(store, job.id, config)
    assert found(store, job.id).spec["model_path"] == str(folder)

    failing = script(tmp_path, "import sys\nsys.exit('no such repository')")
    config = replace(config, training=TrainingConfig(python=failing))
    error = checked(store, config, body_of(store, "supervised", model="b"))["error"]
    assert error["code"] == "model_not_available"
    assert "it cannot be downloaded: no such repository" in error["message"]


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"training_file": "file-none"}, "invalid_value", "training_file"),
        ({"validation_file": "../store.sqlite3"}, "invalid_value", "validation_file"),
    ],
)
def test_a_job_names_files_of_its_project(
    store: Store, change: dict[str, str], code: str, param: str
) -> None:
    from graders_engine.body_fields import InvalidBody

    with pytest.raises(InvalidBody) as refused:
        add_job(store, body_of(store, "supervised", **change))
    assert [(one.param, one.code) for one in refused.value.mistakes] == [(param, code)]
    body = body_of(store, "supervised")
    with pytest.raises(InvalidBody):
        add_job(store, body, project="other")
    wrong = add_file(store, ROWS["supervised"], purpose="evals")
    with pytest.raises(InvalidBody) as refused:
        add_job(store, {**body, "training_file": wrong})
    assert refused.value.mistakes[0].code == "file_wrong_purpose"


def test_jobs_that_wait_are_bounded_for_each_project(store: Store) -> None:
    body = body_of(store, "supervised")
    jobs = [add_job(store, body) for _ in range(MAX_QUEUED)]
    with pytest.raises(JobQueueFull, match="100 jobs wait"):
        add_job(store, body)
    other = {**body, "training_file": add_file(store, ROWS["supervised"], project="other")}
    add_job(store, other, project="other")
    cancel(store.jobs, jobs[0].id)
    add_job(store, body)


def test_a_request_finds_the_job_that_it_made_but_not_an_older_one(store: Store) -> None:
    new = new_job(body_of(store, "supervised"))
    made = create_job(store, "default", new, now=NOW, digest="abc")
    create_job(store, "default", new, now=NOW, digest="other")
    assert made_by(store, "default", "abc", NOW - 600) == found(store, made.id)
    assert made_by(store, "default", "abc", NOW + 1) is None
    assert made_by(store, "other", "abc", NOW - 600) is None
    assert "_request" not in job_object(made)


def test_a_file_is_in_use_until_the_jobs_with_it_have_ended(store: Store) -> None:
    body = body_of(store, "reinforcement")
    job = add_job(store, body)
    for key in ("training_file", "validation_file"):
        using = job_using(store, "default", body[key])
        assert using is not None
        assert using.id == job.id
    assert job_using(store, "other", body["training_file"]) is None
    cancel(store.jobs, job.id)
    assert job_using(store, "default", body["training_file"]) is None


WATCH_S = 60.0


def watched(new_jobs: NewJobs, is_over: Any) -> None:
    """Let it check until something is so; how long that takes decides nothing."""

    async def watch() -> None:
        task = asyncio.create_task(new_jobs.watch())
        try:
            async with asyncio.timeout(WATCH_S):
                while not await asyncio.to_thread(is_over):
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.05)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())


def test_new_jobs_are_checked_in_a_process_of_their_own(tmp_path: Path, store: Store) -> None:
    make_model(tmp_path / "tiny")
    config = tmp_path / "graders.toml"
    config.write_text('[base_models]\ntiny = "tiny"\n', encoding="utf-8")
    jobs = [add_job(store, body_of(store, method)) for method in ("supervised", "reinforcement")]
    queued: list[int] = []
    new_jobs = NewJobs(store, str(config), lambda: queued.append(1))
    watched(new_jobs, lambda: len(queued) == len(jobs))
    assert len(store.jobs.states("queued")) == len(jobs)


def test_a_check_that_always_dies_fails_the_job_with_its_last_words(
    tmp_path: Path, store: Store
) -> None:
    job = add_job(store, body_of(store, "supervised"))
    starts = tmp_path / "starts"
    dies = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit('out of memory')"
    new_jobs = NewJobs(store, "", lambda: None, (sys.executable, "-c", dies))
    watched(new_jobs, lambda: found(store, job.id).status == "failed")
    error = found(store, job.id).error
    assert error is not None
    assert error["code"] == "validation_failed"
    assert "out of memory" in error["message"]
    assert starts.read_text() == "x" * ATTEMPTS


def test_a_check_that_waits_keeps_no_other_one_waiting_and_ends_with_its_job(
    tmp_path: Path, store: Store
) -> None:
    config = tmp_path / "graders.toml"
    make_model(tmp_path / "tiny")
    config.write_text('[base_models]\ntiny = "tiny"\n', encoding="utf-8")
    waits, other = (add_job(store, body_of(store, "supervised")) for _ in range(2))
    lock = tmp_path / "lock"
    program = (
        "import sys, time\n"
        "from graders_engine.jobs.validation.validator import main\n"
        "from graders_engine.storage.lock import ProcessLock\n"
        "from pathlib import Path\n"
        f"if sys.argv[2] == {waits.id!r}:\n"
        f"    held = ProcessLock(Path({str(lock)!r}))\n"
        "    held.take()\n"
        "    time.sleep(600)\n"
        "main(*sys.argv[1:])\n"
    )
    new_jobs = NewJobs(store, str(config), lambda: None, (sys.executable, "-c", program))

    def is_free() -> bool:
        held = ProcessLock(lock)
        taken = held.take()
        held.release()
        return taken

    def is_over() -> bool:
        if found(store, other.id).status != "queued" or not lock.exists():
            return False
        if found(store, waits.id).status == "validating_files":
            assert cancel(store.jobs, waits.id)
        return is_free()

    watched(new_jobs, is_over)
    assert found(store, waits.id).status == "cancelled"


def test_a_check_has_the_token_of_downloads_and_no_other_key() -> None:
    given = {"HF_TOKEN": "t", "GRADERS_API_KEY": "k", "OPENAI_API_KEY": "o", "PATH": "/bin"}
    assert environment(given) == {"HF_TOKEN": "t", "PATH": "/bin"}
