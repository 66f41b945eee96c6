"""The unmodified `openai` package of npm against the server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.serving import Server, serving
from tests.server.test_sdk_clients import TYPES

LOCAL = ["string_check", "text_similarity", "python", "multi"]


@pytest.fixture(scope="module")
def script(node_folder: Path) -> Path:
    """The client, beside the package that it imports."""
    return Path(shutil.copy(Path(__file__).with_name("client.mjs"), node_folder))


def test_the_package_runs_and_validates_and_throws_its_own_errors(
    server: Server, script: Path
) -> None:
    graders = [TYPES[type_][0] for type_ in LOCAL]
    done = subprocess.run(
        ["node", str(script), server.url, json.dumps(graders)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["rewards"] == [TYPES[type_][1] for type_ in LOCAL]
    assert results["echoes"] == graders
    assert results["errors"] == [
        {
            "class": "BadRequestError",
            "status": 400,
            "code": "invalid_value",
            "param": "operation",
            "type": "invalid_request_error",
            "id": "string",
        },
        {
            "class": "BadRequestError",
            "status": 400,
            "code": "invalid_type",
            "param": "graders",
            "type": "invalid_request_error",
            "id": "string",
        },
        {
            "class": "NotFoundError",
            "status": 404,
            "code": "unknown_url",
            "param": None,
            "type": "invalid_request_error",
            "id": "string",
        },
    ]


def test_the_package_uploads_lists_reads_and_deletes_files(script: Path, tmp_path: Path) -> None:
    program = shutil.copy(Path(__file__).with_name("files.mjs"), script.parent)
    with serving(tmp_path, "--jobs", "store") as running:
        done = subprocess.run(
            ["node", program, running.url], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    errors = [
        ["BadRequestError", 400, "invalid_value", "purpose"],
        ["NotFoundError", 404, "not_found", "id"],
        ["BadRequestError", 400, "integer_below_min_value", "limit"],
    ]
    assert json.loads(done.stdout) == {
        "contents": ["one", "two", "three"] * 2,
        "listed": [True] * 2,
        "deleted": [True] * 6,
        "errors": errors * 2,
    }
