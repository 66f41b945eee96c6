"""What every test of runs has at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evals.run.made import Bench, echo, settings_for
from tests.judges.judge_server import JudgeServer, judge_server


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    """A model that repeats what it is asked."""
    with judge_server() as opened:
        opened.script = echo
        yield opened


@pytest.fixture
def bench(tmp_path: Path, server: JudgeServer) -> Iterator[Bench]:
    made = Bench(tmp_path / "store", settings_for(server))
    yield made
    made.store.close()
