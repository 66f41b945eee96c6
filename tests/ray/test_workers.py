"""Ray actors are workers as they should be, and what they give is what this machine alone gives."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from graders_engine import BudgetSpent, DataSetError, Engine, GradersError, InvalidGrader, Mistake
from graders_engine.cluster.connection import ClusterOptions
from graders_engine.dataset.results.meta import GRADED_ON, read_meta
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shards import cut
from graders_engine.dataset.scoring import launch, ray_workers
from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.ray_workers import RayWorkers
from graders_engine.dataset.scoring.score import score_file
from graders_engine.dataset.scoring.workers import Workers
from tests.dataset.deadly import Raising
from tests.dataset.workers_conformance import Start, WorkersConformance, timeless, write

ROWS = 40_000


class Taker:
    """An actor that takes a core."""

    def ready(self) -> None:
        pass


@pytest.fixture
def start(two_nodes: Any) -> Start:
    def two(job: Job, path: Path) -> Workers:
        return RayWorkers(job, path, ClusterOptions(actors=2))

    return two


class TestRayWorkers(WorkersConformance):
    pass


@pytest.mark.parametrize(
    "error",
    [
        InvalidGrader([Mistake("No such type.", "grader.type"), Mistake("No such model.")]),
        BudgetSpent("There is no money left."),
        ZeroDivisionError("a mistake in our code"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_actor_raises_ends_the_run_as_it_is(
    start: Start, string_check: dict[str, Any], tmp_path: Path, error: Exception
) -> None:
    path = write(tmp_path / "rows.jsonl", {137})
    job = Job(string_check, {}, Raising(error))
    with start(job, path) as workers:
        workers.submit(next(cut(open_records(path)).rest()))
        with pytest.raises(type(error)) as raised:
            workers.next_done()
    if isinstance(error, GradersError):
        assert (type(raised.value), str(raised.value)) == (type(error), str(error))
        assert vars(raised.value) == vars(error)


def test_an_actor_without_memory_is_a_loss(
    start: Start, string_check: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.jsonl", {137})
    with start(Job(string_check, {}, Raising(MemoryError())), path) as workers:
        workers.submit(next(cut(open_records(path)).rest()))
        assert workers.next_done()[1] is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (ClusterOptions(cpus=64), "no node has 64 CPU for a worker (the most that one has: 1 CPU)"),
        (
            ClusterOptions(resources={"far": 2}),
            "no node has 1 CPU and 2 far for a worker (the most that one has: 1 CPU, 0 far)",
        ),
        (ClusterOptions(), "no node has 1 CPU free for a worker, or its processes start slowly"),
    ],
    ids=["too large", "a resource", "taken"],
)
def test_a_cluster_without_room_is_a_sentence_after_a_while(
    two_nodes: Any,
    string_check: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    options: ClusterOptions,
    reason: str,
) -> None:
    ray = importlib.import_module("ray")
    monkeypatch.setattr(ray_workers, "START_TIMEOUT_S", 3.0)
    monkeypatch.setattr(ray_workers, "TELL_AFTER_S", 1.0)
    path = write(tmp_path / "rows.jsonl", set())
    takers = []
    if reason.endswith("slowly"):
        takers = [ray.remote(num_cpus=1)(Taker).remote() for _ in range(2)]
        ray.get([taker.ready.remote() for taker in takers])
    with Engine() as engine, pytest.raises(DataSetError, match=re.escape(f"in 3 s: {reason}")):
        score_file(engine, string_check, path, tmp_path / "out.jsonl", cluster=options)
    ours = [one.getMessage() for one in caplog.records if one.name == "graders_engine"]
    assert ours == [f"waiting for the Ray cluster to start a worker: {reason}"]
    assert not (tmp_path / "out.jsonl").exists()
    for taker in takers:
        ray.kill(taker)


def test_a_file_that_the_actors_do_not_see_is_sent_to_them(
    two_nodes: Any, string_check: dict[str, Any], tmp_path: Path
) -> None:
    from graders_engine.dataset.rows.shapes import ROWS as PLAIN
    from graders_engine.dataset.scoring.order import failed_results, in_input_order

    path = write(tmp_path / "rows.jsonl", set())
    job = Job(string_check, {}, PLAIN)
    with RayWorkers(job, tmp_path / "elsewhere.jsonl", ClusterOptions(actors=2)) as workers:
        shards = cut(open_records(path)).rest()
        done = list(in_input_order(workers, shards, lambda shard: failed_results(shard, PLAIN)))
    assert sum(scored.tally.scored for _, scored in done) == 300


def test_a_node_that_is_taken_away_in_the_middle_costs_nothing(
    two_nodes: Any,
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "SHARD_BYTES", 1 << 16)
    monkeypatch.setattr(launch, "SMALL_BYTES", 0)
    data = tmp_path / "rows.jsonl"
    lines = write(tmp_path / "few.jsonl", set()).read_bytes()
    data.write_bytes(lines * (ROWS // 300))
    alone, there = tmp_path / "alone.jsonl", tmp_path / "there.jsonl"
    expected = score_file(engine, string_check, data, alone, workers=1)
    doomed = two_nodes.add_node(num_cpus=2)
    two_nodes.wait_for_nodes()
    told: list[int] = []

    def lose_a_node(done: int, size: int | None, tally: Tally) -> None:
        told.append(done)
        if len(told) == 8:
            two_nodes.remove_node(doomed, allow_graceful=False)

    tally = score_file(
        engine,
        string_check,
        data,
        there,
        workers=4,
        cluster=ClusterOptions(),
        on_progress=lose_a_node,
    )
    assert len(told) > 16
    assert (tally.rows, tally.scored) == (expected.rows, expected.scored)
    assert timeless(there.read_bytes()) == timeless(alone.read_bytes())
    meta = read_meta(there)
    assert meta.pop(GRADED_ON) == [ClusterOptions().name]
    assert meta == read_meta(alone)
