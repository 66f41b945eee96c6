"""What users type or keep in files: JSON is read as JSON or told as JSON, and YAML means what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.cli import main as cli
from graders_engine.cli.parsing.documents import InvalidDocument, load
from graders_engine.documents.load import TEXT_FIELDS
from tests.cli.test_command_line import graders

SLIPS: dict[str, tuple[str, str, int, int]] = {
    "a comma at the end": ('{"a": "x",\n}', "nothing stands after this comma", 1, 10),
    "a comma at the end of a list": ('{"a": [1,\n2,]}', "nothing stands after this comma", 2, 2),
    "a comma is missing": ('{"a": 1\n "b": 2}', "a comma is missing after `1`", 1, 7),
    "a comment with slashes": ('{\n// note\n"a": 1}', "JSON has no comments", 2, 1),
    "a comment behind a value": ('{"a": 1, // note\n "b": 2}', "JSON has no comments", 1, 10),
    "a comment in stars": ('{"a": 1\n/* note */}', "JSON has no comments", 2, 1),
    "a comment first in the object": ('{ /* note */ "a": 1}', "JSON has no comments", 1, 3),
    "a comment with a number sign": ('{"a": 1 # note\n}', "JSON has no comments", 1, 9),
    "a comment before it": ('# note\n{"a": 1}', "JSON has no comments", 1, 1),
    "a comment behind it": ('{"a": 1}\n# note', "JSON has no comments", 2, 1),
    "single quotes": ("{'a': 'x'}", "JSON quotes with `\"`, not with `'`", 1, 2),
    "single quotes in a list": ("['x', 'y']", "JSON quotes with `\"`, not with `'`", 1, 2),
    "single quotes around a value": ("{\"a\": 'x'}", 'JSON quotes with `"`', 1, 7),
    "typographic quotes": ('{\n "a": “x”}', "typographic quote", 2, 7),
    "typographic quotes first": ("{“a”: “x”}", "typographic quote", 1, 2),
    "German quotes": ("{„a“: 1}", "typographic quote", 1, 2),
    "French quotes": ('{"a": «x»}', "typographic quote", 1, 7),
    "a line break in a text": ('{"a": "x\ny"}', "a line break inside a text is written", 1, 9),
    "a tab in a text": ('{"a": "x\ty"}', "a tab inside a text is written `\\t`", 1, 9),
    "a line break behind a comma at the end": ('{"a": ["x\ny",]}', "a line break inside a", 1, 10),
    "a backslash alone": ('{"a": "\\d+"}', "a backslash starts no such sequence", 1, 8),
    "a short escape": ('{"a": "\\u12"}', "four hexadecimal digits must follow `\\u`", 1, 8),
    "True": ('{"a": True}', "`True` is `true` in JSON", 1, 7),
    "None": ('{"a": 1,\n"b": None}', "`None` is `null` in JSON", 2, 6),
    "None in a list": ("[1, None]", "`None` is `null` in JSON", 1, 5),
    "NaN": ('{"a":\nNaN}', "NaN is not a JSON number", 2, 1),
    "minus infinity": ('{"a": -Infinity}', "-Infinity is not a JSON number", 1, 7),
    "a number beyond a double": ('{"a": [1e400]}', "1e400 is beyond the range of a double", 1, 8),
    "a brace is missing": ('{"a": {"b": 1}', "a closing bracket is missing", 1, 14),
    "the first brace is missing": ('"a": 1, "b": 2}', "`{` is missing before this", 1, 1),
    "a bracket is missing": ('{"a": [1, 2}', "`}` stands where `]` was expected", 1, 12),
    "a brace for a bracket": ('{"a":\n[\n"b": 1}}', "the `[` of line 2 must be `{`", 3, 4),
    "a brace that is closed nowhere": ('{"a":\n{"b": 1}', "missing for the `{` of line 1", 2, 8),
    "keys without quotes among others": ('{a: 1, "b": 2, "c": 3}', "but `a` was found", 1, 2),
    "nothing but a brace": ("{", "a closing bracket is missing", 1, 1),
    "two values": ('{"a": 1} {"b": 2}', "the value ends before this", 1, 10),
    "a key without quotes": ('{"a": 1, b: 2}', "a key in double quotes was expected", 1, 10),
    "a text without quotes": ('{"a": yes}', "a value was expected, but `yes` was found", 1, 7),
    "a date without quotes": ('{"a": 2024-01-01}', "a text must stand in double quotes", 1, 11),
    "a key that lost its first quote": ('{a": 1}', "a key in double quotes was expected", 1, 2),
    "a key that lost its last quote": ('{"a: "x"}', "a colon is missing after the key", 1, 6),
    "a leading zero": ('{"a": 007}', "`007` is no number of JSON", 1, 8),
    "a hexadecimal number": ('{"a": 0x1F}', "`0x1F` is no number of JSON", 1, 8),
    "a number without its zero": ('{"a": .5}', "`.5` is no number of JSON", 1, 7),
    "a number with a plus": ('{"a": +1}', "`+1` is no number of JSON", 1, 7),
    "a number with underscores": ('{"a": 1_000}', "`1_000` is no number of JSON", 1, 8),
    "a key that is there twice": ('{"a": 1,\n"b": {"a": 2}, "a": 3}', "'a' is used twice", 2, 16),
    "numbers without a comma": ("[1 2]", "a comma is missing after `1`", 1, 2),
    "a template without quotes": ('{"a": {{item.x}}}', "a key in double quotes was expected", 1, 8),
    "a non-breaking blank": ('{\u00a0"a": 1}', "an invisible character (U+00A0)", 1, 2),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_in_json_is_told_as_json(what: str, tmp_path: Path) -> None:
    text, reason, line, column = SLIPS[what]
    for fields in ((), TEXT_FIELDS):
        with pytest.raises(InvalidDocument) as refused:
            load(text, "--item", fields)
        first, *caret = str(refused.value).split("\n")
        assert reason in first
        assert f"(line {line}, column {column})" in first
        assert caret[1].lstrip().startswith("^")


def test_the_commands_tell_it_too(tmp_path: Path) -> None:
    slip, file = '{"a": 1,\n "b": True}', tmp_path / "given.json"
    file.write_text(slip)
    check = "{type: string_check, operation: eq, input: a, reference: a}"
    run = ["run", "--model-sample", "x", "--grader", check]
    for arguments, stdin in (
        (["validate", "--grader", slip], ""),
        (["validate", str(file)], ""),
        (["validate", "--grader", "-"], slip),
        ([*run, "--item", slip], ""),
        ([*run, "--item", f"@{file}"], ""),
        (["run", "--grader", check, "--sample", slip], ""),
        ([*run, "--reference-answer", slip], ""),
        (["score", "--grader", slip, "--data", "x", "--out", "y"], ""),
    ):
        ended = CliRunner().invoke(cli.graders, arguments, input=stdin)
        assert ended.exit_code == 2, arguments
        assert "`True` is `true` in JSON (line 2, column 7)" in ended.stderr
    assert "`True` is `true` in JSON (line 2, column 7)" in graders("run", stdin=slip).stderr


@pytest.mark.parametrize("name", ["given.json", "given.JSON", "given.jsonc"])
def test_a_file_that_is_json_by_its_name_holds_json_only(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text("type: string_check\noperation: eq\n")
    ended = CliRunner().invoke(cli.graders, ["validate", str(file)])
    assert "a value was expected, but `type` was found (line 1, column 1)" in ended.stderr


FLOW = {
    "single quotes": ("{'a': 'x'}", {"a": "x"}),
    "a comma at the end": ('{"a": "x",\n}', {"a": "x"}),
    "comments": ('{"a": "x", # note\n "b": 1}', {"a": "x", "b": 1}),
    "a comment before it": ('# note\n{"a": "x"}', {"a": "x"}),
    "JSON": ('{"a": "x\\ud83d\\ude00", "b": [1.0]}', {"a": "x\U0001f600", "b": [1.0]}),
    "words of YAML": ('{"a": True, "b": "None"}', {"a": True, "b": "None"}),
}


@pytest.mark.parametrize("what", FLOW)
@pytest.mark.parametrize("name", ["given.yaml", "given.yml", "GIVEN.YAML"])
def test_a_file_that_is_yaml_by_its_name_is_read_as_yaml(what: str, name: str) -> None:
    text, value = FLOW[what]
    assert load(text, "--item", name=name) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": "x\ny"}', "line breaks in a text become blanks here"),
        ("{“a”: 1}", "typographic quote"),
        ('{"a": "x", // note\n"b": 1}', "YAML's comments begin with `#`"),
        ('{"a": "x"\n "b": 1}', "a comma or `}` is missing before this"),
        ('{"a": 1, "a": 2}', "'a' is used twice"),
    ],
)
def test_a_slip_in_such_a_file_is_told_as_yaml(text: str, reason: str) -> None:
    with pytest.raises(InvalidDocument, match=reason):
        load(text, "--item", name="given.yaml")


def test_a_comment_of_json_in_a_block_of_yaml_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a: cat  // the text\nb: http://x.org\nc: 'x // y'\n"
    assert load(text, "--item") == {"a": "cat  // the text", "b": "http://x.org", "c": "x // y"}
    [note] = capsys.readouterr().err.splitlines()
    assert "`// the text` is part of the text (line 1): YAML's comments begin with `#`" in note


def test_quotes_are_advised_only_where_a_template_lacks_them() -> None:
    advice = "A template must be in quotes"
    for text in ("input: {{item.a}}", '{"a":\n{{item.x}}}', "{a: b,\n c: {{item.x}},\n d: e}"):
        with pytest.raises(InvalidDocument, match=advice):
            load(text, "--grader")
    for text in (
        '{"a": "Rate 0 to 1: {{item.x}}\n"}',
        '{"a": "Rate:\n- 0 to 1: {{item.x}}"}',
        '{"a": "x: {{item.x}}",\n "b": True}',
    ):
        with pytest.raises(InvalidDocument) as refused:
            load(text, "--grader")
        assert advice not in str(refused.value)


def test_half_of_a_pair_of_surrogates_is_refused_in_graders() -> None:
    text = '{"reference": "x \\ud83d"}'
    with pytest.raises(InvalidDocument, match=r"`\\ud83d` is half of a pair.*column 18"):
        load(text, "--grader", TEXT_FIELDS)
    assert load(text, "--item") == {"reference": "x \ud83d"}
    assert load('{"a": "\\\\ud83d"}', "--grader", TEXT_FIELDS) == {"a": "\\ud83d"}
    with pytest.raises(InvalidDocument, match="half of a pair"):
        load('{reference: "\\ude00"}', "--grader")


YAML: dict[str, tuple[str, Any]] = {
    "flow": ("{input: input, name: name}", {"input": "input", "name": "name"}),
    "flow with null": ("{a: , b : , 'c':}", {"a": None, "b": None, "c": None}),
    "flow with lists": (
        "{a: [Paris, France], b: [x: 1, y]}",
        {"a": ["Paris", "France"], "b": [{"x": 1}, "y"]},
    ),
    "block with nothing": ("a:\nb:\n  c:\n", {"a": None, "b": {"c": None}}),
    "flow with quoted values": ("{a: \"x\", 'b': 'y'}", {"a": "x", "b": "y"}),
    "flow in lines": ("{\n  a: x,  # note\n  b: [1, two],\n}", {"a": "x", "b": [1, "two"]}),
    "a list of words": ("[a, b c]", ["a", "b c"]),
    "a list of numbers and words": ("[1, two]", [1, "two"]),
    "block": ("a: x\nb:\n  - 1\n", {"a": "x", "b": [1]}),
    "block with quoted keys": ('"a": x\n"b": y\n', {"a": "x", "b": "y"}),
    "a block scalar": ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    "a pair of surrogates": ('{a: "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    "a pair of surrogates in a block": ('a: "x \\ud83d\\ude00"', {"a": "x \U0001f600"}),
    "an address": ("{a: http://x.org/y}", {"a": "http://x.org/y"}),
    "slashes within a line": ("{a: x // y, b: 1}", {"a": "x // y", "b": 1}),
    "a text in JSON's quotes": ('"x\\ud83d\\ude00"', "x\U0001f600"),
    "a JSON list": ("[1, 2.5, true, null]", [1, 2.5, True, None]),
}


@pytest.mark.parametrize("what", YAML)
def test_yaml_is_read_as_yaml(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, value = YAML[what]
    assert load(text, "--item") == value
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{a: "x\n  y"}', "line breaks in a text become blanks here"),
        ("{a: 'x\n  y'}", "line breaks in a text become blanks here"),
        ("{a: [x\n  y]}", "line breaks in a text become blanks here"),
        ('a: {b: "x\n  y"}', "line breaks in a text become blanks here"),
        ("{a: x, // note\n b: y}", "YAML's comments begin with `#`"),
        ("{a: x // note\n}", "YAML's comments begin with `#`"),
        ("{a: x, /* note */ b: y}", "YAML's comments begin with `#`"),
        ("{a: “x”}", "typographic quote"),
        ("{type: string_check, reference: Paris, France}", "a text with a comma must be in quotes"),
        ("{reference: 3,5}", r"must be in quotes \(line 1, column 15\)"),
        ("item: {city: Paris, France}", "a colon is missing after this key"),
        ("{a: {b: Rome, Italy }, c: 1}", "a colon is missing after this key"),
        ("{a, b: 1}", "a colon is missing after this key"),
        ("{a: x,\n b\n}", "a colon is missing after this key"),
        ("{a:}", "write `null` after this colon"),
        ("a: 1.0e400", "beyond the range of a double"),
    ],
)
def test_yaml_that_loses_something_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidDocument, match=reason):
        load(text, "--item")


def test_line_breaks_that_yaml_folds_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    assert load('a: x\nb: "y\n  z"\n', "--item") == {"a": "x", "b": "y z"}
    assert "note: --item: line breaks in a text become blanks here" in capsys.readouterr().err
    assert load("b: >\n  y\n  z\n", "--item") == {"b": "y z\n"}
    assert capsys.readouterr().err == ""


def test_a_document_on_standard_input_is_noted_once() -> None:
    grader = "{type: string_check, operation: eq, input: a, reference: None}"
    ended = graders("run", stdin=f'grader: {grader}\nmodel_sample: "x\n  y"\n')
    assert ended.stderr.count("null is written `null`") == 1
    assert ended.stderr.count("line breaks in a text become blanks here") == 1


def test_a_reason_cites_no_key_of_a_service() -> None:
    text = '{"headers": {"Authorization": "Bearer sk-0123456789abcdef0123" "x": 1}}'
    with pytest.raises(InvalidDocument, match="a comma is missing after this") as refused:
        load(text, "--grader")
    assert "sk-0123456789" not in str(refused.value)


TEXT = '{{sample.output_text}}\nsay "hi" \\d \t\U0001f600 é'
GRADER: dict[str, Any] = {
    "type": "multi",
    "name": "m",
    "graders": {
        "a": {"type": "string_check", "operation": "eq", "input": TEXT, "reference": "x, y: z"},
        "b": {
            "type": "score_model",
            "model": "m",
            "range": [-1, 2.5e1],
            "input": [{"role": "user", "content": TEXT}],
            "sampling_params": {"seed": 42, "top_p": None},
        },
    },
    "calculate_output": "a * 0.5 + b",
    "pass_threshold": 0.5,
    "logs": True,
}
PARTS = [
    '"',
    "'",
    "“",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\n",
    "\t",
    "\\",
    "//",
    "#",
    "/* x */",
    "x",
    "1",
    " ",
    "None",
    "NaN",
]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_json_with_one_random_slip_is_told_as_json_or_means_the_same(data: st.DataObject) -> None:
    ascii_only, indent = data.draw(st.booleans()), data.draw(st.sampled_from([None, 2]))
    text = json.dumps(GRADER, ensure_ascii=ascii_only, indent=indent)
    at = data.draw(st.integers(0, len(text) - 1))
    put, cut = data.draw(st.sampled_from(["", *PARTS])), data.draw(st.integers(0, 1))
    broken = text[:at] + put + text[at + cut :]
    try:
        json.loads(broken)
    except ValueError:
        pass
    else:
        return  # still JSON, of another meaning
    try:
        value = load(broken, "--grader")
    except InvalidDocument as error:
        told = re.search(r"\(line (\d+), ", str(error).split("\n")[0])
        assert told
        # Of brackets that do not fit each other, the last one is told, or the end; what begins with
        # something else than a bracket is no JSON.
        if at and not set(put + text[at : at + cut]) & set("{}[]"):
            assert abs(int(told[1]) - broken.count("\n", 0, at) - 1) <= 1
        return
    assert value == GRADER
