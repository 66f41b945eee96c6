"""A cluster is joined by its port for clients also where the head's first process for a client dies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.files import cats, results, write_rows
from tests.ray.clusters import cluster, run

IN_EACH_PROCESS_OF_THE_HEAD = """
import os, subprocess, sys, time
folder = os.environ["STARTS"]
if "--mode=specific-server" in sys.orig_argv and os.path.exists(folder):
    open(f"{folder}/{os.getpid()}", "w").close()
    if len(os.listdir(folder)) <= int(os.environ["DEATHS"]):
        os._exit(1)
elif "--mode=proxy" in sys.orig_argv:
    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            time.sleep(float(os.environ["SEEN_AFTER_S"]))
    subprocess.Popen = Popen
"""
SEEN = {"at once": "1", "as it does not answer": "0"}
"""How the head finds that a process has died."""


@pytest.fixture
def folder(tmp_path: Path, string_check: dict[str, Any]) -> Path:
    (tmp_path / "grader.json").write_text(json.dumps(string_check))
    write_rows(tmp_path / "rows.jsonl", cats(20))
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(IN_EACH_PROCESS_OF_THE_HEAD)
    return tmp_path


def score(folder: Path, deaths: int, seen: str) -> tuple[int, str, int]:
    """How `score` ends, what it says, and how many processes the head has started for it."""
    starts = folder / "starts"
    environment = {
        "STARTS": str(starts), "DEATHS": str(deaths), "SEEN_AFTER_S": SEEN[seen],
        "PYTHONPATH": str(folder / "early"), "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "3",
    }  # fmt: skip
    arguments = [
        "score", "--grader", "@grader.json", "--data", "rows.jsonl", "--out", "out.jsonl", "--quiet",
    ]  # fmt: skip
    with cluster(**environment) as head:
        command = [*arguments, "--ray-address", head.client_address]
        # Now and then Ray's own first process for a client dies.
        assert run(folder, command).returncode == 0
        starts.mkdir()
        (folder / "out.jsonl").unlink()
        ended = run(
            folder,
            command,
            # Ray waits so long before it reports a death, in case that the client comes back.
            RAY_CLIENT_RECONNECT_GRACE_PERIOD="600",
        )
    return ended.returncode, ended.stderr, len(list(starts.iterdir()))


@pytest.mark.parametrize(
    ("deaths", "seen"), [(1, "at once"), (3, "at once"), (1, "as it does not answer")]
)
def test_a_process_for_this_client_that_dies_is_started_again(
    deaths: int, seen: str, folder: Path
) -> None:
    assert score(folder, deaths, seen) == (0, "", deaths + 1)
    assert len(results(folder / "out.jsonl")) == 20


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ("at once", "Starting Ray client server failed"),
        ("as it does not answer", "Proxy failed to Connect to backend!"),
    ],
)
def test_a_process_that_always_dies_is_one_sentence(seen: str, reason: str, folder: Path) -> None:
    code, said, _ = score(folder, 9, seen)
    assert said.startswith(f"The Ray cluster cannot be reached: RuntimeError: {reason}")
    assert (code, said.count("\n")) == (2, 1)
    assert not (folder / "out.jsonl").exists()
