"""What is decided of python and judged graders over Ray without a cluster."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.cluster.actors import Actors
from graders_engine.cluster.calls import Actor
from graders_engine.cluster.connection import ClusterOptions
from graders_engine.cluster.node_sandbox import NodeReport
from graders_engine.cluster.nodes import versions_here
from graders_engine.cluster.sandbox import ClusterSandbox
from graders_engine.dataset.rows.shapes import ROWS
from graders_engine.dataset.scoring.launch import WorkerOptions, job_of, rows_in_flight
from graders_engine.dataset.scoring.score import score_file
from graders_engine.models.scripted import Scripted
from graders_engine.sandbox.base import Limits, Program
from graders_engine.sandbox.ondemand import OnDemand
from tests.dataset.judged import JUDGED

PYTHON = {"type": "python", "name": "code", "source": "def grade(sample, item): return 1.0"}
NOWHERE = ClusterOptions("127.0.0.1:1")
RAY = WorkerOptions(2, NOWHERE)


def multi(**parts: Any) -> dict[str, Any]:
    return {"type": "multi", "name": "m", "graders": parts, "calculate_output": "+".join(parts)}


def ready_on(node: str, tier: str) -> Actors:
    actors = Actors(ClusterOptions(), tier, Limits(), "call", [])
    actors.ready.append(Actor(None, 1, node))
    return actors


def test_a_judged_grader_needs_no_cluster_and_says_so(tmp_path: Path) -> None:
    rows = [{"item": {}, "model_sample": str(n)} for n in range(30)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    notes: list[str] = []
    with Engine(judges=Scripted(0.5)) as engine:
        tally = score_file(
            engine, JUDGED, data, tmp_path / "out.jsonl", cluster=NOWHERE,
            on_note=notes.append,
        )  # fmt: skip
    assert tally.scored == 30
    [note] = notes
    assert "nothing is sent to the Ray cluster" in note


def test_a_sandbox_that_the_caller_made_is_used_and_named(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"item": {}, "model_sample": "x"}\n')
    notes: list[str] = []
    with Engine(sandbox=OnDemand()) as engine:
        tally = score_file(
            engine, PYTHON, data, tmp_path / "out.jsonl", cluster=NOWHERE,
            on_note=notes.append,
        )  # fmt: skip
    assert tally.scored == 1
    assert notes == [
        "python graders run in the sandbox that the engine was given, and not in the Ray cluster"
    ]


def test_a_node_that_joins_later_with_another_version_is_named() -> None:
    actors = ready_on("10.0.0.1 (id aa)", "auto")
    report = NodeReport("10.0.0.2 (id bb)", "auto", versions={**versions_here(), "Ray": "1.0"})
    assert "Node 10.0.0.2 (id bb) of the Ray cluster has Ray 1.0, and here" in actors.mismatch(
        report
    )


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
def test_nodes_with_different_sandboxes_are_named(tier: str) -> None:
    other = "landlock" if tier == "namespaces" else "namespaces"
    actors = ready_on("10.0.0.1 (id aa)", tier)
    assert not actors.mismatch(NodeReport("10.0.0.2 (id bb)", tier))
    said = actors.mismatch(NodeReport("10.0.0.2 (id bb)", other))
    assert f"{other} on 10.0.0.2 (id bb), and {tier} on 10.0.0.1 (id aa)" in said


def test_a_node_without_a_sandbox_is_named_with_the_reason() -> None:
    actors = ready_on("10.0.0.1 (id aa)", "auto")
    report = NodeReport("10.0.0.2 (id bb)", fault="this kernel has no namespaces")
    assert actors.mismatch(report) == "the node 10.0.0.2 (id bb): this kernel has no namespaces"


def test_more_rows_are_in_flight_only_where_something_else_limits_the_requests() -> None:
    endpoint = {"type": "endpoint", "name": "e", "url": "http://127.0.0.1:1/"}
    cosine = {
        "type": "text_similarity", "name": "t", "input": "{{sample.output_text}}", "reference": "a",
        "evaluation_metric": "cosine",
    }  # fmt: skip
    with Engine(embeddings="lexical") as engine:
        for grader, more in (
            (PYTHON, True),
            (multi(code=PYTHON, judged=JUDGED), True),
            (multi(code=PYTHON, asked=endpoint), False),
            (multi(code=PYTHON, near=cosine), False),
        ):
            compiled = engine.compile(grader)
            sandbox = RAY.sandbox(engine, compiled)
            assert sandbox is not None
            assert rows_in_flight(compiled.spec, sandbox, 64) == (64 if more else None)
        assert RAY.sandbox(engine, engine.compile(JUDGED)) is None
        assert WorkerOptions(2, None).sandbox(engine, engine.compile(PYTHON)) is None


def test_workers_get_no_setting_of_judges(string_check: dict[str, Any]) -> None:
    with Engine(judges=Scripted(1.0), max_text_chars=77) as engine:
        job = job_of(engine, engine.compile(string_check), ROWS)
    assert job.settings == {"metric_variants": {}, "max_text_chars": 77, "templates": "strict"}


def test_a_run_on_this_machine_imports_nothing_for_clusters() -> None:
    program = (
        "import sys; from graders_engine.dataset.scoring import score\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'ray' or '.cluster' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_call_that_cannot_be_sent_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Actors) -> None:
        self.cores = 1
        self.ready.append(Actor(None, 1, "here"))

    def send(*_: object) -> None:
        raise RuntimeError("there is no way")

    async def body() -> None:
        sandbox = ClusterSandbox()
        with pytest.raises(RuntimeError, match="there is no way"):
            await asyncio.wait_for(sandbox.grade(Program("grade = len"), b"{}", b"{}"), 60)
        await sandbox.close()

    monkeypatch.setattr(Actors, "start", start)
    monkeypatch.setattr(Actors, "send", send)
    asyncio.run(body())
