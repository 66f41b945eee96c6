"""`graders validate`: what a grader was pasted with, and what is none."""

from __future__ import annotations

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
    "a list": ({"graders": [CHECK]}, "graders[0]"),
    "a map": ({"graders": {"a": CHECK}}, "graders.a"),
    "a method without its kind": ({"method": {"grader": CHECK}}, "method.grader"),
    "a job in a request": ({"grader": {"method": METHOD}}, "grader.method.reinforcement.grader"),
    "the same grader twice": ({"grader": CHECK, "reinforcement": {"grader": CHECK}}, "grader"),
}
OTHER = {**CHECK, "operation": "ne"}
AMBIGUOUS: dict[str, tuple[Any, str]] = {
    "a request with a job of another": (
        {"grader": CHECK, "method": {"reinforcement": {"grader": OTHER}}},
        "different graders at 'grader' and 'method.reinforcement.grader'",
    ),
    "a request with an eval": (
        {"grader": CHECK, "testing_criteria": [OTHER, CHECK]},
        "different graders at 'grader' and 'testing_criteria'",
    ),
    "a job of another method": (
        {"method": {**METHOD, "type": "dpo"}},
        "the method here is `dpo`, which uses no grader: a grader is at `method.reinforcement.grader`",
    ),
    "another method": ({**METHOD, "type": "supervised"}, "the method here is `supervised`"),
    "a request with another method": (
        {"grader": CHECK, "method": {"type": "dpo"}},
        "the method here is `dpo`",
    ),
    "a method without a grader": ({"method": {"type": "dpo", "dpo": {}}}, "uses no grader."),
    "a list of two": ({"graders": [CHECK, OTHER]}, "an array of 2: pass one of them, or join"),
}


def run(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli.graders, arguments, input=stdin, env=env)


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def rows(folder: Path, *rows: Any) -> str:
    return written(folder, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


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


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_may_hold_another_grader_is_refused_with_its_paths(what: str) -> None:
    value, message = AMBIGUOUS[what]
    ended = run("validate", "--grader", json.dumps(value))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "is taken from" not in ended.stderr


def test_a_request_may_hold_its_grader_as_json_text() -> None:
    ended = run("validate", "--grader", json.dumps({"grader": json.dumps(CHECK)}))
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()
    assert "the grader is taken from `grader`" in ended.stderr


def test_a_multi_without_its_type_is_told_so() -> None:
    multi = {"graders": [{**CHECK, "name": "a"}], "calculate_output": "a"}
    ended = run("validate", "--grader", json.dumps(multi))
    assert 'It has graders and a formula: add `"type": "multi"`.' in ended.stderr


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("typ", "Its `typ` is 'string_check': name this key `type`."),
        ("Type", "Its `Type` is 'string_check'"),
        ("kind", "Its `kind` is 'string_check'"),
        (
            "\u200btype",
            "A key that looks like `type` has other code points (U+200B there, nothing here).",
        ),
    ],
)
def test_what_stands_in_place_of_the_type_is_told(key: str, hint: str) -> None:
    misspelt = {key: "string_check", **{k: CHECK[k] for k in CHECK if k != "type"}}
    for grader in (
        misspelt,
        {"type": "multi", "graders": {"a": misspelt}, "calculate_output": "a"},
    ):
        ended = run("validate", "--grader", json.dumps(grader))
        assert "Missing required parameter: " in ended.stderr
        assert hint in ended.stderr


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
    "an empty list": ("[]", "a grader is an object, but this is an empty array"),
    "an empty object": ("{}", "Missing required parameter: 'type'"),
    "a comment before it": (f"// mine: a\n{json.dumps(CHECK)}", "JSON has no comments"),
    "a long comment before it": (f"/* mine: a */ {json.dumps(CHECK)}", "JSON has no comments"),
    "two code fences": (
        f"Take\n```json\n{json.dumps(CHECK)}\n```\nor\n```json\n{json.dumps(CHECK)}\n```\n",
        "2 code fences stand here, but one value is wanted",
    ),
    "a number": ("7", "a grader is an object, but this is an integer"),
}


@pytest.mark.parametrize("what", MISREAD)
def test_what_is_no_grader_is_refused_in_plain_words(what: str, tmp_path: Path) -> None:
    text, message = MISREAD[what]
    name = "grader.yaml" if what in ("a tab in YAML", "several documents") else "grader.json"
    for given in (written(tmp_path, name, text), f"--grader={text}"):
        ended = run("validate", given)
        assert ended.exit_code == 2
        assert message in ended.stderr
        assert "A template must be in quotes" not in ended.stderr


@pytest.mark.parametrize("text", ["", " ", "{}", "[]", "[1]", "{a}"])
def test_an_argument_that_can_name_no_file_is_not_said_to_be_missing(text: str) -> None:
    ended = run("validate", text)
    assert ended.exit_code == 2
    assert "there is no such file" not in ended.stderr


def test_a_byte_order_mark_before_json_is_left_out(tmp_path: Path) -> None:
    ended = run("validate", written(tmp_path, "grader.json", "\ufeff" + json.dumps(CHECK)))
    assert ended.exit_code == 0, ended.stderr


def test_a_template_without_quotes_is_pointed_at() -> None:
    ended = run("validate", "--grader", "{type: string_check, input: {{sample.output_text}}}")
    assert "A template must be in quotes" in ended.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("My grader: it compares.\n\n", "Good luck!\n"), ("A grader\n", ""), ("", "End.")],
)
def test_a_code_fence_is_taken_off(before: str, after: str) -> None:
    ended = run("validate", f"--grader={before}```json\n{json.dumps(CHECK)}\n```\n{after}")
    assert json.loads(ended.stdout)["grader"].items() >= CHECK.items()
    assert "what stands in the code fence is read" in ended.stderr


def test_none_of_python_in_yaml_is_said_to_be_a_text() -> None:
    flow = "{type: string_check, name: None, operation: eq, input: a, reference: a}"
    ended = run("validate", "--grader", flow)
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
