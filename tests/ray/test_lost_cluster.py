"""A cluster that goes away in the middle of a run ends it with a sentence, and costs no result."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.environment import unmeasured
from tests.ray.clusters import OPEN, START_S, cluster, command

SLOW = "import time\ndef grade(s, i):\n    time.sleep(0.2)\n    return 0.5"
PYTHON = {"type": "python", "name": "slow", "source": SLOW}
ROW = '{{"item": {{"n": {}}}, "sample": {{"output_text": "cat"}}}}\n'
ROWS = 1000
"""More than are graded before the cluster is gone."""


def test_a_cluster_that_goes_away_ends_the_run_and_keeps_its_results(tmp_path: Path) -> None:
    (tmp_path / "grader.json").write_text(json.dumps(PYTHON))
    (tmp_path / "rows.jsonl").write_text("".join(map(ROW.format, range(ROWS))))
    out = tmp_path / "out.jsonl"
    options = ["score", "--grader", "@grader.json", "--data", "rows.jsonl", "--out", out, "--quiet"]
    with cluster() as started:
        with (
            (tmp_path / "printed").open("wb") as printed,
            (started.folder / "node_driver.log").open("wb") as logged,
            subprocess.Popen(
                command(*options, "--ray-address", started.client_address),
                cwd=tmp_path, env={**unmeasured(), **OPEN, "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "3"},
                stdout=printed, stderr=logged,
            ) as process,
        ):  # fmt: skip
            started.wait(lambda: out.exists() and out.stat().st_size, process)
            started.kill()
            process.wait(START_S)
        said = (started.folder / "node_driver.log").read_text()
    assert process.returncode == 1, said
    assert not (tmp_path / "printed").read_bytes()
    assert "The connection to the Ray cluster is lost: " in said
    assert "Traceback" not in said, said
    assert "unexpected" not in said
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert results
    assert {result["status"] for result in results} == {"scored"}
