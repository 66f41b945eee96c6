"""The file that the evals dashboard downloads is an export, too: with scores, and without graders."""

from __future__ import annotations

import json
import re
import shlex
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.hosted.conversion import import_evals
from graders_engine.evals.hosted.dashboard import GivenGrader
from tests.dataset.evals_service import CRITERIA, EVALS, ITEMS, RUNS, UUID, eval_
from tests.dataset.test_evals_export import graders, lines, rows, write, written

MATCH = {
    "type": "string_check", "name": "Match", "operation": "eq", "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}  # fmt: skip
LENGTH = {
    "type": "python", "name": "length",
    "source": "def grade(sample, item):\n    return len(sample['output_text']) / 10",
}  # fmt: skip
JUDGE = {
    "type": "score_model",
    "name": "Judge",
    "model": "m",
    "input": [{"role": "user", "content": "x"}],
}
MULTI = {
    "type": "multi", "name": "both", "calculate_output": "exact_match + long",
    "graders": {"exact_match": {**MATCH, "name": "other"}, "long": LENGTH},
}  # fmt: skip


def line(
    number: int, text: str | None, grades: Any, run: str = "evalrun_7", **more: Any
) -> dict[str, Any]:
    """A line of the file; `text` None for a run over stored data, which samples nothing."""
    outputs = {"outputs": [{"role": "assistant", "content": text}]}
    sample = {
        "trajectory": [{"role": "user", "content": "asked"}], **outputs, "finish_reason": "stop",
        "sampled_model_name": "m", "sampled_model_params": {"seed": 42, "api_specific_params": {}},
        "token_usage": {"total_tokens": 3, "completion_tokens": 1, "prompt_tokens": 2, "cached_tokens": 0},
    }  # fmt: skip
    return {
        "run_id": run, "data_source_idx": number, "item": {"answer": "4"},
        **({} if text is None else {"sample": sample}),
        "grades": grades, "grader_samples": {}, "passes": dict.fromkeys(grades, True), **more,
    }  # fmt: skip


ERROR = {
    **line(9, "", {}),
    "sample": {
        "trajectory": [], "outputs": [{"role": "assistant", "content": ""}], "finish_reason": "stop",
        "error": {"message": "Response input item missing role", "type": "invalid_request_error"},
    },
}  # fmt: skip
THREE = [line(2, "4", {"Match": 1.0}), line(0, "5", {"Match": 0.0}), line(1, "4!", {"Match": 1.0})]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "match.json", json.dumps(MATCH))
    write(tmp_path / "judge.json", json.dumps(JUDGE))
    write(tmp_path / "multi.json", json.dumps(MULTI))
    return tmp_path


def imported(folder: Path, *arguments: str) -> str:
    """What the command prints about the file `items.jsonl`, imported to `evals`."""
    paths = [str(folder / name) if (folder / name).is_file() else name for name in arguments]
    done = graders(
        "import", "evals", str(folder / "items.jsonl"), "--out", str(folder / "evals"), *paths
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition("\nThe full report")[0].strip() in (
        (folder / "evals" / "IMPORT.md").read_text(encoding="utf-8")
    )
    return done.stdout


def cells(report: str) -> list[list[str]]:
    """The rows of the table of means."""
    found = [re.split(r" *\| *", row.strip("| ")) for row in report.splitlines() if row[:2] == "| "]
    return found[1:]


def test_the_hosted_scores_are_held_beside_ours(folder: Path) -> None:
    write(folder / "items.jsonl", lines([*THREE, ERROR]))
    report = imported(folder, "--check", "--grader", "match.json")
    assert "1 eval: 1 grader, 1 run with 3 rows" in report
    assert cells(report) == [["evalrun_7.rows.jsonl", "Match", "0.6667", "0.3333", "3", "2"]]
    assert "Match: 2 of 3 equal; the first that differs is 1: 0 here, 1 hosted" in report
    assert (
        "1 output item left out: The hosted run has no output here, but an error: Response"
        in report
    )
    first, *_ = rows(folder / "evals" / "evalrun_7" / "evalrun_7.rows.jsonl")
    assert (first["id"], first["item"], first["hosted"]) == ("2", {"answer": "4"}, {"Match": 1.0})
    assert first["sample"]["choices"][0]["message"]["content"] == "4"


def test_the_command_that_is_printed_scores_the_rows(folder: Path) -> None:
    write(folder / "items.jsonl", lines(THREE))
    report = imported(folder, "--grader", "match.json")
    (command,) = re.findall(r"^    graders (.*)$", report, re.MULTILINE)
    scored = graders(*shlex.split(command))
    assert "mean reward  0.3333  over 3 rows" in scored.stdout, scored.stderr


def test_without_a_grader_nothing_is_compared_and_the_report_says_so(folder: Path) -> None:
    write(folder / "items.jsonl", lines(THREE))
    report = imported(folder, "--check")
    assert "Nothing was compared: the dashboard's export has no graders: pass --grader" in report
    assert cells(report) == [["evalrun_7.rows.jsonl", "Match", "0.6667", "-", "0", "-"]]
    assert "evalrun_7: the dashboard's export has no graders: pass --grader FILE" in report
    assert "Score them here" not in report


@pytest.mark.parametrize(
    ("score", "given"),
    [
        ("Match", ["match.json"]),
        (f"Match-{UUID}", ["match.json"]),
        (f"Match-{UUID}", ["match.json", "judge.json"]),
        ("another name", ["match.json"]),
        ("exact_match", ["multi.json"]),
        (f"Exact match-{UUID}", ["multi.json", "judge.json"]),
        ("other", ["judge.json", "multi.json"]),
    ],
)
def test_a_grader_belongs_to_the_score_of_its_name(
    score: str, given: list[str], folder: Path
) -> None:
    write(folder / "items.jsonl", lines([line(0, "4", {score: 1.0}), line(1, "5", {score: 0.0})]))
    report = imported(folder, "--check", *(word for name in given for word in ("--grader", name)))
    ((_, _, hosted, ours, compared, equal),) = cells(report)
    assert (hosted, ours, compared, equal) == ("0.5000", "0.5000", "2", "2")


def test_the_parts_of_a_multi_are_compared_with_their_scores(folder: Path) -> None:
    write(
        folder / "items.jsonl",
        lines([line(0, "4", {"exact_match": 1.0, "length": 0.1, "Judge": 0.5})]),
    )
    report = imported(folder, "--check", "--grader", "multi.json", "--grader", "judge.json")
    assert [row[1:] for row in cells(report)] == [
        ["exact_match", "1.0000", "1.0000", "1", "1"],
        ["length", "0.1000", "0.1000", "1", "1"],
        ["Judge", "0.5000", "-", "0", "-"],
    ]
    assert (
        "Judge: not compared, because judges are not asked; the rows keep its 1 hosted score"
        in report
    )


def test_graders_and_scores_that_do_not_fit_are_named(folder: Path) -> None:
    write(folder / "items.jsonl", lines([line(0, "4", {"One": 1.0, "Two": 1.0})]))
    report = imported(folder, "--check", "--grader", "match.json")
    for words in (
        "match.json: this grader has the name of no hosted score (its own: 'Match').",
        "no grader given has the name of the hosted scores 'One', 'Two': set the `name` of each",
        "Nothing was compared: the dashboard's export has no graders: pass --grader FILE, with",
    ):
        assert words in report
    twins = [{**MATCH, "name": "One"}, {**MATCH, "name": "one", "id": "One"}]
    given = (word for twin in twins for word in ("--grader", json.dumps(twin)))
    assert "2 of the graders given have the name 'One'." in imported(folder, *given)


@pytest.mark.parametrize(
    ("grader", "words"),
    [("missing.json", "there is no such file"), ('{"type": "string_check"}', "Missing required parameter")],
)  # fmt: skip
def test_a_grader_that_cannot_be_used_is_refused(grader: str, words: str, folder: Path) -> None:
    write(folder / "items.jsonl", lines(THREE))
    done = graders(
        "import", "evals", str(folder / "items.jsonl"), "--out", str(folder / "evals"), "--grader", grader
    )  # fmt: skip
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert not (folder / "evals").exists()


def downloaded(item: dict[str, Any]) -> dict[str, Any]:
    """An output item of the API as the dashboard downloads it."""
    sample = item["sample"]
    return {
        "run_id": item["run_id"], "data_source_idx": item["datasource_item_id"],
        "item": item["datasource_item"],
        "sample": {
            "trajectory": sample["input"], "outputs": sample["output"], "finish_reason": "stop",
            **({"error": sample["error"]} if sample["error"] else {}),
        },
        "grades": {result["name"]: result["score"] for result in item["results"]},
        "grader_samples": {}, "passes": {},
    }  # fmt: skip


def test_lines_of_a_run_in_the_export_are_like_its_output_items(tmp_path: Path) -> None:
    api, both, dashboard = (tmp_path / name for name in ("api", "both", "dashboard"))
    import_evals([write(tmp_path / "api.jsonl", lines([*EVALS, *RUNS, *ITEMS]))], api)
    objects = write(tmp_path / "objects.jsonl", lines([*EVALS, *RUNS]))
    items = write(tmp_path / "items.jsonl", lines(map(downloaded, ITEMS)))  # type: ignore[arg-type] # any iterable
    import_evals([items, objects], dashboard)
    import_evals([tmp_path / "api.jsonl", items], both)
    assert written(both) == written(api)
    for name, content in written(api).items():
        if name.endswith(".rows.jsonl"):
            content = [{**row, "id": row["id"].removeprefix("outputitem_")} for row in content]
        assert written(dashboard)[name] == content


def test_a_run_without_its_object_belongs_to_the_one_eval_with_the_names_of_its_scores(
    tmp_path: Path,
) -> None:
    items = [{**downloaded(item), "run_id": "evalrun_55"} for item in ITEMS[:3]]
    export = write(tmp_path / "export.jsonl", lines([*items, *EVALS]))
    made = import_evals([export], tmp_path / "evals")
    (run,) = (run for one in made.evals for run in one.runs)
    assert run.path.parent.name == "News-topics"
    assert any("evalrun_55: taken for a run of News / topics" in said for said in made.left_out)
    twin = eval_("eval_4", "Twin", CRITERIA)
    again = import_evals(
        [write(tmp_path / "two.jsonl", lines([*items, *EVALS, twin]))], tmp_path / "two"
    )
    (run,) = (run for one in again.evals for run in one.runs)
    assert run.path.parent.name == "evalrun_55"
    assert any(
        "2 evals have criteria of the names of its scores" in said for said in again.left_out
    )


@pytest.mark.parametrize(
    "form", ["array", "indented", "one line", "packed in an object", "byte order mark"]
)
def test_the_lines_may_be_in_any_json(form: str, folder: Path) -> None:
    content = {
        "array": json.dumps(THREE),
        "indented": json.dumps(THREE, indent=2),
        "one line": json.dumps(THREE[0], indent=1),
        "packed in an object": json.dumps({"items": THREE}, indent=1),
        "byte order mark": "\ufeff" + lines(THREE),
    }[form]
    made = import_evals([write(folder / "items.json", content)], folder / "evals")
    assert made.evals[0].runs[0].rows == (1 if form == "one line" else 3)


def test_runs_in_turns_go_to_files_of_their_own(folder: Path) -> None:
    items = [line(n, str(n), {"Match": 1.0}, run=f"evalrun_{n % 3}") for n in range(9)]
    write(folder / "items.jsonl", lines(items))
    given = GivenGrader("match.json", MATCH)
    made = import_evals([folder / "items.jsonl"], folder / "evals", [given])
    assert [[row["id"] for row in rows(run.path)] for one in made.evals for run in one.runs] == [
        ["0", "3", "6"], ["1", "4", "7"], ["2", "5", "8"],
    ]  # fmt: skip
    assert [len(one.criteria) for one in made.evals] == [1, 1, 1]


LONG = "n" * 1_000
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, float], str]] = {
    "text": (line(0, "4", {"Match": "1.0"}), {}, "with a hosted score that is no number"),
    "a truth value": (line(0, "4", {"Match": True}), {}, "with a hosted score that is no number"),
    "a list": (line(0, "4", {"Match": [1]}), {}, "with a hosted score that is no number"),
    "an integer beyond a double": (line(0, "4", {"Match": 10**400}), {}, "that is no number"),
    "null": (line(0, "4", {"Match": None}), {}, ""),
    "an integer": (line(0, "4", {"Match": 6}), {"Match": 6.0}, ""),
    "below zero": (line(0, "4", {"Match": -0.5}), {"Match": -0.5}, ""),
    "no scores": (line(0, "4", {}), {}, ""),
    "scores that are no object": ({**line(0, "4", {}), "grades": [1.0]}, {}, ""),
    "a name of 1,000 characters": (line(0, "4", {LONG: 1.0}), {LONG: 1.0}, ""),
    "an empty name": (line(0, "4", {"": 1.0}), {"": 1.0}, ""),
    "a name of another script": (line(0, "4", {"सही": 1.0}), {"सही": 1.0}, ""),
    "a name with a line break": (line(0, "4", {"a\n| b": 1.0}), {"a\n| b": 1.0}, ""),
    "two of one name": (
        line(0, "4", {f"Match-{UUID}": 1.0, f"Match-{UUID[::-1][:8]}{UUID[8:]}": 0.0}),
        {"Match": 1.0, "Match_2": 0.0},
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_scores_are_kept_or_counted(name: str, folder: Path) -> None:
    item, hosted, note = HOSTILE[name]
    write(folder / "items.jsonl", lines([item]))
    report = imported(folder, "--check")
    (row,) = rows(folder / "evals" / "evalrun_7" / "evalrun_7.rows.jsonl")
    assert row["hosted"] == hosted
    assert note in report
    assert max(map(len, report.splitlines())) < 400


BROKEN = {
    "NaN as a score": (json.dumps(line(0, "4", {"Match": float("nan")})), "is not JSON"),
    "NaN over lines": (json.dumps(line(0, "4", {"Match": float("nan")}), indent=1), "is not JSON"),
    "no run": (json.dumps({**line(0, "4", {}), "run_id": None}), "not one of the dashboard's export"),
    "no item": (json.dumps({**line(0, "4", {}), "item": "text"}), "not one of the dashboard's export"),
    "cut off": (json.dumps(line(0, "4", {}))[:-20], "is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_lines_that_cannot_be_read_are_named(name: str, folder: Path) -> None:
    broken, words = BROKEN[name]
    write(folder / "whole.jsonl", lines(THREE))
    file = write(folder / "broken.jsonl", broken)
    made = import_evals([folder / "whole.jsonl", file], folder / "evals")
    assert any(f"{file}, line 1" in said and words in said for said in made.left_out)
    assert made.evals[0].runs[0].rows == 3


def test_the_same_line_twice_is_counted_once_and_other_outputs_of_an_item_are_kept(
    folder: Path,
) -> None:
    write(folder / "a.jsonl", lines(THREE))
    write(folder / "b.jsonl", lines([THREE[0], line(2, "another", {"Match": 0.0})]))
    made = import_evals([folder / "a.jsonl", folder / "b.jsonl"], folder / "evals")
    (run,) = made.evals[0].runs
    assert [row["id"] for row in rows(run.path)] == ["2", "0", "1", "2-2"]
    assert "evalrun_7: 1 output item repeated in the export." in made.left_out


def test_a_run_over_stored_data_has_items_and_scores_and_no_sample(folder: Path) -> None:
    item_only = {**MATCH, "input": "{{item.answer}}", "reference": "4"}
    write(folder / "items.jsonl", lines([line(10, None, {"Relevance": 1.0})]))
    report = imported(folder, "--check", "--grader", json.dumps(item_only))
    assert "Relevance: 1 of 1 equal" in report
    assert "without an output: only graders of the item can work" in report


def test_many_rows_take_little_memory(tmp_path: Path) -> None:
    path, padding = tmp_path / "items.jsonl", "x" * 8_000
    with path.open("w", encoding="utf-8") as file:
        for number in range(2_500):
            file.write(json.dumps(line(number, padding, {"Match": 1.0})) + "\n")
    tracemalloc.start()
    made = import_evals([path], tmp_path / "evals")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.evals[0].runs[0].rows == 2_500
    assert peak < path.stat().st_size / 3
