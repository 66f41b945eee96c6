"""Ray's tests run where Ray is installed and may use the machine's own address; `.ci/ray` sees to both."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def why_not() -> str:
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    if not os.environ.get("GRADERS_TESTS_ONLINE"):
        return "Ray's processes talk by the machine's own address: set GRADERS_TESTS_ONLINE=1"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := why_not():
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes on this machine, one core each; this process is connected to it."""
    ray = importlib.import_module("ray")
    utilities = importlib.import_module("ray.cluster_utils")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, about its next versions
        cluster = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()
