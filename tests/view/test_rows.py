"""The data of the page: rows, one row, texts, the selection as a file; figures are those of the report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.scoring.score import score_file
from graders_engine.view.overview_sections import EQUAL_ITEMS
from graders_engine.view.row import READ_ONLY
from tests.view.asking import Page
from tests.view.conftest import INVOICE

RUN = "runs/sub%2Frun.jsonl"
ESTIMATE = {"value", "low", "high", "rows", "groups"}
SUMMARY = {"rows", "mean", "statuses", "blames", "histogram", "sub_rewards"}
ROW = {
    "row",
    "id",
    "status",
    "blame",
    "reward",
    "sub_rewards",
    "flags",
    "seconds",
    "length",
    "excerpt",
}
DETAIL = {
    "row", "line", "sample_number", "id", "group", "status", "blame", "reward", "served", "seconds", "flags",
    "sub_rewards", "previous", "next", "position", "of", "siblings", "parts", "formula", "graded", "differs",
    "again", "why_recorded", "read_only", "item", "sample", "judges", "data_problem",
}  # fmt: skip
"""The keys that the page's modules read."""


def report_of(results: Path) -> dict[str, Any]:
    ended = CliRunner().invoke(graders, ["report", str(results), "--json"])
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_list_of_runs_has_each_with_its_numbers(page: Page) -> None:
    while (listed := page.json("runs"))["runs"][0]["state"] == "unread":
        pass
    assert set(listed) == {
        "read_only", "runs", "preflight", "jobs", "more_jobs", "others", "folders", "more",
    }  # fmt: skip
    (run,) = listed["runs"]
    assert set(run) == {
        "run", "name", "grader", "model", "rows", "when", "state", "of", "mean", "invalid", "failed", "bars",
        "problem", "kind", "eval",
    }  # fmt: skip
    assert set(run["mean"]) == ESTIMATE
    assert (run["state"], run["rows"], run["kind"]) == ("complete", 160, "score")
    assert sum(run["bars"]) + run["failed"] == 160
    assert {"path": "rows.jsonl", "kind": "data"} in listed["others"]
    assert {"path": "grader.json", "kind": "grader"} in listed["others"]


def test_the_figures_are_those_of_the_report(page: Page, folder: Path) -> None:
    report = report_of(folder / "sub" / "run.jsonl")
    rows, overview = page.json(f"{RUN}/rows"), page.json(RUN)
    found = rows["all"]
    assert found["mean"] == report["mean"] == overview["run"]["mean"]
    assert found["statuses"] == {name: report[name] for name in ("scored", "invalid", "failed")}
    assert {blame: n for blame, n in found["blames"].items() if n} == {
        blame: n for blame, n in report["blames"].items() if n
    }
    assert {key: part["value"] for key, part in found["sub_rewards"].items()} == {
        key: part["value"] for key, part in report["sub_rewards"].items()
    }
    assert overview["numbers"] == {**report, "results": "sub/run.jsonl"}


def test_a_page_of_rows_has_what_the_table_shows(page: Page) -> None:
    found = page.json(f"{RUN}/rows?status=invalid&sort=-reward&per_page=50")
    assert set(found) == {
        "keys", "flags", "all", "selection", "count", "page", "pages", "per_page", "row", "rows", "search",
        "selected_flags", "grouped", "named",
        "data_problem",
    }  # fmt: skip
    assert set(found["all"]) == set(found["selection"]) == SUMMARY
    assert all(set(row) == ROW for row in found["rows"])
    assert {row["status"] for row in found["rows"]} == {"invalid"}
    assert found["count"] == found["selection"]["rows"] == found["all"]["statuses"]["invalid"]
    assert found["keys"] == ["total", "vendor"]
    assert all(row["id"].startswith("inv-") for row in found["rows"])


def test_a_link_to_a_row_opens_the_page_on_which_it_stands(page: Page) -> None:
    found = page.json(f"{RUN}/rows?row=30%232")
    assert found["row"] == {"row": "30#2", "index": 117}
    assert found["page"] == 3
    assert "30#2" in [row["row"] for row in found["rows"]]


def test_a_search_marks_what_it_found(page: Page) -> None:
    while not (found := page.json(f"{RUN}/rows?q=no+JSON"))["search"]["done"]:
        pass
    assert found["count"] == found["all"]["statuses"]["invalid"]
    for row in found["rows"]:
        excerpt = row["excerpt"]
        assert set(excerpt) == {"text", "marks", "in", "before", "after"}
        assert {excerpt["text"][start:end] for start, end in excerpt["marks"]} == {"no", "JSON"}


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("30#2", "30#2"),
        ("#30#2", "30#2"),
        ("Row 30#2 ", "30#2"),
        ("30", "30#1"),
        ("30#5", None),
        ("41", None),
        ("0", None),
        ("30.2", None),
        ("inv-30", None),
        ("", None),
    ],
)
def test_a_search_for_a_number_names_the_row_that_has_it(
    typed: str, row: str | None, page: Page
) -> None:
    assert page.json(f"{RUN}/rows?q={quote(typed)}")["named"] == row


def test_mistakes_in_an_address_are_all_named_at_once(page: Page) -> None:
    answer = page.get(f"{RUN}/rows?status=good&page=x&sort=up")
    assert answer.status == 400
    assert all(name in answer.error["message"] for name in ("status", "page", "sort"))


def test_a_row_shows_how_its_reward_comes_about(page: Page) -> None:
    names = [row["row"] for row in page.json(f"{RUN}/rows?reward=0.01..0.99")["rows"]]
    row = page.json(f"{RUN}/rows/{names[0].replace('#', '%23')}?reward=0.01..0.99")
    assert set(row) == DETAIL
    assert (row["graded"], row["differs"], row["why_recorded"]) == ("again", False, "")
    total, vendor = row["parts"]
    assert [total["how"], vendor["how"]] == ["eq", "fuzzy_match"]
    assert [shown["label"] for shown in total["shown"]] == ["input", "reference"]
    assert total["shown"][1]["rendered"] in json.dumps(row["item"])
    assert row["formula"]["filled"] == f"0.75 * {total['reward']} + 0.25 * {vendor['reward']}"
    assert row["formula"]["value"] == row["reward"] == row["again"]["reward"]
    assert (row["previous"], row["next"], row["position"]) == (None, names[1], 0)
    assert [sibling["row"] for sibling in row["siblings"]] == [
        f"{row['line']}#{number}" for number in (1, 2, 3, 4)
    ]


def test_a_row_that_the_run_does_not_have_is_not_found(page: Page) -> None:
    for name in ("999", "1%239", "x", "0", "-1", "1%231%231", "9" * 30):
        assert page.get(f"{RUN}/rows/{name}").status == 404


@pytest.mark.parametrize(
    ("part", "text"),
    [("item.id", "inv-0"), ("sample", None), ("input:graders.total.reference", None)],
)
def test_a_text_is_saved_whole(page: Page, part: str, text: str | None) -> None:
    row = page.json(f"{RUN}/rows/1%231")
    known = {
        "sample": row["sample"]["raw"],
        "input:graders.total.reference": row["item"][1]["text"],
    }
    answer = page.get(f"{RUN}/rows/1%231/text?part={part}")
    assert answer.status == 200
    assert answer.body.decode() == (known[part] if text is None else text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert page.get(f"{RUN}/rows/1%231/text?part=item.none").status == 404


def test_a_selection_is_saved_with_items_and_outputs(page: Page) -> None:
    answer = page.get(f"{RUN}/export?status=invalid")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert len(lines) == page.json(f"{RUN}/rows?status=invalid")["count"]
    assert all(line["status"] == "invalid" and line["output"] == "no JSON" for line in lines)
    assert all(line["item"]["id"].startswith("inv-") for line in lines)
    assert answer.headers["content-disposition"].startswith("attachment")


def scored(folder: Path, grader: dict[str, Any], rows: list[dict[str, Any]]) -> Page:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Engine(sandbox="auto") as engine:
        score_file(engine, grader, folder / "rows.jsonl", folder / "run.jsonl")
    return Page(folder)


def test_a_recorded_reward_that_is_another_now_is_said_to_be(tmp_path: Path) -> None:
    page = scored(tmp_path, INVOICE["graders"]["total"], [ROW_1])
    results = tmp_path / "run.jsonl"
    results.write_bytes(results.read_bytes().replace(b'"reward":1.0', b'"reward":0.0'))
    row = page.json("runs/run.jsonl/rows/1")
    assert (row["reward"], row["again"]["reward"], row["differs"]) == (0.0, 1.0, True)


ROW_1 = {"item": {"total": "7"}, "model_sample": '{"total": "7"}'}


def test_python_runs_only_when_it_is_asked_for(tmp_path: Path) -> None:
    source = "def grade(sample, item):\n    print('seen', item['total'])\n    return 0.25\n"
    page = scored(tmp_path, {"type": "python", "name": "p", "source": source}, [ROW_1])
    row = page.json("runs/run.jsonl/rows/1")
    assert (row["graded"], row["reward"], row["parts"][0]["printed"]) == ("recorded", 0.25, "")
    assert row["why_recorded"] == "The grader needs python."
    assert row["parts"][0]["code"] == source
    assert page.json("runs/run.jsonl")["needs"]["python"] is True
    graded = page.post("runs/run.jsonl/rows/1/grade", {"costly": True}).json
    assert (graded["graded"], graded["again"]["reward"], graded["differs"]) == (
        "again",
        0.25,
        False,
    )
    assert graded["parts"][0]["printed"].strip() == "seen 7"
    only_read = Page(tmp_path, read_only=True).json("runs/run.jsonl/rows/1")
    assert only_read["read_only"] is True
    assert only_read["why_recorded"] == f"The grader needs python. {READ_ONLY}"


def test_rows_with_equal_items_are_noticed_in_words_of_the_page(tmp_path: Path) -> None:
    page = scored(tmp_path, INVOICE["graders"]["total"], [ROW_1] * 20)
    first = json.dumps(page.json("runs/run.jsonl")["sections"][0]["tree"])
    assert EQUAL_ITEMS in first
    assert "with --group-by" not in first
    assert "Mean time per row" in first


def test_without_the_data_set_numbers_stay_and_texts_say_why_not(tmp_path: Path) -> None:
    page = scored(tmp_path, INVOICE["graders"]["total"], [ROW_1, ROW_1])
    (tmp_path / "rows.jsonl").rename(tmp_path / "elsewhere.jsonl")
    rows, row = page.json("runs/run.jsonl/rows"), page.json("runs/run.jsonl/rows/1")
    assert rows["all"]["mean"]["value"] == 1.0
    assert rows["data_problem"]
    assert (row["graded"], row["sample"], row["item"], row["parts"][0]["shown"]) == (
        "recorded", None, [], [],
    )  # fmt: skip
    assert "--data" in row["data_problem"]
    assert str(tmp_path) not in row["data_problem"]
    overview = page.json("runs/run.jsonl")
    assert json.dumps([overview["data"]["problem"], overview["sections"]]).count("--data") == 1
    moved = Page(tmp_path, data=tmp_path / "elsewhere.jsonl")
    assert moved.json("runs/run.jsonl/rows/1")["item"][0]["text"] == "7"


def test_a_run_that_is_made_again_of_other_data_shows_the_texts_of_these(tmp_path: Path) -> None:
    page = scored(tmp_path, INVOICE["graders"]["total"], [ROW_1])
    assert page.json("runs/run.jsonl/rows/1")["item"][0]["text"] == "7"
    other = tmp_path / "others.jsonl"
    other.write_text(json.dumps({**ROW_1, "item": {"total": "8"}}) + "\n")
    with Engine() as engine:
        grader = INVOICE["graders"]["total"]
        score_file(engine, grader, other, tmp_path / "run.jsonl", overwrite=True)
    until = time.monotonic() + 20
    while page.json("runs/run.jsonl/rows/1")["item"][0]["text"] != "8":
        assert time.monotonic() < until


def test_a_sample_with_messages_shows_roles_calls_and_reasoning(tmp_path: Path) -> None:
    message = {
        "role": "assistant",
        "content": "Done.",
        "reasoning_content": "Because.",
        "tool_calls": [
            {"type": "function", "function": {"name": "pay", "arguments": '{"n":1.00}'}}
        ],
    }
    rows = [{"item": {"total": "7"}, "sample": {"choices": [{"message": message}]}}]
    page = scored(tmp_path, INVOICE["graders"]["total"], rows)
    sample = page.json("runs/run.jsonl/rows/1")["sample"]
    assert sample["kind"] == "chat"
    assert sample["messages"] == [
        {
            "role": "assistant",
            "text": "Done.",
            "tool_calls": [{"name": "pay", "arguments": '{\n  "n": 1.00\n}'}],
            "reasoning": "Because.",
        }
    ]


def test_results_that_cannot_be_read_say_so_by_name(tmp_path: Path) -> None:
    page = scored(tmp_path, INVOICE["graders"]["total"], [ROW_1, ROW_1])
    results = tmp_path / "run.jsonl"
    results.write_bytes(results.read_bytes().replace(b'"status"', b'"statue"'))
    while (run := page.json("runs")["runs"][0])["state"] == "unread":
        pass
    assert run["state"] == "broken"
    assert "run.jsonl, line 1, is not a result" in run["problem"]
    answer = page.get("runs/run.jsonl/rows")
    assert (answer.status, answer.error["code"]) == (422, "data_error")
    assert answer.error["message"] == run["problem"]


def test_a_row_in_no_mean_has_no_number_anywhere(tmp_path: Path) -> None:
    part = {
        "type": "string_check", "name": "a", "operation": "eq", "input": "{{sample.output_text}}",
        "reference": "{{item.a}}",
    }  # fmt: skip
    grader = {
        "type": "multi", "name": "both", "graders": {"a": part, "b": {**part, "reference": "{{item.b}}"}},
        "calculate_output": "a + b",
    }  # fmt: skip
    rows = [
        '{"item": {"a": "x", "b": "x"}, "model_sample": "x"}',
        '{"item": {"a": "x", "b": "x"}, "model_sample": "y"}',
        '{"item": {"a": "x"}, "model_sample": "x"}',
        "[]",
        '{"item": {"a": "x", "b": "x"}, "model_sample": null}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    with Engine() as engine:
        score_file(engine, grader, tmp_path / "rows.jsonl", tmp_path / "run.jsonl", keep_going=True)
    page = Page(tmp_path)
    while page.json("runs")["runs"][0]["state"] == "unread":
        pass
    listed = page.json("runs/run.jsonl/rows")["rows"]
    assert [row["reward"] for row in listed] == [2, 0, None, None, None]
    for name, reward in (("2", 0), ("3", None), ("4", None), ("5", None)):
        row = page.json(f"runs/run.jsonl/rows/{name}")
        assert (row["reward"], row["served"]) == (reward, reward)
        again = row["again"]
        assert again is None or (again["reward"], again["served"]) == (reward, reward)
