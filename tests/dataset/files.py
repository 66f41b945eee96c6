"""Data sets and results of these tests."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from graders_engine import Engine
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shards import Shard


def write_rows(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows_of(shard: Shard) -> list[RowRef]:
    with shard.open() as reader:
        return list(reader.rows())


def cats(count: int, padding: str = "") -> list[Any]:
    return [
        {"item": {"label": f"cat{n % 7}", "padding": padding}, "model_sample": f"cat{n % 3}"}
        for n in range(count)
    ]


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def timeless(path: Path) -> bytes:
    """The bytes of a results file but for the time that rows took."""
    return re.sub(rb'"seconds":[^,}]*', b"", path.read_bytes())


def command(grader: Path, data: Path | str, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "graders_engine", "score",
        "--grader", f"@{grader}", "--data", str(data), "--out", str(out), *more,
    ]  # fmt: skip


def graded_with_outputs(
    grader: dict[str, Any], folder: Path, rows: list[Any], outputs: list[Any], **how: Any
) -> list[tuple[str, float | None, str]]:
    """(status, reward, reason) of each row of a data set that is joined with outputs."""
    data = write_rows(folder / "rows.jsonl", rows)
    how["outputs"] = write_rows(folder / "outputs.jsonl", outputs)
    data_set = open_data(data, **how)
    refs = [ref for raw in data_set.records.read() for ref in data_set.shape.split(raw)]
    with Engine() as engine:
        found = list(engine.score_single(grader, [ref.row for ref in refs]))
    return [(row.status, row.reward, row.flags.get("other_error", "")) for row in found]


IS_GOLD = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.gold}}",
}
graded_by_gold = partial(graded_with_outputs, IS_GOLD)
