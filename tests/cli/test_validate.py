"""`graders validate`: what a grader was pasted with, and whether data fits it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli import main as cli

CHECK = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}
METHOD = {"type": "reinforcement", "reinforcement": {"grader": CHECK, "hyperparameters": {}}}
WRAPPED: dict[str, tuple[Any, str]] = {
    "a request": ({"grader": CHECK}, "grader"),
    "a method": (METHOD, "reinforcement.grader"),
    "a part of a method": ({"reinforcement": {"grader": CHECK}}, "reinforcement.grader"),
    "a job": ({"model": "m", "method": METHOD}, "method.reinforcement.grader"),
    "an eval": ({"testing_criteria": [CHECK]}, "testing_criteria[0]"),
}


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli.graders, arguments, input=stdin)


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def rows(folder: Path, *rows: Any) -> str:
    return written(folder, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def data_of(ended: Result) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(ended.stdout)["data"]
    return data


@pytest.mark.parametrize("what", WRAPPED)
def test_a_grader_is_taken_out_of_what_it_was_pasted_with(what: str, tmp_path: Path) -> None:
    value, path = WRAPPED[what]
    file = written(tmp_path, "pasted.json", json.dumps(value))
    for ended in (run("validate", "--grader", json.dumps(value)), run("validate", file)):
        assert ended.exit_code == 0, ended.stderr
        assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()
        assert ended.stderr.count("\n") == 1
        assert f"the grader is taken from `{path}`" in ended.stderr


def test_a_pasted_job_grades_as_its_grader_does(tmp_path: Path) -> None:
    job = json.dumps({"method": METHOD})
    one = run(
        "run", "--grader", job, "--model-sample", "a", "--item", "{label: a}", "--field", "reward"
    )
    assert one.stdout == "1.0\n"
    data = rows(tmp_path, {"item": {"label": "a"}, "model_sample": "a"})
    out = tmp_path / "out.jsonl"
    many = run("score", "--grader", job, "--data", data, "--out", str(out), "--quiet")
    assert many.exit_code == 0, many.stderr
    assert json.loads(out.read_text(encoding="utf-8"))["reward"] == 1.0


def test_a_job_in_yaml_is_read_with_its_texts_as_typed(tmp_path: Path) -> None:
    text = (
        "method:\n  type: reinforcement\n  reinforcement:\n    grader:\n      type: string_check\n"
        "      operation: eq\n      input: '{{sample.output_text}}'\n      reference: 1.50\n"
    )
    ended = run("validate", written(tmp_path, "job.yaml", text))
    assert json.loads(ended.stdout)["grader"]["reference"] == "1.50"


def test_json_in_a_json_text_is_read() -> None:
    ended = run("validate", "--grader", json.dumps(json.dumps(CHECK)))
    assert ended.exit_code == 0
    assert "the grader is JSON in a JSON text" in ended.stderr


def test_a_grader_on_standard_input_needs_nothing_around_it() -> None:
    for pasted in (CHECK, {"method": METHOD}, {"grader": CHECK}):
        ended = run("validate", "--grader", "-", stdin=json.dumps(pasted))
        assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()


MISREAD: dict[str, tuple[str, str]] = {
    "a comma is missing": (
        '{"type": "string_check" "input": "{{item.x}}"}',
        'a comma is missing after `"string_check"` (line 1, column 23)',
    ),
    "typographic quotes": ("{“type”: “string_check”}", "typographic quote"),
    "Python's None": ('{"type": "python", "name": None}', "`None` is `null` in JSON"),
    "a comment": ('{"type": "python", // mine\n "source": ""}', "JSON has no comments"),
    "a line break in a text": ('{"source": "def\n"}', "a line break inside a text is written"),
    "a tab in YAML": ("type:\n\tpython", "a tab cannot indent YAML"),
    "several documents": ("a: 1\n---\nb: 2", "several documents"),
    "JSONL": ('{"a": 1}\n{"a": 2}\n', "these are 2 JSON values, one a line (JSONL)"),
    "a list": (json.dumps([CHECK, CHECK]), "an array of 2: pass one of them, or join them"),
    "an eval of several criteria": (
        json.dumps({"testing_criteria": [CHECK, CHECK]}),
        "an eval with 2 testing criteria",
    ),
    "nothing": ("", "the grader is empty"),
    "a number": ("7", "a grader is an object, but this is an integer"),
}


@pytest.mark.parametrize("what", MISREAD)
def test_what_is_no_grader_is_refused_in_plain_words(what: str, tmp_path: Path) -> None:
    text, message = MISREAD[what]
    ended = run("validate", written(tmp_path, "grader.json", text))
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert "A template must be in quotes" not in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CHECK)[:-1] + ", }",
        repr(CHECK),
        json.dumps(CHECK)[:-1] + "} # mine",
        "\ufeff" + json.dumps(CHECK),
    ],
    ids=["a trailing comma", "single quotes", "a hash comment", "a byte order mark"],
)
def test_what_yaml_allows_is_read(text: str, tmp_path: Path) -> None:
    ended = run("validate", written(tmp_path, "grader.json", text))
    assert ended.exit_code == 0, ended.stderr


def test_a_template_without_quotes_is_pointed_at() -> None:
    ended = run("validate", "--grader", "{type: string_check, input: {{sample.output_text}}}")
    assert "A template must be in quotes" in ended.stderr


def test_a_code_fence_is_taken_off() -> None:
    ended = run("validate", "--grader", f"```json\n{json.dumps(CHECK)}\n```\n")
    assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()
    assert "what stands in the code fence is read" in ended.stderr


def test_none_of_python_is_said_to_be_a_text() -> None:
    ended = run("validate", "--grader", repr({**CHECK, "name": None}))
    assert json.loads(ended.stdout)["grader"]["name"] == "None"
    assert '`None` is read as the text "None"; null is written `null`' in ended.stderr
    block = run("validate", "--grader", "type: string_check\nname: None\n")
    assert "null is written" not in block.stderr


def test_files_that_hold_no_text_are_named(tmp_path: Path) -> None:
    wide = tmp_path / "wide.json"
    wide.write_bytes(json.dumps(CHECK).encode("utf-16"))
    assert "UTF-16 text: save it as UTF-8" in run("validate", str(wide)).stderr
    assert "is a directory" in run("validate", "--grader", f"@{tmp_path}").stderr


def test_an_item_of_two_lines_is_sent_to_score(tmp_path: Path) -> None:
    data = rows(tmp_path, {"label": "a"}, {"label": "b"})
    ended = run("run", "--grader", json.dumps(CHECK), "--item", f"@{data}", "--model-sample", "a")
    assert ended.exit_code == 2
    assert "these are 2 JSON values" in ended.stderr
    assert "graders score" in ended.stderr


def test_a_misspelt_key_of_the_sample_is_a_mistake_with_a_suggestion() -> None:
    ended = run("validate", "--grader", json.dumps({**CHECK, "input": "{{sample.output_txt}}"}))
    assert ended.exit_code == 2
    assert "input\n" in ended.stderr
    assert "did you mean `output_text`? (line 1, column 10)" in ended.stderr
    assert "         ^^^^^^^^^^" in ended.stderr


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
        'item.list[-1]["a b"]': 0,
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


def test_code_that_reads_rows_is_said_to_be_unchecked(tmp_path: Path) -> None:
    parts = {"a": CHECK, "p": {"type": "python", "source": "def grade(s, i): return i['x']"}}
    multi = json.dumps({"type": "multi", "graders": parts, "calculate_output": "a + p"})
    data = rows(tmp_path, {"item": {"label": "a"}, "model_sample": "a"})
    ended = run("validate", "--grader", multi, "--data", data)
    assert ended.exit_code == 0
    assert "Not checked, because code reads the rows there: graders.p.source" in ended.stderr


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
