"""Large blocks go back to the system when they are free, whatever lies above them."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from graders_engine.view.loading.run_cache import RunCache

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1000

kept, cache = [], RunCache()
before = resident()
for _ in range(3):
    large = []
    for _ in range(10):
        large.append(np.ones(9_000_000, np.uint8))
        kept.append(np.ones(90_000, np.uint8))
    del large
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's allocator decides")
def test_memory_of_large_arrays_is_given_back() -> None:
    grown = float(subprocess.check_output([sys.executable, "-c", PROGRAM]))
    assert grown < 30
