"""Every method of `client.evals` of the unmodified `openai` package of npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.server.evals_of import ROWS, eval_body
from tests.server.serving import Server


def test_the_package_makes_runs_lists_and_deletes(evals_server: Server, node_folder: Path) -> None:
    script = shutil.copy(Path(__file__).with_name("evals.mjs"), node_folder)
    sent = [json.dumps(eval_body(name="node")), json.dumps(ROWS)]
    done = subprocess.run(
        ["node", script, evals_server.url, *sent],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"]
    assert found["first"]
    assert len(set(found["listed"])) == len(found["listed"])
    assert found["renamed"] == "from node"
    assert found["run"] == ["completed", {"total": 3, "passed": 2, "failed": 1, "errored": 0}]
    assert found["runs"] == [True]
    assert found["items"] == [["pass", 0], ["fail", 1], ["pass", 2]]
    assert found["errors"] == [
        ["BadRequestError", 400, "invalid_state", None],
        ["BadRequestError", 400, "empty_array", "testing_criteria"],
        ["BadRequestError", 400, "invalid_value", "after"],
        ["NotFoundError", 404, "not_found", None],
    ]
    assert found["deleted"] == [True, True]
