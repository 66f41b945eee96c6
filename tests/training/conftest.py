"""What tests of training have at hand."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.training import tiny

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several threads make so small a model slower
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what trains where torch or trl is missing."""
    if find_spec("torch") and find_spec("trl"):
        return
    skip = pytest.mark.skip(
        reason="needs the extra `train`; .ci/train makes an environment with it"
    )
    for item in items:
        if "base" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model; a test that has it needs torch and trl."""
    return tiny.make(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tokenizer(base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)
