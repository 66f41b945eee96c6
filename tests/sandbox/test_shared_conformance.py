"""What every sandbox promises, where rows share a process: the tests of `test_conformance` on it."""

from __future__ import annotations

from typing import Any

import pytest

from graders_engine.sandbox.shared_pool import SharedPool
from tests.sandbox.pools import available
from tests.sandbox.test_conformance import *  # noqa: F403 - all of them

# What a module's attribute is set to stays: see test_shared_losses.
del test_the_template_never_runs_a_line_of_the_source  # noqa: F821


@pytest.fixture(params=["namespaces"])
def tier(request: pytest.FixtureRequest) -> str:
    if not available(name := str(request.param)):
        pytest.skip(f"this machine has no {name} tier")
    return name


@pytest.fixture
def kind_of_pool() -> Any:
    return SharedPool
