"""`GradeBatch` takes Ray Data's batches, which are columns, and gives them back with rewards."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from graders_engine.adapters.ray_data import GradeBatch


def test_a_batch_comes_back_with_rewards_statuses_and_flags(string_check: dict[str, Any]) -> None:
    items = np.array([{"label": "cat"}, {"label": "dog"}, {}], dtype=object)
    batch = {"item": items, "model_sample": np.array(["cat", "cat", "cat"]), "n": np.arange(3)}
    graded = GradeBatch(string_check)(batch)
    assert set(graded) == {"item", "model_sample", "n", "reward", "status", "flags"}
    assert graded["n"] is batch["n"]
    assert graded["reward"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(graded["reward"][2])
    assert graded["status"].tolist() == ["scored", "scored", "invalid"]
    assert [list(json.loads(flags)) for flags in graded["flags"]] == [
        [], [], ["invalid_variable_error"],
    ]  # fmt: skip


def test_columns_of_flat_rows_are_the_item_and_numpys_values_become_jsons(
    string_check: dict[str, Any],
) -> None:
    grader = {**string_check, "reference": "{{item.labels[1]}} {{item.n}} {{item.deep}}"}
    deep = np.array([{"x": np.array([1, 2])}, {"x": np.float64(0.5)}], dtype=object)
    batch = {
        "labels": np.array([["a", "b"], ["c", "d"]]),
        "n": np.array([1, 2], dtype=np.int32),
        "deep": deep,
        "answer": np.array(['b 1 {"x": [1, 2]}', 'd 2 {"x": 0.5}'], dtype=object),
    }
    graded = GradeBatch(grader, sample_field="answer")(batch)
    assert graded["reward"].tolist() == [1.0, 1.0]


def test_an_empty_batch_stays_empty(string_check: dict[str, Any]) -> None:
    graded = GradeBatch(string_check)({"item": np.array([]), "model_sample": np.array([])})
    assert graded["reward"].shape == (0,)
