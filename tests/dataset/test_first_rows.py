"""The first rows stop a run if all of them fail in the same way; not those of one prompt, nor the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring.early_stop import MOST_SAMPLES
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import RunStopped
from tests.dataset.files import write_rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("out")}


def lacking(*, listed: bool) -> list[Any]:
    """32 samples of a prompt without the key, and some of a prompt with it; as lists, or row by row."""
    bad: Any = {"id": 1, "q": "a prompt"}
    if listed:
        return [{"item": bad, "samples": ["x"] * 32}, {"item": {"a": "x"}, "samples": ["x"] * 2}]
    return [*({"item": bad, "model_sample": "x"} for _ in range(32)), *LABELLED]


LABELLED: list[Any] = [{"item": {"a": "x"}, "model_sample": "x"}] * 2
BY_KEY: dict[str, Any] = {
    "type": "string_check", "name": "g", "operation": "eq",
    "input": "{{sample.output_text}}", "reference": "{{item.a}}",
}  # fmt: skip
BY_CODE = {
    "type": "python",
    "name": "p",
    "source": "def grade(s, item):\n    item['a']\n    return 1",
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("listed", [True, False], ids=["lists of samples", "equal items"])
@pytest.mark.parametrize("grader", [BY_KEY, BY_CODE], ids=["in shards", "row by row"])
def test_many_samples_of_one_prompt_are_no_reason_to_stop(
    tmp_path: Path, out: Path, grader: dict[str, Any], workers: int, listed: bool
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", lacking(listed=listed))
    with Engine(sandbox="none") as engine:
        tally = score_file(engine, grader, data, out, workers=workers)
    assert (tally.invalid, tally.scored) == (32, 2)


@pytest.mark.parametrize(("count", "graded"), [(30, 30), (5000, MOST_SAMPLES + 1)])
@pytest.mark.parametrize("grader", [BY_KEY, BY_CODE], ids=["in shards", "row by row"])
def test_rows_with_one_item_for_all_stop_the_run_as_well(
    tmp_path: Path, out: Path, grader: dict[str, Any], count: int, graded: int
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{"item": {"b": "x"}, "model_sample": "x"}] * count)
    with (
        Engine(sandbox="none") as engine,
        pytest.raises(RunStopped, match=rf"the first {graded} rows fails by"),
    ):
        score_file(engine, grader, data, out)
    assert left_in(tmp_path) == set()


def test_samples_of_as_many_prompts_stop_the_run(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    rows = [{"item": {"n": n}, "samples": ["x", "y"]} for n in range(30)]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(RunStopped, match=r"the first 39 rows \(of 20 prompts\) fails .* line 1#1 "):
        score_file(engine, string_check, data, out)


def test_a_formula_without_a_value_because_of_the_outputs_is_no_reason_to_stop(
    engine: Engine, tmp_path: Path, out: Path
) -> None:
    from_json = {**BY_KEY, "input": "{{sample.output_json.v}}"}
    divided = {
        "type": "multi",
        "name": "m",
        "graders": {"a": {**BY_KEY, "name": "a"}, "b": {**from_json, "name": "b"}},
        "calculate_output": "a / b",
    }
    for part in ("no JSON", '{"other": 1}'):
        rows = [{"item": {"n": n, "a": "x"}, "model_sample": part} for n in range(30)]
        data = write_rows(tmp_path / "rows.jsonl", rows)
        assert score_file(engine, divided, data, out, overwrite=True).rows == 30


def test_code_that_raises_otherwise_on_each_output_is_no_reason_to_stop(
    tmp_path: Path, out: Path
) -> None:
    rows = [{"item": {"n": n}, "model_sample": f"about {n}"} for n in range(30)]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    source = "def grade(sample, item):\n    return float(sample['output_text'])\n"
    with Engine(sandbox="none") as engine:
        tally = score_file(engine, {"type": "python", "name": "p", "source": source}, data, out)
    assert tally.blames["grader"] == 30
