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


SILENT = [
    ("key = 'n'\n    return float(item[key] == 3)", "3"),
    ("return float(all(item[key] == 3 for key in ('n', 'm')))", "3"),
    ("n = item['n']\n    return float(n == 3)", "3"),
    ("n, m = item['n'], 3\n    return float(n == m)", "3"),
    ("print(item['n'], f\"{item['n']}\")\n    return float(item['n'] == 3)", "3"),
    ("out = sample['output_text']\n    return float(bool(out and item['n']))", "False"),
    ("return float(item['n'] == 7)", "007"),
    ("return float(item['n'] in (3, 4))", "+3"),
    ("return float(int('3') == item['n'])", "many\nx,3"),
    ("return float(sample['output_json'] == item['n'])", "n/a\nx,3\nx,4"),
    ("return float(sample['output_json'] == item['n'])", "many" + "\nx,3" * 12),
]
MEANT_AS_TEXT = [
    "n = item['n']\n    return float(n in sample['output_text'])",
    "ref = item['n']\n    ref = float(ref)\n    return float(ref == 3)",
    "ref = item['n']\n    return float(bool(re.search(re.escape(ref), sample['output_text'])))",
    "return float(norm(item['n']) == norm(sample['output_text']))",
    "return float((item.get('n') or '').strip() == '3')",
    "return float(item.get('n', '') == sample['output_json'])",
    "return float(sample['output_text'].strip().split()[-1] == item['n'])",
    "out = sample.get('output_text') or ''\n    return float(out.strip() == item['n'])",
    "return float(first(sample['output_text']) == item['n'])",
    "return float(any(word == item['n'] for word in sample['output_text'].split()))",
    "return float(item['n'] in ('3', '4'))",
    "return float(item['n'] is not None and int(item['n']) == 3)",
    "return float(item['n'] == item['m'])",
    "row = {'n': item['n']}\n    return float(int(row['n']) == 3)",
]
AROUND = (
    "import re\n\ndef norm(text):\n    return text.lower()\n\ndef first(text):\n"
    "    found = re.search(r'\\d+', text)\n    return found.group() if found else ''\n\n"
    "def grade(sample, item):\n    {}\n"
)


@pytest.mark.parametrize(("code", "cells"), SILENT)
def test_a_field_that_no_text_equals_is_seen_through_names(
    code: str, cells: str, tmp_path: Path
) -> None:
    table = f"answer,n\nx,{cells}\n"
    assert len(notes(tmp_path, python(AROUND.format(code)), "rows.csv", table)) == 1


@pytest.mark.parametrize("code", MEANT_AS_TEXT)
def test_a_field_that_is_used_as_a_text_anywhere_has_no_note(code: str, tmp_path: Path) -> None:
    source = python(AROUND.format(code))
    assert notes(tmp_path, source, "rows.csv", "answer,n,m\n3,3,3\n") == []


def test_numbers_that_may_be_names_have_no_note(tmp_path: Path) -> None:
    source = python(AROUND.format("return float(sample['output_json'] == item['n'])"))
    assert notes(tmp_path, source, "rows.csv", "answer,n\nx,007\nx,008\n") == []


def test_a_long_sum_of_texts_is_read() -> None:
    parts = " + ".join(["item['n']", *["'x'"] * 900])
    assert inspect(f"def grade(sample, item):\n    return float({parts} == '3')\n").fault == ""


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
