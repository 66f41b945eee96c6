"""What an output item says of what went wrong: nothing where all is met, and the gravest thing first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.body_fields import InvalidBody
from graders_engine.evals.requests.item_schema import ItemSchema
from graders_engine.evals.requests.rows import check_file
from graders_engine.evals.run.items import OutputItems
from graders_engine.storage.pages import Page
from tests.evals.run.made import Bench, jsonl, row, string_check

RAISES: dict[str, Any] = {
    "type": "python",
    "name": "code",
    "id": "code-1",
    "source": "def grade(sample, item):\n    return 1.0 if sample['output_text'] else item['nope']\n",
}


@pytest.mark.parametrize(
    ("label", "criteria", "code"),
    [
        ("", [string_check()], None),
        ("cat", [string_check()], "unresponsive_reward_error"),
        ("", [RAISES], "python_grader_runtime_error"),
        ("cat", [string_check(), RAISES], "python_grader_runtime_error"),
    ],
)
def test_an_empty_sample_is_an_error_only_where_nothing_else_is(
    tmp_path: Path, label: str, criteria: list[dict[str, Any]], code: str | None
) -> None:
    bench = Bench(tmp_path / "store")
    run = bench.completed(criteria, jsonl(row(label, "")))
    (item,) = OutputItems(bench.store).page(run, Page()).data
    bench.store.close()
    error = item["sample"]["error"]
    assert (error and error["code"]) == code
    assert error is None or error["message"]


def test_an_error_names_criteria_as_the_eval_does(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    missing = string_check("same", reference="{{item.no}}")
    also = string_check("Last one!", reference="{{item.no}}")
    criteria = [string_check("same"), missing, string_check("same_2"), also]
    run = bench.completed(criteria, jsonl(row("a")))
    (item,) = OutputItems(bench.store).page(run, Page()).data
    bench.store.close()
    named = "same (testing_criteria[1]), Last one!: "
    assert item["sample"]["error"]["message"].startswith(named)


def test_a_row_without_a_sample_is_told_where_to_put_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    run = bench.completed([string_check()], jsonl({"item": {"label": "cat"}}))
    (item,) = OutputItems(bench.store).page(run, Page()).data
    bench.store.close()
    error = item["sample"]["error"]
    assert (item["status"], error["code"]) == ("error", "no_sample")
    assert "output_text" in error["message"]
    assert "--" not in error["message"]


def test_a_file_that_cannot_be_read_is_named_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "file-1"
    path.write_text('{\n"item": {}\n}\n')
    with pytest.raises(InvalidBody) as refused:
        check_file(path, "file-1", ItemSchema({}))
    assert str(tmp_path) not in refused.value.mistakes[0].message
