"""What in the rows gives rewards that look right is said once, and only where it is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli.main import graders
from graders_engine.graders.python_source import inspect

LIKE: dict[str, Any] = {
    "type": "string_check", "name": "named", "operation": "ilike", "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}  # fmt: skip
LABELS = "q,label,answer\nA,cat,a cat\nB,,banana\nC,dog,a cow\n"
COUNT = 'def grade(sample, item):\n    return float(sample["output_json"]["n"] == item["n"])\n'
CELLS = 'n,answer\n68,"{""n"": 68}"\n59,"{""n"": 59}"\n'


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": source}


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


def test_cells_that_python_reads_as_numbers_are_said_to_be_text(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, python(COUNT), "rows.csv", CELLS)
    assert note.startswith('cells of a CSV are text: the python code reads `n` as "68"')
    rows = "".join(json.dumps({"n": n, "answer": json.dumps({"n": n})}) + "\n" for n in (68, 59))
    assert notes(tmp_path, python(COUNT), "rows.jsonl", rows) == []


@pytest.mark.parametrize(
    ("code", "cell"),
    [
        ('float(bool(item["is_right"]))', "False"),
        ('float(bool(item["is_right"]))', "TRUE"),
        ('float(sample["output_text"] in item["names"])', "\"['ab', 'c']\""),
        ('float(sample["output_text"] in item["names"])', '"[""ab""]"'),
        ('float(item["place"] == {})', "\"{'city': 'x'}\""),
    ],
)
def test_cells_that_were_a_truth_value_or_a_list_are_said_to_be_text(
    tmp_path: Path, code: str, cell: str
) -> None:
    field = re.findall(r'item\["(\w+)"\]', code)[0]
    source = f"def grade(sample, item):\n    return {code}\n"
    (note,) = notes(tmp_path, python(source), "rows.csv", f"answer,{field}\nx,{cell}\n")
    assert f"`{field}`" in note


@pytest.mark.parametrize(
    ("code", "cells"),
    [
        ('float(sample["output_json"]["n"] == float(item["n"]))', CELLS),
        ('float(sample["output_text"] == item["n"])', CELLS),
        ('float(item.get("n").strip() == "68")', CELLS),
        ('float(sample["output_json"]["n"] == item["n"])', CELLS.replace("59,", "many,")),
        ('float(sample["output_json"]["n"] == 68)', CELLS),
    ],
)
def test_code_that_takes_texts_and_cells_that_are_words_have_no_note(
    code: str, cells: str, tmp_path: Path
) -> None:
    source = f"def grade(sample, item):\n    return {code}\n"
    assert notes(tmp_path, python(source), "rows.csv", cells) == []


def test_fields_of_the_item_are_found_by_the_name_that_the_code_gives_it() -> None:
    source = (
        "def grade(out, row):\n    it = row\n    if 'b' in row: pass\n"
        "    return it['a'] + float(row['c']) + out['d'] + row.get('e', 0) + row['f'][0]\n"
    )
    fields = tuple(inspect(source).item_fields)
    assert sorted(fields) == ["a", "e", "f"]
    assert inspect(source + "#" * 200_000).item_fields == fields
