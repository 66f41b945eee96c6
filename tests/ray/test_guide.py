"""Every block of the guide to clusters runs, with a Ray that it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.guides import text_of
from tests.guides.blocks import run_blocks
from tests.ray.clusters import OPEN


@pytest.mark.timeout(900)  # it starts Ray three times
def test_the_guide_leads_through_a_cluster(tmp_path: Path) -> None:
    run_blocks(text_of("cluster"), tmp_path, {**OPEN, "RAY_raylet_start_wait_time_s": "300"})
