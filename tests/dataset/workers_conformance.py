"""What every kind of `Workers` promises. A test module makes the fixture `start`, and a class of this one.

`start(job, path)` gives two workers that are not open yet, for shards of the file at `path`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.results.line import ResultLine, decode_result
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shapes import ROWS, Shape
from graders_engine.dataset.rows.shards import Shard, cut
from graders_engine.dataset.scoring.grading import Job, ShardResults, score_shard
from graders_engine.dataset.scoring.order import failed_results, in_input_order
from graders_engine.dataset.scoring.workers import Workers
from tests.dataset.deadly import Deadly

Start = Callable[[Job, Path], Workers]
COUNT = 300


def timeless(lines: bytes) -> bytes:
    return re.sub(rb'"seconds":[^,}]*', b"", lines)


def results_of(scored: list[ShardResults]) -> list[ResultLine]:
    return [decode_result(line) for part in scored for line in part.lines.splitlines()]


def write(path: Path, deadly: set[int]) -> Path:
    """Rows by their line; some of which are deadly."""
    with path.open("w") as file:
        for line in range(1, COUNT + 1):
            row = {"item": {"label": f"cat{line % 7}"}, "model_sample": f"cat{line % 3}"}
            file.write(json.dumps({**row, "deadly": True} if line in deadly else row) + "\n")
    return path


class WorkersConformance:
    @pytest.fixture(autouse=True)
    def small_shards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 1 << 9)
        monkeypatch.setattr(sizes, "SHARD_BYTES", 1 << 10)

    def score(
        self, start: Start, grader: dict[str, Any], path: Path, shape: Shape = ROWS
    ) -> list[ShardResults]:
        job = Job(grader, {}, shape)
        with start(job, path) as workers:
            shards = cut(open_records(path)).rest()
            done = list(in_input_order(workers, shards, lambda shard: failed_results(shard, shape)))
        lines = [line for shard, _ in done for line in (shard.first_line, shard.last_line)]
        assert lines == sorted(lines)
        return [scored for _, scored in done]

    def test_shards_come_back_in_order_as_if_they_were_scored_here(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path, engine: Engine
    ) -> None:
        path = write(tmp_path / "rows.jsonl", set())
        scored = self.score(start, string_check, path)
        compiled = engine.compile(string_check)
        here = [
            score_shard(engine, compiled, ROWS, shard) for shard in cut(open_records(path)).rest()
        ]
        assert len(here) > 10
        assert [timeless(one.lines) for one in scored] == [timeless(one.lines) for one in here]
        assert [one.tally for one in scored] == [one.tally for one in here]
        assert [one.digest for one in scored] == [one.digest for one in here]

    def test_rows_that_are_sent_along_are_scored_the_same(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path
    ) -> None:
        path = write(tmp_path / "rows.jsonl", set())
        (tmp_path / "rows.json").write_text(
            json.dumps([json.loads(line) for line in path.read_text().splitlines()])
        )
        by_reference = self.score(start, string_check, path)
        by_value = self.score(start, string_check, tmp_path / "rows.json")
        assert timeless(b"".join(one.lines for one in by_reference)) == timeless(
            b"".join(one.lines for one in by_value)
        )

    def test_a_worker_that_dies_once_costs_nothing(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path
    ) -> None:
        path = write(tmp_path / "rows.jsonl", {137})
        scored = self.score(start, string_check, path, Deadly(once=tmp_path / "went off"))
        assert (tmp_path / "went off").exists()
        results = results_of(scored)
        assert [result.line for result in results] == list(range(1, COUNT + 1))
        assert {result.status for result in results} == {"scored"}

    def test_rows_that_workers_die_of_are_found_and_fail_alone(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path
    ) -> None:
        deadly = {1, 137, 138}
        path = write(tmp_path / "rows.jsonl", deadly)
        scored = self.score(start, string_check, path, Deadly())
        results = results_of(scored)
        assert [result.line for result in results] == list(range(1, COUNT + 1))
        assert {result.line for result in results if result.status == "failed"} == deadly
        assert all(
            "the grader made it die" in result.flags["other_error"]
            for result in results
            if result.line in deadly
        )
        tally = Tally()
        for one in scored:
            tally.merge(one.tally)
        assert (tally.scored, tally.failed) == (COUNT - 3, 3)

    def test_a_slow_reader_of_the_results_holds_the_data_back(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path
    ) -> None:
        path = write(tmp_path / "rows.jsonl", set())
        taken = 0

        def counted() -> Iterator[Shard]:
            nonlocal taken
            for shard in cut(open_records(path)).rest():
                taken += 1
                yield shard

        with start(Job(string_check, {}, ROWS), path) as workers:
            next(in_input_order(workers, counted(), lambda shard: failed_results(shard, ROWS)))
            assert taken <= 4 * workers.room + 1

    def test_what_is_still_under_way_is_dropped_at_the_end(
        self, start: Start, string_check: dict[str, Any], tmp_path: Path
    ) -> None:
        path = write(tmp_path / "rows.jsonl", set())
        with start(Job(string_check, {}, ROWS), path) as workers:
            for shard in cut(open_records(path)).rest():
                workers.submit(shard)

    def test_workers_that_cannot_start_are_a_sentence(self, start: Start, tmp_path: Path) -> None:
        path = write(tmp_path / "rows.jsonl", set())
        job = Job({"type": "no such"}, {}, ROWS)
        with start(job, path) as workers:
            workers.submit(next(cut(open_records(path)).rest()))
            with pytest.raises(DataSetError, match=r"worker .*cannot be started"):
                workers.next_done()
