"""Runs the cases of tests/compliance/job_requests.json: bodies of `fine_tuning.jobs.create`.

A case is written as those of eval_requests.json.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.body_fields import InvalidBody
from graders_engine.conformance.cases import expanded
from graders_engine.jobs.requests.hyperparameters import AUTO, NUMBERS, resolved, total_steps
from graders_engine.jobs.requests.request import MAX_SEED, new_job
from graders_engine.models.tables.training import METHODS, Method
from tests.evals.test_requests import holder

Case = dict[str, Any]
FILE = Path(__file__).parents[1] / "compliance" / "job_requests.json"
LOADED = json.loads(FILE.read_text(encoding="utf-8"))
BASES: dict[str, Any] = LOADED["bases"]
CASES: list[Case] = LOADED["cases"]
ids = [case["name"] for case in CASES]


def body_of(case: Case) -> Any:
    if "body" in case:
        return case["body"]
    body = copy.deepcopy(BASES[case["base"]])
    for path, value in case.get("set", {}).items():
        inside, step = holder(body, path)
        inside[step] = expanded(value)
    for path in case.get("remove", ()):
        inside, step = holder(body, path)
        del inside[step]
    return body


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(set(ids)) == len(ids)
    assert sum("error" in case for case in CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_body_is_taken_or_refused_with_the_place_of_each_mistake(case: Case) -> None:
    if "error" not in case:
        new_job(body_of(case))
        return
    with pytest.raises(InvalidBody) as refused:
        new_job(body_of(case))
    first, *others = refused.value.mistakes
    error = case["error"]
    assert (first.param, first.code) == (error["param"], error["code"]), first
    assert error.get("says", "") in str(first)
    assert [other.param for other in others] == case.get("also", [])


def test_a_job_without_a_method_is_supervised_with_all_hyperparameters_auto() -> None:
    made = new_job(BASES["plain"])
    assert made.method == "supervised"
    assert made.hyperparameters == dict.fromkeys(NUMBERS["supervised"], AUTO)
    old = new_job(BASES["old"])
    assert old.hyperparameters == BASES["old"]["hyperparameters"]
    assert old.request["method"] == {
        "type": "supervised",
        "supervised": {"hyperparameters": BASES["old"]["hyperparameters"]},
    }


def test_a_seed_is_kept_and_one_is_made_where_there_is_none() -> None:
    assert new_job(BASES["supervised"]).seed == 7
    made = {new_job(BASES["plain"]).seed for _ in range(5)}
    assert len(made) > 1
    assert all(0 <= seed <= MAX_SEED for seed in made)


def test_a_request_that_is_kept_is_the_one_that_was_sent() -> None:
    for name in ("supervised", "rft"):
        sent, kept = BASES[name], new_job(BASES[name]).request
        for key in ("model", "training_file", "validation_file", "method"):
            assert kept[key] == sent[key]
    wandb = {"project": "tickets", "entity": None, "name": "first", "tags": ["a"]}
    assert new_job(BASES["supervised"]).request["integrations"] == [
        {"type": "wandb", "wandb": wandb}
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 33, 34, 100, 2_000, 8_334, 100_000])
def test_what_auto_stands_for_lies_in_the_ranges_of_the_api(method: Method, rows: int) -> None:
    found = resolved(method, dict.fromkeys(NUMBERS[method], AUTO), rows)
    assert found.keys() == NUMBERS[method].keys()
    wrong = [number.wrong(name, found[name]) for name, number in NUMBERS[method].items()]
    assert wrong == [None] * len(wrong)
    assert 1 <= int(found["batch_size"]) <= rows
    if method == "reinforcement":
        assert int(found["eval_interval"]) <= total_steps(found, rows)


def test_auto_follows_the_number_of_rows_and_what_is_given_stays() -> None:
    auto = dict.fromkeys(NUMBERS["supervised"], AUTO)
    few, many = resolved("supervised", auto, 10), resolved("supervised", auto, 20_000)
    assert few == {"n_epochs": 10, "batch_size": 1, "learning_rate_multiplier": 1.0}
    assert many == {"n_epochs": 1, "batch_size": 40, "learning_rate_multiplier": 1.0}
    given = {"n_epochs": 7, "batch_size": 3, "learning_rate_multiplier": 0.2}
    assert resolved("supervised", given, 10) == given
    reinforced = dict.fromkeys(NUMBERS["reinforcement"], AUTO) | {"n_epochs": 4}
    assert resolved("reinforcement", reinforced, 200) == {
        "n_epochs": 4, "batch_size": 10, "learning_rate_multiplier": 1.0, "compute_multiplier": 1.0,
        "eval_interval": 8, "eval_samples": 2,
    }  # fmt: skip
