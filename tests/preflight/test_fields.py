"""Fields that the grader reads and rows do not have, or have without a value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.preflight.findings import Finding
from graders_engine.preflight.options import Options
from tests.preflight.ask import EXACT, SUMS, ask, found, only, write_rows
from tests.preflight.graders import CLOSE, HEAD, SAME, judge, multi, python

CHECKS = ("missing-field", "null-field")


def rows_without(field: str, every: int = 3) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key != field or number % every}
        for number, row in enumerate(SUMS)
    ]


def rows_with(field: str, value: Any, every: int = 3) -> list[dict[str, Any]]:
    return [row if number % every else {**row, field: value} for number, row in enumerate(SUMS)]


def reference(path: str) -> dict[str, Any]:
    return {**EXACT, "reference": f"{{{{item.{path}}}}}"}


def in_python(expression: str) -> dict[str, Any]:
    return python(f'{HEAD}    return float(sample["output_text"] == {expression})\n')


def fields(
    folder: Path, grader: Any, train: Iterable[Any] | str = (), **more: Any
) -> list[Finding]:
    return list(ask(folder, grader, train, select=CHECKS, **more).findings)


MISSING: dict[str, tuple[Any, Any, str]] = {
    "a template, in no row": (reference("solution"), SUMS, "error"),
    "a template, in some rows": (EXACT, rows_without("answer"), "warning"),
    "a template, but for one row": (EXACT, rows_without("answer", 1000), "warning"),
    "a judge's template": (judge("{{item.rubric}}"), SUMS, "error"),
    "a part": (multi("exact", exact=reference("solution")), SUMS, "error"),
    "python with brackets, in no row": (in_python('item["solution"]'), SUMS, "warning"),
    "python with brackets, in some rows": (
        in_python('item["answer"]'),
        rows_without("answer"),
        "warning",
    ),
    "python with get": (in_python('item.get("solution")'), SUMS, "info"),
    "python with get and nearly the name": (in_python('item.get("anwser")'), SUMS, "warning"),
    "a step into a value without steps": (reference("answer.text"), SUMS, "error"),
    "a step into a text that is no JSON": (
        reference("answer.text"),
        rows_with("answer", "five", 1),
        "error",
    ),
    "an index beyond the list": (
        reference("answers[2]"),
        rows_with("answers", ["1", "2"], 1),
        "error",
    ),
}


@pytest.mark.parametrize(("grader", "rows", "severity"), MISSING.values(), ids=MISSING)
def test_a_field_that_rows_lack(tmp_path: Path, grader: Any, rows: Any, severity: str) -> None:
    (finding,) = fields(tmp_path, grader, rows)
    assert (finding.id, finding.severity) == ("missing-field", severity)


SLIPS = [
    ("anwser", "answer", True),
    ("answr", "answer", True),
    ("Answer", "answer", True),
    ("referenceAnswer", "reference_answer", True),
    ("refrence_anwser", "reference_answer", True),
    ("solution", "resolution", False),
    ("tolerance", "tolerance_percent", False),
    ("text", "context", False),
]


@pytest.mark.parametrize(("read", "key", "slip"), SLIPS)
def test_a_slip_in_an_optional_field_is_a_warning(
    tmp_path: Path, read: str, key: str, slip: bool
) -> None:
    rows = [{**row, key: "1"} for row in SUMS]
    (finding,) = fields(tmp_path, in_python(f'item.get("{read}")'), rows)
    assert finding.severity == ("warning" if slip else "info")


THERE: dict[str, tuple[Any, Any]] = {
    "in all rows": (EXACT, SUMS),
    "inside an object": (reference("meta.answer"), rows_with("meta", {"answer": "1"}, 1)),
    "inside a text of JSON": (reference("meta.answer"), rows_with("meta", '{"answer": "1"}', 1)),
    "in a list": (reference("answers[-1]"), rows_with("answers", ["1", "2"], 1)),
    "by a number after a dot": (reference("answers.0"), rows_with("answers", ["1"], 1)),
    "in a message": (reference("messages[0].content"), SUMS),
    "below the key item": (EXACT, [{"item": {"answer": "1"}}]),
    "false": (EXACT, rows_with("answer", False)),
    "zero": (EXACT, rows_with("answer", 0)),
    "an empty list": (EXACT, rows_with("answer", [])),
    "python with get, in some rows": (in_python('item.get("unit", "")'), rows_with("unit", "m")),
    "python that asks first": (
        in_python('(item["unit"] if "unit" in item else "")'),
        rows_with("unit", "m"),
    ),
    "python for kinds of rows": (
        in_python('(item["unit"] if item["answer"] == "1" else "")'),
        rows_with("unit", "m"),
    ),
}


@pytest.mark.parametrize(("grader", "rows"), THERE.values(), ids=THERE)
def test_a_field_that_rows_have(tmp_path: Path, grader: Any, rows: Any) -> None:
    assert not fields(tmp_path, grader, rows)


def test_the_rows_without_a_field_are_counted_for_each_file(tmp_path: Path) -> None:
    rows = rows_without("answer")
    (finding,) = fields(tmp_path, EXACT, rows, validation=[{"messages": []}] * 7)
    assert finding.severity == "error"
    assert finding.rows == 20 + 7
    assert sorted(finding.numbers["missing"].values()) == [7, 20]
    assert "20 of 60 rows of" in finding.message
    assert "all 7 rows of" in finding.message
    assert {place.line for place in finding.where if place.file.endswith("train.jsonl")} == {
        1,
        4,
        7,
    }


def test_fields_that_the_same_rows_lack_are_one_finding(tmp_path: Path) -> None:
    grader = {**EXACT, "reference": "{{item.a}} {{item.b}} {{item.c.d}}"}
    (finding,) = fields(tmp_path, grader)
    assert finding.numbers["fields"] == ["item.a", "item.b", "item.c.d"]


@pytest.mark.parametrize(
    ("grader", "row", "meant"),
    [
        (reference("anwser"), {"answer": "1"}, "`item.answer`"),
        (reference("Answer"), {"answer": "1"}, "`item.answer`"),
        (reference("meta.anwser"), {"meta": {"answer": "1"}}, "`item.meta.answer`"),
        (reference("answer"), {"metadata": {"answer": "1"}}, "`item.metadata.answer`"),
        (in_python('item["anwser"]'), {"answer": "1"}, "`item.answer`"),
    ],
)
def test_the_field_that_was_meant_is_suggested(
    tmp_path: Path, grader: Any, row: Any, meant: str
) -> None:
    (finding,) = fields(tmp_path, grader, [{"messages": [], **row}])
    assert meant in finding.fix


def test_a_field_that_the_grader_does_not_read_yet_is_suggested_first(tmp_path: Path) -> None:
    grader = {**EXACT, "reference": "{{item.answer}} {{item.answrs}}"}
    (finding,) = fields(tmp_path, grader, [{**row, "answers": "1"} for row in SUMS])
    assert "`item.answers`" in finding.fix
    (finding,) = fields(tmp_path, grader)
    assert "`item.answer`" in finding.fix


def test_an_optional_field_beside_the_one_with_nearly_its_name_is_no_slip(tmp_path: Path) -> None:
    grader = in_python('(item.get("answers") or item["answer"])')
    (finding,) = fields(tmp_path, grader)
    assert finding.severity == "info"


def test_a_missing_field_is_a_root_where_no_row_can_be_graded(tmp_path: Path) -> None:
    for grader in (reference("solution"), in_python('item["solution"]')):
        assert fields(tmp_path, grader)[0].is_root
    for grader in (in_python('item.get("solution")'), in_python('item.get("anwser")')):
        assert not fields(tmp_path, grader)[0].is_root


def test_the_command_of_a_missing_field_can_be_copied(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", [{"messages": [], "note": "it's 5 o'clock"}])
    with Engine() as engine:
        report = engine.preflight(
            EXACT, train=train, grader_file="g.json", options=Options(select=CHECKS)
        )
    words = shlex.split(only(report, "missing-field").see)
    assert words[:4] == ["graders", "run", "--grader", "@g.json"]
    assert json.loads(words[words.index("--item") + 1]) == {
        "messages": [],
        "note": "it's 5 o'clock",
    }


def test_lines_that_are_no_rows_lack_no_field(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in SUMS[:5]) + '"text"\n{"answer": \n[1]\n'
    assert not fields(tmp_path, EXACT, lines)


@pytest.mark.parametrize(
    ("grader", "train", "why"),
    [
        (EXACT, None, "no --train"),
        ({**EXACT, "reference": "yes"}, SUMS, "names no field"),
        (EXACT, "\n", "no row can be read"),
    ],
)
def test_without_fields_or_rows_nothing_is_checked(
    tmp_path: Path, grader: Any, train: Any, why: str
) -> None:
    report = ask(tmp_path, grader, train, select=("missing-field",))
    assert why in report.not_checked["missing-field"]


EMPTY: dict[str, tuple[Any, Any, str]] = {
    "null": (EXACT, rows_with("answer", None), "warning"),
    "empty": (EXACT, rows_with("answer", ""), "warning"),
    "blanks": (EXACT, rows_with("answer", " \n"), "warning"),
    "in one row": (EXACT, rows_with("answer", None, 1000), "warning"),
    "in every row": (EXACT, rows_with("answer", None, 1), "warning"),
    "a similarity": (CLOSE, rows_with("answer", None), "warning"),
    "a python source that needs the answer": (
        in_python('item["answer"]'),
        rows_with("answer", None),
        "warning",
    ),
    "a python source that needs another field": (
        in_python('item["hint"]'),
        [{**row, "hint": ""} for row in SUMS],
        "info",
    ),
}


@pytest.mark.parametrize(("grader", "rows", "severity"), EMPTY.values(), ids=EMPTY)
def test_a_compared_field_without_a_value(
    tmp_path: Path, grader: Any, rows: Any, severity: str
) -> None:
    (finding,) = fields(tmp_path, grader, rows)
    assert (finding.id, finding.severity) == ("null-field", severity)


MAY_BE_EMPTY: dict[str, tuple[Any, Any]] = {
    "nothing compares with it": (
        judge("{{item.answer}} {{item.context}} {{sample.output_text}}"),
        [{**row, "context": ""} for row in SUMS],
    ),
    "it is not compared with the answer": (
        multi("exact * kind", kind={**reference("kind"), "input": "hard"}),
        [{**row, "kind": None} for row in SUMS],
    ),
    "the source may do without": (
        in_python('item.get("answer")'),
        rows_with("answer", None),
    ),
    "nothing reads it": (EXACT, rows_with("note", None)),
}


@pytest.mark.parametrize(("grader", "rows"), MAY_BE_EMPTY.values(), ids=MAY_BE_EMPTY)
def test_a_field_that_may_be_without_a_value(tmp_path: Path, grader: Any, rows: Any) -> None:
    assert not fields(tmp_path, grader, rows)


def test_the_numbers_of_null_and_of_empty_are_told_apart(tmp_path: Path) -> None:
    rows = [{**row, "answer": [None, "", "5"][number % 3]} for number, row in enumerate(SUMS)]
    (finding,) = fields(tmp_path, EXACT, rows)
    assert list(finding.numbers["null"].values()) == [20]
    assert list(finding.numbers["empty"].values()) == [20]
    assert "null in 20 and empty in 20 of 60 rows" in finding.message


def test_the_answer_that_the_user_named_counts_as_one_in_python(tmp_path: Path) -> None:
    rows = [{**row, "total": None} for row in SUMS]
    (finding,) = fields(tmp_path, in_python('item["total"]'), rows, reference_field="total")
    assert finding.severity == "warning"


def test_each_check_can_be_asked_alone(tmp_path: Path) -> None:
    for check in CHECKS:
        report = ask(tmp_path, python(HEAD + SAME), rows_with("answer", None), select=(check,))
        assert len(found(report, check)) == (check == "null-field")


def test_a_name_that_few_rows_have_is_to_be_changed_in_these_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [*SUMS]
    rows[3] = {"itme": rows[3]}
    rows[5] = {key: value for key, value in rows[5].items() if key != "answer"}
    (finding,) = fields(tmp_path, EXACT, rows)
    assert finding.fix == (
        f"{tmp_path / 'train.jsonl'}:4 has `item.itme.answer` for `item.answer`: name it there as in "
        "the other rows. Add the field to the others, or leave them out."
    )
    rows[5] = SUMS[5]
    (finding,) = fields(tmp_path, EXACT, rows)
    assert finding.fix.endswith("name it there as in the other rows.")


def test_arguments_in_the_wrong_order_are_the_cause_of_a_field_that_no_row_has(
    tmp_path: Path,
) -> None:
    source = "def grade(item, sample):\n    return float(item.get('answer') == sample.get('output_text'))\n"
    (finding,) = fields(tmp_path, python(source), SUMS)
    assert finding.severity == "warning"
    assert "`item.output_text` is missing in all 60 rows" in finding.message
    assert finding.fix == (
        "The arguments of `grade` are (sample, item). "
        "Write `def grade(sample, item):`, with the sample first."
    )
