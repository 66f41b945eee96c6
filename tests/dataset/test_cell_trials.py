"""Code that takes a cell of a CSV for something else than a text is found by trial, and no other code."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.rows.cells import trials
from graders_engine.dataset.rows.cells.trials import CellTrials
from graders_engine.dataset.rows.cells.values import may_be_value, other_of, value_of
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.scoring.score import score_file
from graders_engine.sandbox.base import GradeResult, Program, SandboxUnavailable
from graders_engine.sandbox.ondemand import OnDemand

AROUND = (
    "import json, math, random, re\n\ndef norm(text):\n    return text.lower()\n\ndef first(text):\n"
    "    found = re.search(r'\\d+', text)\n    return found.group() if found else ''\n\n"
    "def close(want, got):\n    return want == got or (not isinstance(want, str) and want - got == 0)\n\n"
    "def grade(sample, item):\n    out, given = sample['output_text'], sample['output_json']\n    {}\n"
)
COUNT = "return float(given == item['n'])"
CELLS = "n,answer\n68,68\n59,59\n7,8\n"


def python(code: str) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": AROUND.format(code)}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(sandbox="none") as engine:
        yield engine


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "LIMIT_S", 600.0)
    monkeypatch.setattr(trials, "START_S", 600.0)


def notes(
    engine: Engine, folder: Path, grader: dict[str, Any], text: str, name: str = "rows.csv"
) -> list[str]:
    (folder / name).write_text(text)
    data_set = open_data(folder / name, sample_field="answer")
    return list(CellTrials(engine.compile(grader), data_set).notes(engine))


SILENT = [
    (COUNT, "n,answer\n68,68\n59,59\n", "n"),
    (COUNT, "n,answer\n68,68\nmany,59\n", "n"),
    (COUNT, "n,answer\nn/a,5\n3,3\n4,4\n", "n"),
    (COUNT, "n,answer\nmany,5" + "\n3,3" * 12 + "\n", "n"),
    ("return float(item.get('n', '') == given)", "n,answer\n3,3\n", "n"),
    ("key = 'n'\n    return float(item[key] == 3)", "n,answer\n3,x\n", "n"),
    ("n, m = item['n'], 3\n    return float(n == m)", "n,answer\n3,x\n", "n"),
    ("return float(all(item[k] == 3 for k in ('n', 'm')))", "n,m,answer\n3,3,x\n", "n` is "),
    ("print(item['n'])\n    return float(item['n'] == 3)", "n,answer\n3,x\n", "n"),
    ("return float(item['n'] == 7)", "n,answer\n007,x\n", "n"),
    ("return float(item['n'] in (3, 4))", "n,answer\n+3,x\n", "n"),
    ("return float(int('3') == item['n'])", "n,answer\nmany,x\n3,x\n", "n"),
    ("return float(bool(item['is_right']))", "is_right,answer\nFalse,x\n", "is_right"),
    ("return float(bool(item['is_right']))", "is_right,answer\nTRUE,x\nFALSE,x\n", "is_right"),
    ("return float(bool(out and item['n']))", "n,answer\nfalse,x\n", "n"),
    ("return float(item['names'][0] == out)", "names,answer\n\"['ab', 'c']\",ab\n", "names"),
    (
        "return float(any(one == out for one in item['names']))",
        'names,answer\n"[""ab""]",ab\n',
        "names",
    ),
    ("return float(item['place'] == {})", "place,answer\n{},x\n{'city': 'x'},x\n", "place"),
    ("return float(close(item['n'], given))", "n,answer\n3,3\n4,5\n", "n"),
    ("return float(close([item['n']][0], given))", "n,answer\n3,3\n4,5\n", "n"),
    ("return float(given in [item['n'], -1])", "n,answer\n3,3\n", "n"),
    (
        "match item['n']:\n        case 3 | 4:\n            return 1.0\n    return 0.0",
        "n,answer\n3,x\n",
        "n",
    ),
    ("return float(item['n' + '_rows'] == given)", "n_rows,answer\n3,3\n", "n_rows"),
    ("return float(any(one == 3 for one in item.values()))", "id,n,answer\nq,3,x\n", "n"),
    ("return float(given > item['n'])", "n,answer\n3,4\n", "n"),
    (
        "try:\n        return float(abs(given - item['n']) < 1)\n    except TypeError:\n        return 0.0",
        "n,answer\n3,3\n",
        "n",
    ),
    ("return float(given != item['n'])", "n,answer\n3,3\n", "n"),
    ("return float(out == item['n'] or given == item['n'])", "n,answer\n3,3\n4,4.0\n", "n"),
]
MEANT_AS_TEXT = [
    "return float(out == item['n'])",
    "return float(given == float(item['n']))",
    "return float(given == 68)",
    "return float(item.get('n').strip() == '3')",
    "n = item['n']\n    return float(n in out)",
    "ref = item['n']\n    ref = float(ref)\n    return float(ref == 3)",
    "ref = item['n']\n    return float(bool(re.search(re.escape(ref), out)))",
    "return float(norm(item['n']) == norm(out))",
    "return float((item.get('n') or '').strip() == '3')",
    "return float(out.strip().split()[-1] == item['n'])",
    "return float(first(out) == item['n'])",
    "return float(any(word == item['n'] for word in out.split()))",
    "return float(item['n'] in ('3', '4'))",
    "return float(item['n'] is not None and int(item['n']) == 3)",
    "return float(item['n'] == item['m'])",
    "row = {'n': item['n']}\n    return float(int(row['n']) == 3)",
    "return float(json.loads(item['n']) == given)",
    "return float(out != item['n'])",
    "return 0.0 if item['n'] == '3' else 1.0",
    "return float(item['n'] not in out)",
    "try:\n        return float(item['n'].strip() == out)\n    except AttributeError:\n        return 0.5",
    "return float(isinstance(item['n'], str))",
    "return float({'3': 0.5}.get(item['n'], 0.1))",
    "return random.random()",
    "return float(out == 'x')",
]


CODES = [*(code for code, _, _ in SILENT), *MEANT_AS_TEXT]
ONE_OF_ALL = python("return globals()[item['case']](sample, item)")
for code in CODES:  # one source with all of them, for which a process is started once
    rest = AROUND.format(code).rpartition("def grade(")[2]
    ONE_OF_ALL["source"] += f"\ndef case_{CODES.index(code)}({rest}"


def notes_of_code(engine: Engine, folder: Path, code: str, table: str) -> list[str]:
    header, *rows = table.splitlines()
    named = [f"case_{CODES.index(code)},{row}" for row in rows]
    return notes(engine, folder, ONE_OF_ALL, "\n".join([f"case,{header}", *named]) + "\n")


@pytest.mark.parametrize(("code", "table", "field"), SILENT)
def test_code_that_sees_no_cell_but_would_see_the_value_has_a_note(
    code: str, table: str, field: str, engine: Engine, tmp_path: Path
) -> None:
    (note,) = notes_of_code(engine, tmp_path, code, table)
    assert note.startswith("cells of a CSV are text, but the python code takes some for something")
    assert f"`{field}" in note


@pytest.mark.parametrize("answer", ["3", "3 x", "no"])
def test_code_that_means_the_text_has_no_note_whatever_the_answers(
    answer: str, engine: Engine, tmp_path: Path
) -> None:
    found = {
        code: notes_of_code(engine, tmp_path, code, f"answer,n,m\n{answer},3,3\n")
        for code in MEANT_AS_TEXT
    }
    assert {code: note for code, note in found.items() if note} == {}


@pytest.mark.parametrize(
    ("code", "table"),
    [
        ("return float((item['n'] or '').strip() == out)", "n,answer\n[1],x\n"),
        ("return float(out == item['n'] or item['n'] == 4)", "n,answer\n3,3\n4,x\n"),
    ],
)
def test_one_row_that_needs_the_text_is_enough_for_no_note(
    code: str, table: str, engine: Engine, tmp_path: Path
) -> None:
    assert notes(engine, tmp_path, python(code), table) == []


def test_the_note_has_a_row_its_cell_and_both_rewards(engine: Engine, tmp_path: Path) -> None:
    (note,) = notes(engine, tmp_path, python(COUNT), CELLS)
    assert note == (
        "cells of a CSV are text, but the python code takes some for something else: on line 2 `n` is "
        '"68", and the reward is 0; with the number it would be 1 (so in 2 of 3 rows tried); convert it '
        "there (`float`, `json.loads`), or use JSONL"
    )


def test_what_is_wrong_only_together_names_all_of_it(engine: Engine, tmp_path: Path) -> None:
    both = python("return float(item['n'] == 3 and item['m'] == 4)")
    (note,) = notes(engine, tmp_path, both, "n,m,answer\n3,4,x\n")
    assert '`n` is "3" and `m` is "4", and the reward is 0; with the values that they look' in note


def test_a_part_of_a_multi_is_tried_and_no_judge_is_asked(engine: Engine, tmp_path: Path) -> None:
    judge = {
        "type": "score_model", "name": "j", "model": "m", "range": [0, 1],
        "input": [{"role": "user", "content": "{{item.n}}"}],
    }  # fmt: skip
    multi = {
        "type": "multi", "name": "m", "graders": {"code": python(COUNT), "judge": judge},
        "calculate_output": "code * judge",
    }  # fmt: skip
    (note,) = notes(engine, tmp_path, multi, CELLS)
    assert "but `graders.code.source` takes some" in note


def test_values_of_other_formats_and_names_with_zeros_have_no_note(
    engine: Engine, tmp_path: Path
) -> None:
    rows = "".join(json.dumps({"n": n, "answer": str(n)}) + "\n" for n in (68, 59))
    assert notes(engine, tmp_path, python(COUNT), rows, "rows.jsonl") == []
    assert notes(engine, tmp_path, python(COUNT), "answer,n\nx,007\nx,008\n") == []


class Counting:
    """A sandbox that counts what it is asked for."""

    isolation = "call"

    def __init__(self) -> None:
        self.calls, self._sandbox = 0, OnDemand("none")

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        self.calls += 1
        return await self._sandbox.grade(program, sample_json, item_json)

    async def close(self) -> None:
        await self._sandbox.close()


def test_trials_are_made_once_for_who_takes_notes_and_change_no_result(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CELLS)
    given: list[str] = []
    sandbox = Counting()

    def score(engine: Engine, name: str, **more: Any) -> int:
        before = sandbox.calls
        out = tmp_path / name
        tally = score_file(
            engine, python(COUNT), tmp_path / "rows.csv", out, sample_field="answer", **more
        )
        assert (tally.rows, tally.scored) == (3, 3)
        return sandbox.calls - before

    with Engine(sandbox=sandbox) as engine:
        assert score(engine, "silent.jsonl") == 3
        assert score(engine, "noted.jsonl", on_note=given.append) > 3
        assert len(given) == 1
        assert score(engine, "noted.jsonl", on_note=given.append) == 0
    results = [
        [{**json.loads(line), "seconds": 0} for line in (tmp_path / name).read_text().splitlines()]
        for name in ("silent.jsonl", "noted.jsonl")
    ]
    assert results[0] == results[1]


def test_where_rows_share_a_process_no_row_meets_what_a_trial_left(tmp_path: Path) -> None:
    counted = "seen = []\n" + AROUND.format(
        "seen.append(1)\n    print(len(seen))\n    return float(given == item['n'])"
    )
    (tmp_path / "rows.csv").write_text("n,answer\n3,3\n")
    given: list[str] = []
    with Engine(python_isolation="worker") as engine:
        score_file(
            engine, {**python(COUNT), "source": counted}, tmp_path / "rows.csv", tmp_path / "out.jsonl",
            sample_field="answer", on_note=given.append,
        )  # fmt: skip
    assert len(given) == 1


class Unavailable(Counting):
    """A sandbox that is not there."""

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        raise SandboxUnavailable("there is none here")


def test_without_a_sandbox_or_time_there_is_no_note(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(sandbox=Unavailable()) as without:
        assert notes(without, tmp_path, python(COUNT), CELLS) == []
    monkeypatch.setattr(trials, "LIMIT_S", 0.0)
    assert notes(engine, tmp_path, python(COUNT), CELLS) == []
    monkeypatch.setattr(trials, "START_S", 0.0)
    assert notes(engine, tmp_path, python(COUNT), CELLS) == []


def test_rows_that_can_be_read_once_are_tried_and_graded_all(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(CELLS.encode())))
    monkeypatch.setattr("sys.stdin", stdin)
    given: list[str] = []
    tally = score_file(
        engine, python(COUNT), "-", tmp_path / "out.jsonl", form="csv", sample_field="answer",
        on_note=given.append,
    )  # fmt: skip
    assert 'in one of the first rows `n` is "68"' in "".join(given)
    assert tally.rows == 3


def test_score_prints_it_and_validate_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CELLS)
    given = [
        json.dumps(python(COUNT)),
        "--data",
        f"{tmp_path}/rows.csv",
        "--sample-field",
        "answer",
    ]
    scored = CliRunner().invoke(graders, ["score", *given, "--out", f"{tmp_path}/out.jsonl"])
    assert "note: cells of a CSV are text" in " ".join(scored.stderr.split())
    validated = CliRunner().invoke(graders, ["validate", *given])
    assert (validated.exit_code, "note:" in validated.stderr) == (0, False)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3", 3), ("007", 7), ("+3", 3), ("-1.50", -1.5), (".5", 0.5), ("1e3", 1000.0), (" 3 ", 3),
        ("True", True), ("FALSE", False), ("true", True), ("[1, 2]", [1, 2]), ("['a', None]", ["a", None]),
        ("{'a': True}", {"a": True}), ('{"a": true}', {"a": True}), ("[]", []),
        ("", None), ("null", None), ("nan", None), ("1e999", None), ("1_000", None), ("1,000", None),
        ("three", None), ("[a]", None), ("{1, 2}", None), ("[1", None), ('"3"', None), ("٣", None),
        ("9" * 5000, None), ("[" * 1500 + "]" * 1500, None), ("[1, ...]", None), (3, None),
    ],
)  # fmt: skip
def test_what_a_cell_looks_like(cell: Any, value: Any) -> None:
    found = value_of(cell)
    assert (type(found), found) == (type(value), value)
    if value is not None:
        assert may_be_value(cell)
        text, other = other_of(cell, value)
        assert type(other) is type(value) or isinstance(other, (int, float))
        assert other != value
        assert value_of(text) == other
