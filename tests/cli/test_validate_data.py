"""`graders validate --data`: whether data fits a grader."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.test_validate import CHECK, rows, run, written


def data_of(ended: Result) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(ended.stdout)["data"]
    return data


def test_paths_that_all_rows_have_leave_the_grader_valid(tmp_path: Path) -> None:
    data = rows(tmp_path, *[{"item": {"label": "a"}, "model_sample": "a"}] * 3)
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data)
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()
    assert "all 2 paths lead to a value in all 3 rows" in ended.stderr


def test_a_path_that_some_rows_lack_is_listed_with_rows_and_suggestion(tmp_path: Path) -> None:
    good = {"item": {"label": "a"}, "model_sample": "a"}
    bad = {"item": {"lable": "a"}, "model_sample": "a"}
    data = rows(tmp_path, good, bad, good, bad)
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data)
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert "item.label  fails in 2 of 4 rows: lines 2, 4" in ended.stderr
    assert "Did you mean `lable`?" in ended.stderr
    assert "in reference" in ended.stderr


def test_a_path_is_followed_as_templates_follow_it(tmp_path: Path) -> None:
    item = {"list": [{"a b": 1}], "text": json.dumps({"k": [None]})}
    data = rows(tmp_path, {"item": item, "model_sample": "x"})
    templates = '{{item.list[-1]["a b"]}} {{item.text.k.0}} {{item.text.k[1]}}'
    grader = json.dumps({**CHECK, "reference": templates})
    data_found = data_of(run("validate", "--grader", grader, "--data", data, "--json"))
    assert {path["path"]: path["failed"] for path in data_found["paths"]} == {
        "sample.output_text": 0,
        "item.list[-1].a b": 0,
        "item.text.k.0": 0,
        "item.text.k[1]": 1,
    }


def test_a_path_of_the_sample_may_fail_in_some_rows_but_not_in_all(tmp_path: Path) -> None:
    grader = json.dumps({**CHECK, "input": "{{sample.output_json.name}}"})
    texts = ['{"name": 1}', "prose", '{"nam": 1}']
    several = [{"item": {"label": "a"}, "samples": texts}]
    ended = run("validate", "--grader", grader, "--data", rows(tmp_path, *several), "--json")
    assert ended.exit_code == 0
    path = data_of(ended)["paths"][0]
    assert (path["failed"], path["places"]) == (2, ["1#2", "1#3"])
    none = [{"item": {"label": "a"}, "samples": texts[1:]}]
    ended = run("validate", "--grader", grader, "--data", rows(tmp_path, *none))
    assert ended.exit_code == 1
    assert "sample.output_json.name  fails in all 2 samples" in ended.stderr


def test_rows_of_fine_tuning_need_no_outputs(tmp_path: Path) -> None:
    data = rows(tmp_path, *[{"messages": [{"role": "user", "content": "x"}], "labl": "a"}] * 2)
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data)
    assert ended.exit_code == 1
    assert "item.label  fails in all 2 rows" in ended.stderr
    assert "Did you mean `labl`?" in ended.stderr
    assert "paths of `sample` were not followed" in ended.stderr


def test_any_format_that_score_reads_is_read(tmp_path: Path) -> None:
    grader = json.dumps(CHECK)
    table = written(tmp_path, "rows.csv", "label,answer\na,a\nb,b\n")
    array = written(tmp_path, "rows.json", json.dumps([{"label": "a", "answer": "a"}]))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"label": "a", "answer": "a"}).encode()))
    for data in (table, array, str(packed)):
        ended = run("validate", "--grader", grader, "--data", data, "--sample-field", "answer")
        assert ended.exit_code == 0, ended.stderr


def test_rows_that_cannot_be_read_and_no_rows_do_not_fit(tmp_path: Path) -> None:
    grader = json.dumps(CHECK)
    good = json.dumps({"item": {"label": "a"}, "model_sample": "a"})
    data = written(tmp_path, "rows.jsonl", f'{good}\n{{"item":\n')
    ended = run("validate", "--grader", grader, "--data", data)
    assert ended.exit_code == 1
    assert "1 row cannot be read: line 2" in ended.stderr
    empty = run("validate", "--grader", grader, "--data", written(tmp_path, "none.jsonl", ""))
    assert empty.exit_code == 1
    assert "has no rows" in empty.stderr


def test_each_reason_is_said_of_the_rows_that_have_it(tmp_path: Path) -> None:
    good = json.dumps({"item": {"label": "a"}, "model_sample": "a"})
    odd = ['{"item":', '{"itme": {"label": "a"}, "model_sample": "a"}', "[1]", '{"item":']
    data = written(tmp_path, "rows.jsonl", "\n".join([good, *odd, good]) + "\n")
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data)
    assert "4 rows cannot be read: lines 2, 3, 4, 5" in ended.stderr
    assert "  lines 2, 5: The line is not JSON" in ended.stderr
    assert "  line 3: The row has no `item`, but an object `itme`." in ended.stderr
    assert "  line 4: A row must be an object, but this is an array." in ended.stderr


def test_reasons_of_a_path_are_said_of_their_rows_and_the_rest_is_counted(tmp_path: Path) -> None:
    items = [{"lable": "a"}, {"lable": "a"}, {"x": 1}, {"y": 1}, {"z": 1}, {"label": "a"}]
    data = rows(tmp_path, *[{"item": item, "model_sample": "a"} for item in items])
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data)
    assert "item.label  fails in 5 of 6 rows: lines 1, 2, 3, 4, 5" in ended.stderr
    assert "  lines 1, 2: `item.label`: `item` has no key `label`" in ended.stderr
    assert "  line 3: `item.label`: `item` has no key `label` (it has: x)" in ended.stderr
    assert "  in 1 more: other reasons" in ended.stderr


def test_code_that_reads_rows_is_said_to_be_unchecked(tmp_path: Path) -> None:
    parts = {"a": CHECK, "p": {"type": "python", "source": "def grade(s, i): return i['x']"}}
    multi = json.dumps({"type": "multi", "graders": parts, "calculate_output": "a + p"})
    data = rows(tmp_path, {"item": {"label": "a"}, "model_sample": "a"})
    ended = run("validate", "--grader", multi, "--data", data)
    assert ended.exit_code == 0
    assert (
        "Not checked: what the code or server of graders.p.source reads of a row." in ended.stderr
    )


def test_json_has_one_shape_for_valid_and_invalid_graders() -> None:
    valid = run("validate", "--grader", json.dumps(CHECK), "--json")
    invalid = run("validate", "--grader", json.dumps({**CHECK, "operation": "equals"}), "--json")
    assert (valid.exit_code, invalid.exit_code) == (0, 2)
    answers = [json.loads(ended.stdout) for ended in (valid, invalid)]
    assert [answer["valid"] for answer in answers] == [True, False]
    assert answers[0].keys() == answers[1].keys()
    assert answers[1]["mistakes"][0]["path"] == "operation"
    assert answers[1]["mistakes"][0]["hint"] == "Did you mean 'eq'?"


def test_flags_that_say_how_to_read_rows_need_rows() -> None:
    ended = run("validate", "--grader", json.dumps(CHECK), "--sample-field", "x")
    assert ended.exit_code == 2
    assert "pass --data" in ended.stderr


def test_rows_are_counted_as_score_counts_them(tmp_path: Path) -> None:
    good = json.dumps({"item": {"label": "a"}, "model_sample": "a"})
    data = written(tmp_path, "broken.jsonl", f"{good}\n{{\n{good}\n[\n{good}\n")
    grader = {**CHECK, "input": "{{item.label}} {{item.none}}"}
    ended = run("validate", "--grader", json.dumps(grader), "--data", data)
    assert "broken.jsonl, 5 rows: 1 of 2 paths" in ended.stderr
    assert "2 rows cannot be read: lines 2, 4" in ended.stderr
    assert "item.none  fails in all 3 rows that can be read" in ended.stderr
    ended = run("validate", "--grader", json.dumps(CHECK), "--data", data, "--json")
    found = data_of(ended)
    assert (found["rows"], found["unreadable"], found["fit"]) == (5, 2, False)
    scored = run(
        "score", "--grader", json.dumps(CHECK), "--data", data, "--json",
        "--out", str(tmp_path / "out.jsonl"),
    )  # fmt: skip
    assert json.loads(scored.stdout)["rows"] == found["rows"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_paths_fit_the_terminal(columns: int, tmp_path: Path) -> None:
    names = [f"a_long_name_of_the_item_{number}" for number in range(9)]
    text = " ".join(f"{{{{item.{name}}}}}" for name in names)
    data = written(
        tmp_path, "rows.jsonl", '{"item": {}, "model_sample": "a", "also": "a long row"}\n{\n'
    )
    ended = run(
        "validate", "--grader", json.dumps({**CHECK, "input": text}), "--data", data,
        env={"COLUMNS": str(columns), "LINES": ""},
    )  # fmt: skip
    lines = ended.stderr.splitlines()
    assert all(len(line) <= columns or "/" in line for line in lines), ended.stderr
