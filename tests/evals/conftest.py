"""The servers of the cookbook's scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evals.cookbook import Place, opened_place


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with opened_place(tmp_path_factory.mktemp("cookbook")) as opened:
        yield opened


@pytest.fixture
def place(started: Place) -> Place:
    started.models.asked.clear()
    return started
