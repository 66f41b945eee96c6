"""What looks after jobs: which it starts, what it gives their workers, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import OutOfResources
from graders_engine.jobs.states import cancel
from graders_engine.jobs.supervisor import ATTEMPTS, Supervisor
from graders_engine.models.judges import JudgeSettings
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json
from graders_engine.storage.store import Store
from graders_engine.version import __version__
from tests.jobs.made import TRAINER, Bench
from tests.jobs.test_control import has_stalled, wait_for


def watched(bench: Bench, jobs: list[str], at_once: int) -> list[str]:
    """The jobs that still wait when as many have stalled as may; all are done afterwards."""
    supervisor = bench.supervisor(at_once=at_once)
    waiting: list[str] = []

    async def watch() -> None:
        task = asyncio.create_task(supervisor.watch())
        supervisor.wake()
        first = jobs[:at_once]
        stalled = [has_stalled(bench, one) for one in first]
        await asyncio.to_thread(wait_for, lambda: all(one() for one in stalled))
        await asyncio.sleep(0.6)  # two more looks
        waiting.extend(one.id for one in bench.store.jobs.states("queued"))
        for one in jobs:
            bench.place(one).mkdir(exist_ok=True)
            bench.script_is_over(one)
        states = bench.store.jobs.states
        await asyncio.to_thread(wait_for, lambda: not states("queued", "running"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    assert all(bench.job_of(one).status == "succeeded" for one in jobs)
    return waiting


@pytest.mark.parametrize("at_once", [1, 2])
def test_jobs_are_trained_in_their_order_so_many_at_a_time(bench: Bench, at_once: int) -> None:
    jobs = [bench.job({"2": "stall"}, steps=5) for _ in range(3)]
    assert watched(bench, jobs, at_once) == jobs[at_once:]


def test_a_job_that_waits_for_nothing_does_not_hold_up_others(bench: Bench) -> None:
    paused, validated = bench.job(status="paused"), bench.job(status="validating_files")
    job_id = bench.job(steps=5)
    supervisor = bench.supervisor()
    until_done = bench.store.jobs.states
    supervisor.look()
    wait_for(lambda: not until_done("queued", "running"))
    supervisor.close()
    assert [bench.job_of(one).status for one in (paused, validated, job_id)] == [
        "paused", "validating_files", "succeeded",
    ]  # fmt: skip


def test_the_next_server_adopts_a_worker_that_lives(bench: Bench) -> None:
    job_id, other = bench.job({"3": "stall"}), bench.job(steps=5)
    first = bench.supervisor()
    first.look()
    wait_for(has_stalled(bench, job_id))
    first.close()
    second = bench.supervisor()
    second.look()
    assert bench.job_of(job_id).attempt == 1
    assert bench.job_of(other).attempt == 0  # one at a time, also if another has started it
    bench.script_is_over(job_id)
    assert bench.finish(job_id).status == "succeeded"
    assert bench.job_of(job_id).attempt == 1
    second.close()


def given(bench: Bench, job_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The spec and the environment that a trainer had."""
    spec, environment = json.loads((bench.place(job_id) / "given.json").read_bytes())
    return spec, environment


def test_a_worker_has_what_it_needs_of_the_environment_and_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = {"CUDA_VISIBLE_DEVICES": "0", "HF_HOME": "/hf", "OMP_NUM_THREADS": "1"}
    kept_back = {"GRADERS_API_KEY": "k", "GRADERS_ADMIN_KEY": "k", "AWS_SECRET_ACCESS_KEY": "k"}
    for name, value in {**passed, **kept_back, "WANDB_API_KEY": "w"}.items():
        monkeypatch.setenv(name, value)
    job_id, logged = bench.job(steps=5), bench.job(steps=5, wandb={"project": "p"})
    for one in (job_id, logged):
        bench.finish(one)
    _, environment = given(bench, job_id)
    assert {name: environment.get(name) for name in passed} == passed
    assert not (kept_back.keys() | {"WANDB_API_KEY"}) & environment.keys()
    assert given(bench, logged)[1]["WANDB_API_KEY"] == "w"


def test_the_settings_of_the_engine_are_in_no_file(bench: Bench) -> None:
    address = "http://user:secret@127.0.0.1:9/v1"
    settings = EngineSettings(judges=JudgeSettings(endpoints={"default": address}))
    job_id = bench.job(steps=5)
    Supervisor(bench.store, settings, trainer=TRAINER).finish(job_id)
    spec, _ = given(bench, job_id)
    assert spec["settings"] == as_json(settings).decode()
    (bench.place(job_id) / "given.json").unlink()
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"secret" in path.read_bytes()]


def test_only_the_owner_can_read_what_a_job_keeps(bench: Bench) -> None:
    job_id = bench.job(steps=5)
    bench.finish(job_id)
    assert bench.place(job_id).stat().st_mode & 0o077 == 0
    assert not [path for path in bench.place(job_id).rglob("*") if path.stat().st_mode & 0o077]


def test_a_system_that_starts_no_worker_fails_no_job(bench: Bench) -> None:
    job_id = bench.job(steps=5)
    refused = bench.supervisor(command=("/nowhere/python",))
    for _ in range(2 * ATTEMPTS):
        with pytest.raises(OutOfResources, match="A worker cannot be started"):
            refused.look()
    (warning,) = bench.messages(job_id, "warn")
    assert warning == (
        "A worker cannot be started: No such file or directory. [training] in graders.toml names its "
        "Python, /nowhere/python. The job waits."
    )
    assert bench.finish(job_id).status == "succeeded"


def test_a_program_that_dies_before_the_first_step_fails_its_job(
    bench: Bench, tmp_path: Path
) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import sys; sys.exit('out of everything')")
    done = bench.finish(bench.job(), command=(sys.executable, str(program)))
    assert done.error is not None
    assert done.error["code"] == "worker_died"
    assert "died 3 times" in done.error["message"]
    assert "out of everything" in done.error["message"]


def test_a_python_that_has_another_version_by_now_leaves_the_store_alone(
    bench: Bench, tmp_path: Path
) -> None:
    program = tmp_path / "newer.py"
    program.write_text(
        "import sys\n"
        "import graders_engine.version as version\n"
        "version.__version__ = '99.0.0'\n"
        "import graders_engine.storage.database as database\n"
        "database.MIGRATIONS = (*database.MIGRATIONS, 'CREATE TABLE newer (id TEXT) STRICT;')\n"
        "from graders_engine.jobs.worker import main\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    done = bench.finish(bench.job(), command=(sys.executable, str(program)))
    assert done.error is not None
    assert (
        f"it has graders-engine 99.0.0, and this server is {__version__}" in done.error["message"]
    )
    Store(bench.folder).close()  # it is of this version


def test_the_end_of_a_log_begins_with_a_whole_line(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import sys; sys.exit('\\n'.join(f'a line {n} |' for n in range(1000)))")
    done = bench.finish(bench.job(), command=(sys.executable, str(program)))
    assert done.error is not None
    lines = done.error["message"].partition("The end of its log: ")[2].splitlines()
    assert lines
    assert {line[:7] + line[-1:] for line in lines} == {"a line |"}


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ("num_processes: 2\n", ["--main_process_port", "0"]),
        ("num_machines: 1\nmain_process_port: null\n", ["--main_process_port", "0"]),
        ("num_machines: 1\nmain_process_port: 29511\n", []),
        ("num_machines: 2\nmain_process_ip: 10.0.0.1\n", []),
    ],
)
def test_a_job_of_several_devices_is_started_by_the_launcher(
    bench: Bench, tmp_path: Path, config: str, port: list[str]
) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(config)
    program = tmp_path / "launcher.py"
    program.write_text(
        "import pathlib, sys; pathlib.Path('launched').write_text('\\n'.join(sys.argv[1:]))"
    )
    job_id = bench.job(accelerate=str(file))
    supervisor = bench.supervisor(command=(sys.executable, str(program), "-m"))
    supervisor.look()
    launched = bench.place(job_id) / "launched"
    wait_for(launched.exists)
    cancel(bench.store.jobs, job_id)
    supervisor.finish(job_id)
    assert launched.read_text().splitlines() == [
        "-m", "accelerate.commands.launch", "--config_file", str(file), *port,
        "-m", "graders_engine.jobs.worker", os.fspath(bench.folder.absolute()), job_id,
        "--own-group", "--trainer", TRAINER, "--version", __version__,
    ]  # fmt: skip


def test_what_a_dead_worker_has_left_with_its_lock_is_ended(bench: Bench) -> None:
    job_id = bench.job({"3": "fork and die once"})
    assert bench.finish(job_id).status == "succeeded"
    assert len(bench.messages(job_id, "warn")) == 1
