"""Rows that are in Ray Data get their rewards there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from graders_engine import InvalidGrader
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
        .map_batches(
            GradeBatch,
            **GradeBatch.arguments(string_check),
            compute=data.ActorPoolStrategy(size=1),
            batch_size=100,
        )
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
    run(block, tmp_path)


def test_a_wrong_grader_is_a_sentence_before_any_data_is_read(string_check: dict[str, Any]) -> None:
    with pytest.raises(InvalidGrader, match="Supported values are: 'eq'") as raised:
        GradeBatch.arguments({**string_check, "operation": "same"})
    assert [mistake.param for mistake in raised.value.mistakes] == ["operation"]
    with pytest.raises(TypeError, match="no setting 'sandpit'"):
        GradeBatch.arguments(string_check, sandpit="none")


def test_a_null_beside_texts_is_a_null(two_nodes: Any, string_check: dict[str, Any]) -> None:
    data: Any = pytest.importorskip("ray.data")
    rows = [{"label": "cat", "out": "cat"}, {"label": "cat", "out": None}]
    arguments = GradeBatch.arguments(string_check, sample_field="out")
    one = data.ActorPoolStrategy(size=1)
    graded = data.from_items(rows).map_batches(GradeBatch, **arguments, compute=one).take_all()
    assert [row["status"] for row in graded] == ["scored", "invalid"]
    assert "There is no model output" in graded[1]["flags"]
