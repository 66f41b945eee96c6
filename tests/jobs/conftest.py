"""What every test of jobs has at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.made import Bench, made_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the workers, whose trainer is among the tests
    made = Bench(tmp_path / "store")
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a job makes to which nothing happens."""
    bench = Bench(tmp_path_factory.mktemp("whole") / "store")
    with pytest.MonkeyPatch.context() as patched, bench.store:
        patched.setenv("PYTHONPATH", str(ROOT))
        job_id = bench.job()
        assert bench.finish(job_id).status == "succeeded"
        return made_of(bench, job_id)
