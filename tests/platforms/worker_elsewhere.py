"""Runs the sandbox's worker as if on another system: without the site module, it starts as on this one."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

runpy.run_path(str(Path(__file__).parent / "elsewhere" / "sitecustomize.py"))
for _name in ("GRADERS_TESTS_ELSEWHERE", "PYTHONPATH"):
    del os.environ[_name]
while not sys.argv[0].endswith("inside/worker.py"):
    del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
