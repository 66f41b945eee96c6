"""What tests of models that answer have at hand."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.inference import taught

ROOT = Path(__file__).parents[2]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several threads make so small a model slower


@pytest.fixture(autouse=True, scope="session")
def found_by_workers() -> None:
    """The processes that answer find the generator that is among the tests."""
    os.environ["PYTHONPATH"] = str(ROOT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what generates where torch is missing."""
    if find_spec("torch"):
        return
    skip = pytest.mark.skip(
        reason="needs the extra `train`; .ci/train makes an environment with it"
    )
    for item in items:
        if "base" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that knows some sentences."""
    return taught.make(tmp_path_factory.mktemp("tiny") / "base")
