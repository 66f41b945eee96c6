"""Names in an import of hosted evals: of any script, of any length, and told where they are replaced."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.hosted.names import file_name, formula_key
from graders_engine.graders.parse import parse
from graders_engine.report.width import columns_of
from tests.dataset.test_evals_dashboard import MATCH, cells, line
from tests.dataset.test_evals_export import graders, lines, rows, write

LONG = "Contains the right answer and nothing but the right answer, in English"
SCRIPTS = ["正しい答え", "सही उत्तर", "الإجابة الصحيحة", "réponse exacte", "Ответ"]


@pytest.mark.parametrize(
    ("name", "key", "file"),
    [
        ("News / topics", "News_topics", "News-topics"),
        ("v1.2-rc (3)", "v1_2_rc_3", "v1.2-rc-3"),
        ("min", "criterion_min", "min"),
        ("1st score", "criterion_1st_score", "1st-score"),
        ("正しい答え!", "正しい答え", "正しい答え"),
        ("सही उत्तर", "सही_उत्तर", "सही-उत्तर"),
        ("٣ أ", "criterion_٣_أ", "٣-أ"),
        (unicodedata.normalize("NFD", "réponse"), "réponse", "réponse"),
        ("नम\u200dस्ते", "नमस्ते", "नमस्ते"),
        ("\U0001f389", "criterion_3", "an-id"),
        ("\ud800", "criterion_3", "an-id"),
        ("答" * 80, "答" * 60, "答" * 60),
        ("𠀀" * 80, "𠀀" * 45, "𠀀" * 45),
    ],
)
def test_files_and_formulas_keep_the_words_of_a_name(name: str, key: str, file: str) -> None:
    assert formula_key(name, 3, set()) == key
    assert file_name(name, "an id", set()) == file
    multi = {"type": "multi", "graders": {key: MATCH}, "calculate_output": f"2 * {key}"}
    parse(multi)


def imported(folder: Path, *arguments: str, columns: str = "") -> str:
    done = graders(
        "import", "evals", str(folder / "items.jsonl"), "--out", str(folder / "evals"), *arguments,
        COLUMNS=columns, LINES="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def given(*names: str) -> list[str]:
    return [word for name in names for word in ("--grader", json.dumps({**MATCH, "name": name}))]


def test_scores_of_any_script_are_compared_with_the_graders_of_their_names(tmp_path: Path) -> None:
    grades: dict[str, Any] = dict.fromkeys(SCRIPTS, 1.0)
    write(tmp_path / "items.jsonl", lines([line(0, "4", grades)]))
    report = imported(tmp_path, "--check", *given(*SCRIPTS))
    keys = ["正しい答え", "सही_उत्तर", "الإجابة_الصحيحة", "réponse_exacte", "Ответ"]
    assert [row[1:] for row in cells(report)] == [
        [key, "1.0000", "1.0000", "1", "1"] for key in keys
    ]
    assert "## Names" not in report
    (row,) = rows(tmp_path / "evals" / "evalrun_7" / "evalrun_7.rows.jsonl")
    assert list(row["hosted"]) == keys
    multi = tmp_path / "evals" / "evalrun_7" / "graders.json"
    assert list(json.loads(multi.read_text(encoding="utf-8"))["graders"]) == keys


def test_names_that_are_replaced_are_listed(tmp_path: Path) -> None:
    write(
        tmp_path / "items.jsonl",
        lines([line(0, "4", {"\U0001f389": 1.0, "min": 1.0, "Match": 1.0})]),
    )
    report = imported(tmp_path, *given("\U0001f389", "min", "Match"))
    listed = report.partition("## Names\n\n")[2].partition("\n\n")[0]
    assert listed.splitlines() == [
        "- `criterion_1` (evalrun_7/grader-criterion_1.json): \U0001f389",
        "- `criterion_min` (evalrun_7/grader-criterion_min.json): min",
    ]
    assert listed in (tmp_path / "evals" / "IMPORT.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [70, 80, 120])
def test_the_table_fits_into_a_terminal_and_the_file_has_the_names(
    columns: int, tmp_path: Path
) -> None:
    names = {LONG: 1.0, f"{LONG} or French": 1.0, "正しい答え": 1.0}
    runs = ["the first run, which has a name that is very long", "the first run, shorter"]
    write(tmp_path / "items.jsonl", lines([line(0, "4", names, run) for run in runs]))
    report = imported(tmp_path, "--check", *given(*names), columns=str(columns))
    table = [row for row in report.splitlines() if row[:1] == "|"]
    assert len(table) == 2 + 6
    assert len({columns_of(row) for row in table}) == 1
    assert columns_of(table[0]) <= columns
    assert len({tuple(row[:2]) for row in cells(report)}) == 6
    assert {row[2] for row in cells(report)} == {"1.0000"}
    whole = (tmp_path / "evals" / "IMPORT.md").read_text(encoding="utf-8")
    assert {row[1][:30] for row in cells(whole)} >= {"Contains_the_right_answer_and_", "正しい答え"}


def test_a_grader_without_a_name_is_told_so(tmp_path: Path) -> None:
    write(tmp_path / "items.jsonl", lines([line(0, "4", {"One": 1.0, "Two": 1.0})]))
    nameless = {key: value for key, value in MATCH.items() if key != "name"}
    report = imported(tmp_path, "--grader", json.dumps(nameless))
    assert "this grader has no name, so it belongs to no hosted score." in report
    assert report.count("no grader given has the name of") == 1
