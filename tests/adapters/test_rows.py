"""Rows of what frameworks have: nothing is lost without a word, and no item is taken for another."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

from graders_engine import GraderReward, InvalidRequest, JudgeSettings, NoReward, Scripted
from graders_engine.adapters.ray_data import GradeBatch
from graders_engine.adapters.reward import MAX_SHARED, shared_reward, status_of
from graders_engine.adapters.trl import TRLReward
from graders_engine.adapters.verl import compute_score

JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    "range": [0, 1],
}


@dataclasses.dataclass
class Row:
    label: str


class Model(pydantic.BaseModel):
    label: str


@pytest.mark.parametrize(
    "item",
    [
        Row("cat"),
        Model(label="cat"),
        '{"label": "cat", "weight": NaN}',
        {"label": "cat", "image": b"x", "deep": {"image": object(), "n": 1}},
        {"label": "cat", "far": math.inf},
    ],
)
def test_an_item_keeps_all_that_has_a_json_form(string_check: dict[str, Any], item: Any) -> None:
    reward = GraderReward(string_check)
    assert reward.grade("cat", item).reward == 1.0
    (row,) = reward.grade_all([{"item": item, "model_sample": "cat"}])
    assert row.reward == 1.0


@pytest.mark.parametrize("item", ["hammer", 3, ["cat"], b"x", object(), {1: "a", "1": "b"}])
def test_an_item_that_is_no_object_is_the_rows_fault(item: Any) -> None:
    source = "def grade(sample, item):\n    return float(item.get('label') == 'cat')"
    with GraderReward({"type": "python", "name": "p", "source": source}, sandbox="none") as reward:
        for row in (
            reward.grade("cat", item),
            *reward.grade_all([{"item": item, "model_sample": "cat"}]),
        ):
            with pytest.raises(NoReward):
                reward.value(row)


def test_in_a_batch_only_the_value_without_a_json_form_is_left_out(
    string_check: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    items = np.array([{"label": "cat"}, {"label": "cat", "image": b"x"}], dtype=object)
    batch = {
        "item": items,
        "model_sample": np.array(["cat", "cat"]),
        "w": np.array([1.0, math.inf]),
    }
    with caplog.at_level(logging.WARNING):
        assert GradeBatch(string_check)(batch)["reward"].tolist() == [1.0, 1.0]
    assert sorted(record.getMessage().split("`")[1] for record in caplog.records) == [
        "item.image",
        "w",
    ]


@pytest.mark.parametrize("output", [["cat"], {"output_text": "cat", "logprobs": [-math.inf]}])
def test_an_output_may_be_a_list_of_one_and_hold_what_nothing_reads(
    string_check: dict[str, Any], output: Any
) -> None:
    assert GraderReward(string_check).grade(output, {"label": "cat"}).reward == 1.0


def test_what_a_judge_failed_on_is_failed_in_all_logs() -> None:
    with GraderReward(JUDGE, judges=Scripted(["no verdict"] * 9)) as reward:
        row = reward.grade("x")
        assert (status_of(row), reward.value(row)) == ("failed", None)
        assert reward.numbers(row) == {"scored": 0.0, "invalid": 0.0, "failed": 1.0}
        assert reward.tally == {"scored": 0, "invalid": 0, "failed": 1}


def test_a_reward_that_is_closed_grades_nothing(string_check: dict[str, Any]) -> None:
    reward = GraderReward(string_check)
    reward.close()
    reward.close()
    with pytest.raises(Exception, match="is closed"):
        reward.grade("cat", {"label": "cat"})


@pytest.mark.parametrize(
    "columns", [{"label": ["cat"]}, {"item": [{"label": "cat"}]}, {"label": None}]
)
def test_columns_of_another_length_are_refused(
    string_check: dict[str, Any], columns: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="has not a value for each completion"):
        TRLReward(string_check)(["cat", "cat"], **columns)


def test_a_numpy_column_of_items_is_read(string_check: dict[str, Any]) -> None:
    items = np.array([{"label": "cat"}, {"label": "dog"}], dtype=object)
    assert TRLReward(string_check)(["cat", "cat"], item=items) == [1.0, 0.0]


def test_a_part_named_score_does_not_take_the_place_of_the_reward(
    string_check: dict[str, Any],
) -> None:
    never = {**string_check, "name": "b", "reference": "never"}
    grader = {
        "type": "multi",
        "name": "mix",
        "graders": {"score": {**string_check, "name": "a", "reference": "cat"}, "b": never},
        "calculate_output": "(score + b) / 2",
    }
    found = compute_score("d", "cat", "cat", {}, grader=grader)
    assert (found["score"], found["part_score"]) == (0.5, 1.0)


def test_a_file_that_changed_is_read_again(string_check: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "grader.json"
    for label in ("cat", "doggy"):
        path.write_text(json.dumps({**string_check, "reference": label}))
        assert shared_reward(f"@{path}", {}).grade(label).reward == 1.0


def test_a_relative_path_is_that_of_the_folder(
    string_check: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        monkeypatch.chdir(tmp_path / label)
        Path("grader.json").write_text(json.dumps({**string_check, "reference": label}))
        assert shared_reward("@grader.json", {}).grade(label).reward == 1.0


def test_judges_and_rewards_are_shared_by_themselves_and_not_by_what_they_print_as(
    string_check: dict[str, Any],
) -> None:
    for number in range(MAX_SHARED + 3):
        judges = JudgeSettings(endpoints={"default": Scripted(number / 100)})
        assert shared_reward(JUDGE, {"judges": judges}).grade("x").reward == number / 100
        check = {**string_check, "reference": f"{number}"}
        assert shared_reward(GraderReward(check), {}).grade(f"{number}").reward == 1.0


def test_a_part_named_as_a_status_does_not_take_its_place(string_check: dict[str, Any]) -> None:
    parts = {
        name: {**string_check, "name": name, "reference": reference}
        for name, reference in (("failed", "cat"), ("b", "never"))
    }
    grader = {"type": "multi", "name": "mix", "graders": parts, "calculate_output": "failed + b"}
    reward = GraderReward(grader)
    numbers = reward.numbers(reward.grade("cat"))
    assert (numbers["failed"], numbers["part_failed"], numbers["b"]) == (0.0, 1.0, 0.0)
