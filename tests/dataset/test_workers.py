"""The processes of this machine are workers as they should be."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shapes import ROWS
from graders_engine.dataset.rows.shards import cut
from graders_engine.dataset.scoring import workers
from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers
from tests.dataset.files import cats, write_rows
from tests.dataset.workers_conformance import Start, WorkersConformance

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    # The workers must find the shapes of these tests.
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(REPOSITORY), known])))

    def two(job: Job, path: Path) -> Workers:
        return LocalWorkers(job, 2)

    return two


class TestLocalWorkers(WorkersConformance):
    pass


KILLED_AT_START = """
import os, signal, sys, time
if "graders_engine.dataset.scoring.worker" in " ".join(sys.orig_argv):
    with open({log!r}, "a+") as log:
        log.write(f"{{time.monotonic()}}\\n")
        log.flush()
        log.seek(0)
        if len(log.readlines()) <= {times}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Have the first workers killed at their start; gives a file with the time of each start."""

    def kill(times: int) -> Path:
        log = tmp_path / "starts"
        program = KILLED_AT_START.format(log=str(log), times=times)
        (tmp_path / "sitecustomize.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return log

    monkeypatch.setattr(workers, "KILL_WAIT_S", 0.01)
    return kill


def score_one_shard(grader: dict[str, Any], folder: Path) -> int:
    """How many rows were scored, by one worker."""
    path = write_rows(folder / "rows.jsonl", cats(10))
    with LocalWorkers(Job(grader, {}, ROWS), 1) as pool:
        pool.submit(next(cut(open_records(path)).rest()))
        _, results = pool.next_done()
    assert results is not None
    return results.tally.scored


def test_a_worker_that_is_killed_again_and_again_while_it_starts_costs_nothing(
    killed_at_start: Callable[[int], Path], string_check: dict[str, Any], tmp_path: Path
) -> None:
    starts = killed_at_start(6)
    assert score_one_shard(string_check, tmp_path) == 10
    assert len(starts.read_text().splitlines()) == 7


def test_a_worker_that_is_killed_at_every_start_is_a_sentence_in_the_end(
    killed_at_start: Callable[[int], Path], string_check: dict[str, Any], tmp_path: Path
) -> None:
    starts = killed_at_start(1000)
    with pytest.raises(DataSetError, match=r"cannot be started: it ended with code -9"):
        score_one_shard(string_check, tmp_path)
    assert len(starts.read_text().splitlines()) == workers.MAX_KILLS


def test_a_killed_worker_is_started_again_after_a_wait_that_grows(
    killed_at_start: Callable[[int], Path],
    string_check: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "KILL_WAIT_S", 0.05)
    starts = killed_at_start(4)
    assert score_one_shard(string_check, tmp_path) == 10
    times = [float(line) for line in starts.read_text().split()]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2, 0.4), strict=True))
