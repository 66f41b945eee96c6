"""A cluster that goes away in the middle of a run ends it with a sentence, and costs no result."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.environment import unmeasured
from tests.ray.clusters import OPEN, START_S, Started, cluster, command, run

SLOW = "import time\ndef grade(s, i):\n    time.sleep(0.2)\n    return 0.5"
GRADERS = {
    "python": {"type": "python", "name": "slow", "source": SLOW},
    "text": {
        "type": "text_similarity", "name": "slow", "input": "{{sample.output_text}}",
        "reference": "{{item.fox}}", "evaluation_metric": "meteor",
    },
}  # fmt: skip
ROWS = {"python": 1000, "text": 15_000}
"""More than are graded before the cluster is gone."""
FOX = "the quick brown fox jumps over the lazy dog " * 8
LONG = "600"
"""More seconds than a test has."""
Loss = Callable[[Started], None]


@dataclass
class Run:
    """A run whose cluster goes away once it has results."""

    cluster: Started
    process: subprocess.Popen[bytes]
    folder: Path

    def end(self) -> str:
        """What it says until it ends; its standard output has nothing."""
        self.process.wait(START_S)
        said = (self.cluster.folder / "node_driver.log").read_text()
        assert not (self.folder / "printed").read_bytes()
        assert "Traceback" not in said, said
        assert "unexpected" not in said, said
        return said


def options(out: Path) -> list[object]:
    return ["score", "--grader", "@grader.json", "--data", "rows.jsonl", "--out", out, "--quiet"]


@contextmanager
def lost(folder: Path, kind: str, lose: Loss, grace_s: str, *, client: bool) -> Iterator[Run]:
    rows = (
        {"item": {"n": n, "fox": FOX}, "sample": {"output_text": f"{n} {FOX[::-1]}"}}
        for n in range(ROWS[kind])
    )
    (folder / "grader.json").write_text(json.dumps(GRADERS[kind]))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = folder / "out.jsonl"
    with cluster() as started:
        address = started.client_address if client else started.address
        with (
            (folder / "printed").open("wb") as printed,
            (started.folder / "node_driver.log").open("wb") as logged,
            subprocess.Popen(
                command(*options(out), "--ray-address", address),
                cwd=folder, env={**unmeasured(), **OPEN, "RAY_CLIENT_RECONNECT_GRACE_PERIOD": grace_s},
                stdout=printed, stderr=logged,
            ) as process,
        ):  # fmt: skip
            started.wait(lambda: out.exists() and out.stat().st_size, process)
            lose(started)
            yield Run(started, process, folder)


def statuses(out: Path) -> list[str]:
    return [json.loads(line)["status"] for line in out.read_text().splitlines()]


def named(value: object) -> object:
    """Part of the name of a test."""
    return getattr(value, "__name__", value)


@pytest.mark.parametrize(
    ("kind", "client", "lose"),
    [
        ("python", True, Started.kill),
        ("text", True, Started.kill),
        ("python", False, Started.kill),
        ("text", False, Started.kill),
        ("python", False, Started.kill_head),
        ("text", False, Started.kill_head),
    ],
    ids=named,
)
def test_a_cluster_that_goes_away_ends_the_run_and_keeps_its_results(
    kind: str, client: bool, lose: Loss, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with lost(tmp_path, kind, lose, "5", client=client) as ended:
        said = ended.end()
        address = ended.cluster.client_address if client else ended.cluster.address
    assert ended.process.returncode == 1, said
    assert f"The connection to the Ray cluster at {address} is lost: " in said
    kept = statuses(out)
    assert f"{len(kept):,} graded rows are kept in {out}: run the same command again to" in said
    assert set(kept) == {"scored"}
    assert len(kept) < ROWS[kind]
    if kind == "text":
        before = out.read_bytes()
        assert run(tmp_path, options(out)).returncode == 0
        assert out.read_bytes().startswith(before)
        assert statuses(out) == ["scored"] * ROWS[kind]
        meta = json.loads(Path(f"{out}.meta.json").read_bytes())
        assert meta["graded_on"] == [f"the Ray cluster at {address}", "this machine"]


@pytest.mark.parametrize(
    ("kind", "client", "lose"),
    [
        ("python", True, Started.kill),
        ("text", True, Started.kill),
        ("python", False, Started.kill_head),
        ("text", False, Started.kill_head),
    ],
    ids=named,
)
def test_an_interrupt_ends_a_run_whose_cluster_may_come_back(
    kind: str, client: bool, lose: Loss, tmp_path: Path
) -> None:
    with lost(tmp_path, kind, lose, LONG, client=client) as ended:
        ended.process.send_signal(signal.SIGINT)
        said = ended.end()
    assert ended.process.returncode == 130, said
    assert said.endswith("\nInterrupted. Run the same command again to resume.\n"), said
    assert set(statuses(tmp_path / "out.jsonl")) == {"scored"}
