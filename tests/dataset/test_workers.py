"""The processes of this machine are workers as they should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers
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
