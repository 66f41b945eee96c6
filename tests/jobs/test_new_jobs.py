"""What starts the checks of new jobs, and looks after them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.states import cancel
from graders_engine.jobs.validation import new_jobs as checking
from graders_engine.jobs.validation.new_jobs import ATTEMPTS, NewJobs, environment
from graders_engine.server.evals import live
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.store import Store
from tests.jobs.models import make_model
from tests.jobs.stores import add_job, body_of, events_of, found, trains
from tests.server.serving import eventually

WATCH_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


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


def config_file(folder: Path, python: str) -> Path:
    """A graders.toml with the model `tiny`, and this Python that trains."""
    make_model(folder / "tiny")
    config = folder / "graders.toml"
    config.write_text(f'[base_models]\ntiny = "tiny"\n[training]\npython = "{python}"\n')
    return config


def test_new_jobs_are_checked_in_a_process_of_their_own(tmp_path: Path, store: Store) -> None:
    config = config_file(tmp_path, trains(tmp_path))
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


def test_a_check_that_takes_long_is_warned_of_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SLOW_S", 0.0)
    job = add_job(store, body_of(store, "supervised"))
    waits = "import time; time.sleep(600)"
    new_jobs = NewJobs(store, "", lambda: None, (sys.executable, "-c", waits))
    looks: list[int] = []

    def is_over() -> bool:
        looks.append(1)
        warned = [text for level, text in events_of(store, job.id) if level == "warn"]
        if warned and len(looks) > 20:
            cancel(store.jobs, job.id)
        return found(store, job.id).status == "cancelled"

    watched(new_jobs, is_over)
    (warning,) = [text for level, text in events_of(store, job.id) if level == "warn"]
    assert warning.startswith("The check of the job's files has taken 0 s so far")


def test_a_check_that_waits_keeps_no_other_one_waiting_and_ends_with_its_job(
    tmp_path: Path, store: Store
) -> None:
    config = config_file(tmp_path, trains(tmp_path))
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

    def is_over() -> bool:
        if found(store, other.id).status != "queued" or not lock.exists():
            return False
        if found(store, waits.id).status == "validating_files":
            assert cancel(store.jobs, waits.id)
        return is_free(lock)

    watched(new_jobs, is_over)
    assert found(store, waits.id).status == "cancelled"


def test_a_check_has_the_token_of_downloads_and_no_other_key() -> None:
    given = {"HF_TOKEN": "t", "GRADERS_API_KEY": "k", "OPENAI_API_KEY": "o", "PATH": "/bin"}
    assert environment(given) == {"HF_TOKEN": "t", "PATH": "/bin"}


HOLDS = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from graders_engine.storage.lock import ProcessLock\n"
    "held = ProcessLock(Path(sys.argv[1]))\n"
    "assert held.take()\n"
    "Path(sys.argv[1] + '-held').touch()\n"
    "time.sleep(600)\n"
)
"""A program that lives as long as its lock is held."""


def is_free(lock: Path) -> bool:
    held = ProcessLock(lock)
    taken = held.take()
    held.release()
    return taken


def test_what_a_check_has_started_ends_with_it(tmp_path: Path, store: Store) -> None:
    job = add_job(store, body_of(store, "supervised"))
    lock, held = tmp_path / "lock", tmp_path / "lock-held"
    dies = (
        "import os, subprocess, sys, time\n"
        "from pathlib import Path\n"
        f"held = Path({str(held)!r})\n"
        "held.unlink(missing_ok=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {HOLDS!r}, {str(lock)!r}])\n"
        "while not held.exists():\n"
        "    time.sleep(0.02)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    new_jobs = NewJobs(store, "", lambda: None, (sys.executable, "-c", dies))
    watched(new_jobs, lambda: found(store, job.id).status == "failed" and is_free(lock))
    error = found(store, job.id).error
    assert error is not None
    assert error["message"].endswith("without a result: it was killed.")


SERVER = """
import asyncio, sys
from pathlib import Path
from graders_engine.jobs.validation.new_jobs import NewJobs
from graders_engine.storage.store import Store

asyncio.run(NewJobs(Store(Path(sys.argv[1])), sys.argv[2], print).watch())
"""


def test_a_check_ends_when_what_has_started_it_is_killed(tmp_path: Path, store: Store) -> None:
    lock = tmp_path / "lock"
    hangs = f'exec "{sys.executable}" -c "{HOLDS}" "{lock}"'
    config = config_file(tmp_path, trains(tmp_path, hangs))
    add_job(store, body_of(store, "supervised"))
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(store.folder), str(config)])
    try:
        assert eventually((tmp_path / "lock-held").exists)
    finally:
        server.kill()
        server.wait()
    assert eventually(lambda: is_free(lock))


def test_a_job_whose_check_finds_no_room_waits_for_some(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "AGAIN_S", 0.05)
    config = config_file(tmp_path, trains(tmp_path))
    job = add_job(store, body_of(store, "supervised"))
    starts = tmp_path / "starts"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from graders_engine.jobs.validation import validator\n"
        f"starts = Path({str(starts)!r})\n"
        "with starts.open('a') as file:\n"
        "    file.write('x')\n"
        f"if len(starts.read_text()) <= {ATTEMPTS}:\n"
        "    def validate(*_):\n"
        "        Path('/dev/full').write_text('x')\n"
        "    validator.validate = validate\n"
        "validator.main(*sys.argv[1:])\n"
    )
    new_jobs = NewJobs(store, str(config), lambda: None, (sys.executable, "-c", program))

    async def wait() -> None:
        async with live.supervised(new_jobs, "new jobs"), asyncio.timeout(WATCH_S):
            while found(store, job.id).status == "validating_files":
                await asyncio.sleep(0.05)

    asyncio.run(wait())
    assert found(store, job.id).status == "queued"
    assert starts.read_text() == "x" * (ATTEMPTS + 1)
