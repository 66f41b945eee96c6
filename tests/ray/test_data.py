"""Rows that are in Ray Data get their rewards there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from graders_engine.adapters.ray_data import GradeBatch
from tests.frameworks.heads import examples, run


def test_map_batches_adds_the_columns(two_nodes: Any, string_check: dict[str, Any]) -> None:
    data: Any = pytest.importorskip("ray.data")
    importlib.import_module(
        "ray.data.context"
    ).DataContext.get_current().enable_progress_bars = False
    rows = [
        {"item": {"label": f"cat{n % 7}"}, "model_sample": f"cat{n % 3}", "n": n}
        for n in range(1000)
    ]
    graded = (
        data.from_items(rows)
        .map_batches(GradeBatch, fn_constructor_args=(string_check,), concurrency=1, batch_size=100)
        .take_all()
    )
    rewards = {row["n"]: row["reward"] for row in graded}
    assert rewards == {n: float(n % 7 == n % 3) for n in range(1000)}
    assert {row["status"] for row in graded} == {"scored"}
    assert {row["flags"] for row in graded} == {"{}"}


def test_the_example_of_the_head_runs_as_it_stands(
    two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray.data")
    (block,) = examples("ray_data", tmp_path)
    monkeypatch.chdir(tmp_path)
    # The cluster's actors have the folder in which it was started.
    run(block.replace("@grader.json", f"@{tmp_path}/grader.json"), tmp_path)
