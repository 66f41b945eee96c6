"""What in the rows gives rewards that look right is said once, and only where it is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli.main import graders
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.join import join_records
from graders_engine.dataset.rows.misleading import repeated_keys

LIKE: dict[str, Any] = {
    "type": "string_check", "name": "named", "operation": "ilike", "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}  # fmt: skip
LABELS = "q,label,answer\nA,cat,a cat\nB,,banana\nC,dog,a cow\n"


def notes(folder: Path, grader: dict[str, Any], name: str, text: str) -> list[str]:
    """The notes of `score`, after those of `validate --data` were found to be as many."""
    (folder / name).write_text(text)
    given = [json.dumps(grader), "--data", str(folder / name), "--sample-field", "answer"]
    out = ["--out", str(folder / "out.jsonl"), "--overwrite"]
    found = []
    for command in (["validate", *given], ["score", *given, *out]):
        ended = CliRunner().invoke(graders, command)
        assert ended.exit_code == 0, ended.output
        lines = " ".join(ended.stderr.split()).split("note: ")[1:]
        found.append(lines)
    validated, scored = found
    assert len(validated) == len(scored)
    return scored


def test_an_empty_reference_that_any_text_contains_is_said_once_with_its_rows(
    tmp_path: Path,
) -> None:
    (note,) = notes(tmp_path, LIKE, "rows.csv", LABELS)
    assert note.startswith("`reference` is empty in 1 of the first 3 rows: `ilike` finds an empty")
    multi = {
        "type": "multi", "name": "m", "graders": {"a": LIKE, "b": {**LIKE, "operation": "eq"}},
        "calculate_output": "a + b",
    }  # fmt: skip
    (note,) = notes(tmp_path, multi, "rows.csv", LABELS)
    assert note.startswith("`graders.a.reference` is empty in 1 of")


@pytest.mark.parametrize(
    ("grader", "rows"),
    [
        ({**LIKE, "operation": "eq"}, LABELS),
        ({**LIKE, "reference": "a {{item.label}}"}, LABELS),
        ({**LIKE, "input": "{{item.label}}", "reference": "{{sample.output_text}}"}, LABELS),
        (LIKE, LABELS.replace("B,,", "B,banana,")),
    ],
)
def test_a_reference_that_is_not_empty_or_not_looked_for_has_no_note(
    grader: dict[str, Any], rows: str, tmp_path: Path
) -> None:
    assert notes(tmp_path, grader, "rows.csv", rows) == []


def test_a_reference_of_blanks_alone_is_said_and_its_reward_stays(tmp_path: Path) -> None:
    rows = 'q,label,answer\nA,cat,a cat\nB,"  ",no  cat\nC,dog,a cow\n'
    (note,) = notes(tmp_path, LIKE, "rows.csv", rows)
    assert note.startswith("`reference` is blanks alone in 1 of the first 3 rows: `ilike` trims")
    results = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [result["reward"] for result in results] == [1.0, 1.0, 0.0]


TWICE = '{"label": "a", "answer": "a", "label": "b"}'
ONCE = '{"label": "a", "answer": "a"}'
DEEP = '{"label": "a", "answer": "a", "more": [{"x": {"y": 1, "z": {}, "y": 2}}]}'


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.jsonl", f"{ONCE}\n\n{TWICE}\n", "`label` on line 3"),
        ("rows.jsonl", f"{ONCE}\n{DEEP}\n", "`more[0].x.y` on line 2"),
        ("rows.json", f"[{ONCE}, {TWICE}]", "`label` on line 2"),
    ],
)
def test_a_row_that_names_a_key_twice_is_said_with_the_key(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (note,) = notes(tmp_path, {**LIKE, "operation": "eq"}, name, text)
    assert re.match(r"1 row of .* names a key twice in one object", note)
    assert said in note


def test_rows_that_name_no_key_twice_have_no_note(tmp_path: Path) -> None:
    rows = f'{ONCE}\n{{"answer": "a", "label": {json.dumps(TWICE)}}}\nnot JSON\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    assert list(repeated_keys(open_records(tmp_path / "rows.jsonl"))) == []


def test_outputs_that_name_a_key_twice_are_said_beside_the_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{TWICE}\n{ONCE}\n")
    (tmp_path / "out.jsonl").write_text('{"text": "a"}\n{"text": "a", "text": "b"}\n')
    rows, outputs = (open_records(tmp_path / name) for name in ("rows.jsonl", "out.jsonl"))
    first, second = repeated_keys(join_records(rows, outputs, field="text"))
    assert "`label` on line 1" in first
    assert "out.jsonl names a key twice in one object, such as `text` on line 2" in second


def test_before_a_run_the_first_rows_are_looked_at_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{ONCE}\n{TWICE}\n{TWICE}\n")
    records = open_records(tmp_path / "rows.jsonl")
    (note,) = repeated_keys(records, 2, 1 << 20)
    assert note.startswith("1 row of ")
    assert list(repeated_keys(records, 2, 1)) == []


CODE = "def grade(sample, item):\n    return float({} == sample['output_text'])\n"


@pytest.mark.parametrize(
    "read",
    ['item.get("anwser")', 'item.get("Answer")', 'item["anwser"] if "anwser" in item else ""'],
)
def test_a_field_that_code_reads_by_nearly_the_name_of_one_is_said(
    tmp_path: Path, read: str
) -> None:
    grader = {"type": "python", "name": "p", "source": CODE.format(read)}
    rows = '{"q": "a", "answer": "1"}\n{"q": "b", "answer": "2"}\n'
    [note] = notes(tmp_path, grader, "rows.jsonl", rows)
    assert re.search(
        r"`(anwser|Answer)` of the item, which is not in any of the first 2 rows: did you mean `answer`\?",
        note,
    )


@pytest.mark.parametrize(
    "read", ['item.get("tolerance", "1")', 'item.get("answers", item["answer"])']
)
def test_a_field_that_rows_may_lack_has_no_note(tmp_path: Path, read: str) -> None:
    grader = {"type": "python", "name": "p", "source": CODE.format(read)}
    assert notes(tmp_path, grader, "rows.jsonl", '{"q": "a", "answer": "1"}\n') == []
