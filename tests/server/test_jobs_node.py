"""Every method of `client.fineTuning.jobs` of the unmodified `openai` package of npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.jobs.stores import GRADER, ROWS
from tests.server.jobs_of import jobs_server


def test_the_package_creates_pauses_resumes_cancels_and_lists(
    node_folder: Path, tmp_path: Path
) -> None:
    script = shutil.copy(Path(__file__).with_name("jobs.mjs"), node_folder)
    sent = [json.dumps(one) for one in (ROWS["reinforcement"], ROWS["others"], GRADER)]
    with jobs_server(tmp_path) as server:
        done = subprocess.run(
            ["node", script, server.url, *sent],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["created"] == ["fine_tuning.job", "validating_files", "auto"]
    assert found["cancelled"] == "cancelled"
    assert found["pausing"]
    assert found["resumed"]
    assert found["model"] == ["ft", "tiny", "local", "node"]
    assert found["listed"] == [False, True]
    assert found["steps"] == list(range(12, 0, -1))
    steps = found["checkpoints"]
    assert steps[0] == 12
    assert steps == sorted(set(steps), reverse=True)
    assert found["errors"] == [
        ["BadRequestError", 400, "invalid_state", None],
        ["BadRequestError", 400, "model_not_available", "model"],
        ["BadRequestError", 400, "missing_required_parameter", "validation_file"],
        ["BadRequestError", 400, "invalid_value", "after"],
        ["NotFoundError", 404, "not_found", None],
    ]
