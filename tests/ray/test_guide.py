"""Every block of the guide to clusters runs, with a cluster of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.guides import text_of
from tests.guides.blocks import run_blocks
from tests.ray.clusters import OPEN, cluster


@pytest.mark.timeout(900)  # each of its blocks starts processes in the cluster
def test_the_guide_leads_through_a_cluster(tmp_path: Path) -> None:
    with cluster("--num-cpus=2") as started:
        environment = {**OPEN, "RAY_ADDRESS": started.address, "GRADERS_TESTS_ONLINE": "1"}
        run_blocks(text_of("cluster"), tmp_path, environment)
