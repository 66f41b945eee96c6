"""Shards come back in their order; one whose worker was lost is tried again alone, then in halves."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Self

import pytest

from graders_engine import Engine
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shapes import ROWS
from graders_engine.dataset.rows.shards import Shard, cut
from graders_engine.dataset.scoring.grading import ShardResults, score_shard
from graders_engine.dataset.scoring.order import failed_results, in_input_order
from tests.dataset.files import cats, write_rows

CHECK = {
    "type": "string_check",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}


class ScriptedWorkers:
    """Scores shards here, the last submitted first; a shard with one of the deadly lines is lost.

    Args:
        engine: what grades.
        deadly: lines, and how many workers each of them kills.
    """

    room = 3

    def __init__(self, engine: Engine, deadly: dict[int, int]) -> None:
        self._engine, self._compiled = engine, engine.compile(CHECK)
        self._deadly = {**deadly}
        self._waiting: deque[Shard] = deque()
        self.submitted: list[tuple[int, int, bool]] = []  # first line, last line, alone

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        self.submitted.append((shard.first_line, shard.last_line, alone))
        self._waiting.append(shard)

    def next_done(self) -> tuple[Shard, ShardResults | None]:
        shard = self._waiting.pop()
        for line, left in self._deadly.items():
            if left and shard.first_line <= line <= shard.last_line:
                self._deadly[line] -= 1
                return shard, None
        return shard, score_shard(self._engine, self._compiled, ROWS, shard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six shards of one line each."""
    monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 1)
    monkeypatch.setattr(sizes, "SHARD_BYTES", 1)
    return write_rows(tmp_path / "rows.jsonl", cats(6))


def score(workers: ScriptedWorkers, data: Path) -> list[tuple[int, str]]:
    """Line and status of each result, as they come."""
    shards = cut(open_records(data)).rest()
    done = in_input_order(workers, shards, lambda shard: failed_results(shard, ROWS))
    return [
        (shard.first_line, "failed" if results.tally.failed else "scored")
        for shard, results in done
    ]


def test_shards_come_back_in_their_order_whichever_is_done_first(
    engine: Engine, data: Path
) -> None:
    workers = ScriptedWorkers(engine, {})
    assert score(workers, data) == [(line, "scored") for line in range(1, 7)]
    assert not any(alone for *_, alone in workers.submitted)


def test_a_shard_whose_worker_was_lost_is_tried_again_alone(engine: Engine, data: Path) -> None:
    workers = ScriptedWorkers(engine, {2: 1})
    assert score(workers, data) == [(line, "scored") for line in range(1, 7)]
    tries = [alone for first, _, alone in workers.submitted if first == 2]
    assert tries == [False, True]
    assert sum(alone for *_, alone in workers.submitted) == 1


def test_a_line_that_kills_every_worker_fails_after_two_of_them(engine: Engine, data: Path) -> None:
    workers = ScriptedWorkers(engine, {2: 1000})
    expected = [(line, "failed" if line == 2 else "scored") for line in range(1, 7)]
    assert score(workers, data) == expected
    assert [alone for first, _, alone in workers.submitted if first == 2] == [False, True]


def test_a_shard_that_loses_two_workers_is_tried_in_halves_each_alone(
    engine: Engine, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 1 << 20)
    monkeypatch.setattr(sizes, "SHARD_BYTES", 1 << 20)
    workers = ScriptedWorkers(engine, {5: 1000})
    assert [status for _, status in score(workers, data)] == [
        "scored",
        "scored",
        "failed",
        "scored",
    ]
    assert workers.submitted == [
        (1, 6, False), (1, 6, True),
        (1, 3, True), (4, 6, True),
        (4, 4, True), (5, 6, True),
        (5, 5, True), (6, 6, True),
    ]  # fmt: skip
