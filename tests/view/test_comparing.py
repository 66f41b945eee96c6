"""Two runs on the page: the figures of `graders compare`, what became of each row, and a row of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.scoring.score import score_file
from tests.view.asking import Page
from tests.view.conftest import INVOICE, write_invoices

RUNS = "a=old.jsonl&b=new.jsonl"
OTHER: dict[str, Any] = json.loads(json.dumps(INVOICE).replace('"eq"', '"ne"'))
CHANGES = ("better", "worse", "newly_invalid", "newly_failed", "newly_valid", "same")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, one with another grader, one of changed samples in another order, and one of other rows."""
    base = tmp_path_factory.mktemp("compared")
    write_invoices(base / "rows.jsonl")
    rows = (base / "rows.jsonl").read_text().splitlines()
    moved = [
        json.dumps(
            {
                **row,
                "samples": [
                    s.replace("no JSON", '{"total": "0", "vendor": "x"}') for s in row["samples"]
                ],
            }
        )
        for row in map(json.loads, reversed(rows))
    ]
    (base / "moved.jsonl").write_text("\n".join(moved) + "\n")
    others = [
        {"item": {"id": f"x{n}", "total": "1", "vendor": "v"}, "model_sample": "{}"}
        for n in range(9)
    ]
    (base / "others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in others))
    with Engine() as engine:
        for grader, data, out in (
            (INVOICE, "rows", "old"),
            (OTHER, "rows", "new"),
            (INVOICE, "moved", "later"),
            (INVOICE, "others", "apart"),
        ):
            score_file(engine, grader, base / f"{data}.jsonl", base / f"{out}.jsonl")
    return base


@pytest.fixture(scope="module")
def page(opened: Path) -> Page:
    return Page(opened)


def printed(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(graders, ["compare", *arguments, "--json"]).stdout)


@pytest.mark.parametrize("second", ["new", "later"])
def test_the_figures_are_those_of_the_command(second: str, page: Page, opened: Path) -> None:
    files = opened / "old.jsonl", opened / f"{second}.jsonl"
    command = printed(*map(str, files), "--top", "0")
    found = page.json(f"compare?a=old.jsonl&b={second}.jsonl")
    for side, path in zip(("before", "after"), files, strict=True):
        assert command[side].pop("name") == str(path)
        assert found["comparison"][side].pop("name") == path.name
    assert found["comparison"] == command
    assert [found["a"]["run"], found["b"]["run"]] == [path.name for path in files]
    assert found["a"]["mean"] == pytest.approx(command["before"]["mean"], rel=1e-12)


def test_the_sections_are_those_of_the_commands_page(page: Page) -> None:
    sections = {one["id"]: one for one in page.json(f"compare?{RUNS}")["sections"]}
    assert [*sections] == ["overview", "sub-rewards", "grader"]
    text = json.dumps(sections["overview"]["tree"])
    assert "B minus A over the " in text
    assert "operation" in json.dumps(sections["grader"]["tree"])


def test_each_pair_has_changed_in_one_way(page: Page) -> None:
    whole = page.json(f"compare?{RUNS}")
    counts, difference = whole["counts"], whole["comparison"]["difference"]
    assert tuple(counts) == CHANGES
    assert sum(counts.values()) == whole["count"] == whole["comparison"]["pairs"]["matched"] == 160
    assert (counts["better"], counts["worse"]) == (difference["wins"], difference["losses"])
    for change in CHANGES:
        found = page.json(f"compare?{RUNS}&change={change}")
        assert found["count"] == counts[change]
        assert {row["change"] for row in found["rows"]} <= {change}
    both = page.json(f"compare?{RUNS}&change=better&change=worse")
    assert both["count"] == counts["better"] + counts["worse"]


def test_rows_that_become_valid_or_invalid_are_counted_apart(page: Page) -> None:
    there, back = (
        page.json(f"compare?a={one}.jsonl&b={other}.jsonl")["counts"]
        for one, other in (("old", "later"), ("later", "old"))
    )
    assert there["newly_valid"] == back["newly_invalid"] > 0
    assert there["newly_invalid"] == back["newly_valid"] == 0


@pytest.mark.parametrize("sort", ["move", "-move", "before", "-after"])
def test_rows_are_in_the_order_that_is_asked_for(sort: str, page: Page) -> None:
    rows = []
    for number in range(1, page.json(f"compare?{RUNS}")["pages"] + 1):
        rows += page.json(f"compare?{RUNS}&sort={sort}&page={number}")["rows"]
    assert len({row["a"] for row in rows}) == 160
    name = sort.removeprefix("-")
    values = [row["after"] - row["before"] if name == "move" else row[name] for row in rows]
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("changes", "sort", "largest_first"),
    [
        ("change=worse", "move", lambda row: row["after"] - row["before"]),
        ("change=better", "-move", lambda row: row["before"] - row["after"]),
        ("change=better&change=worse", "-size", lambda row: -abs(row["after"] - row["before"])),
    ],
    ids=["worse", "better", "both"],
)
def test_a_list_of_changes_begins_with_the_largest(
    changes: str, sort: str, largest_first: Callable[[Any], float], page: Page
) -> None:
    found = page.json(f"compare?{RUNS}&{changes}")
    assert found["sort"] == sort
    sizes = [round(largest_first(row), 9) for row in found["rows"]]
    assert sizes == sorted(sizes)
    assert page.json(f"compare?{RUNS}&{changes}&sort=row")["sort"] == "row"


def test_the_rows_that_are_the_same_come_last_where_no_order_is_asked_for(page: Page) -> None:
    rows = []
    for number in range(1, page.json(f"compare?{RUNS}")["pages"] + 1):
        rows += page.json(f"compare?{RUNS}&page={number}")["rows"]
    same = [row["change"] == "same" for row in rows]
    assert len(rows) == 160
    assert any(same)
    assert same == sorted(same)


def test_each_pair_names_all_parts_that_changed_those_that_changed_most_first(page: Page) -> None:
    found = page.json(f"compare?{RUNS}")
    assert found["keys"] == ["total", "vendor"]
    changed = [row for row in found["rows"] if row["change"] != "same"]
    for row in found["rows"]:
        was, is_ = (
            page.json(f"runs/{run}.jsonl/rows/{quote(row[side])}")["sub_rewards"]
            for run, side in (("old", "a"), ("new", "b"))
        )
        moved = {key: abs(is_[key] - was[key]) for key in was if is_[key] != was[key]}
        parts = row["parts"]
        assert {one["key"] for one in parts} == {*moved}
        assert all(
            (one["before"], one["after"]) == (was[one["key"]], is_[one["key"]]) for one in parts
        )
        assert [moved[one["key"]] for one in parts] == sorted(moved.values(), reverse=True)
    assert changed
    assert all(row["parts"] for row in changed)


def test_rows_are_matched_by_what_they_are_and_not_by_their_line(page: Page) -> None:
    found = page.json("compare?a=old.jsonl&b=later.jsonl")
    assert found["comparison"]["pairs"]["by"] != "line"
    assert "rank in reward" in found["warnings"][0]
    row = found["rows"][0]
    assert (row["a"].partition("#")[0], row["b"].partition("#")[0]) == ("1", "40")
    pair = page.json(f"compare/rows/{quote(row['a'])}?a=old.jsonl&b=later.jsonl")
    assert pair["a"]["id"] == pair["b"]["id"] == row["id"] == "inv-0"


def test_a_row_has_both_sides_and_its_neighbours_under_the_filter(page: Page) -> None:
    query = f"{RUNS}&change=worse&sort=-move"
    rows = page.json(f"compare?{query}")["rows"]
    pair = page.json(f"compare/rows/{quote(rows[1]['a'])}?{query}")
    assert (pair["previous"], pair["next"], pair["position"]) == (rows[0]["a"], rows[2]["a"], 2)
    assert (pair["a"]["reward"], pair["b"]["reward"]) == (rows[1]["before"], rows[1]["after"])
    assert pair["change"] == "worse"
    assert pair["a"]["sample"]["text"] == pair["b"]["sample"]["text"]
    rendered = [
        {side["path"]: side["rendered"] for part in pair[one]["parts"] for side in part["shown"]}
        for one in "ab"
    ]
    assert rendered[0] == rendered[1]
    assert rendered[0]["graders.total.reference"]


def test_a_search_looks_into_the_texts_of_both(page: Page) -> None:
    def found(query: str) -> Any:
        while not (answer := page.json(f"compare?{query}"))["search"]["done"]:
            pass
        return answer

    only_in_a = found("a=old.jsonl&b=later.jsonl&q=%22no+JSON%22")
    assert only_in_a["count"] == only_in_a["counts"]["newly_valid"] > 0
    assert {row["change"] for row in only_in_a["rows"]} == {"newly_valid"}
    assert found(f"{RUNS}&q=inv-7")["rows"][0]["id"] == "inv-7"
    assert found(f"{RUNS}&q=nowhere")["rows"] == []


def test_runs_of_other_rows_are_refused_with_the_reason(page: Page, opened: Path) -> None:
    answer = page.get("compare?a=old.jsonl&b=apart.jsonl")
    assert answer.status == 422
    assert "old.jsonl and apart.jsonl have no row in common" in answer.json["error"]["message"]
    assert str(opened) not in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("a=old.jsonl", "`b` is missing"),
        (f"{RUNS}&change=improved", "`change` must be one of"),
        (f"{RUNS}&sort=width", "`sort` must be one of"),
        (f"{RUNS}&page=0", "`page` must be a number"),
        (f"{RUNS}&q=/(/", "expression"),
        (f"{RUNS}&by=item.nothing", "item.nothing"),
    ],
)
def test_a_wrong_query_says_what_is_wrong(query: str, said: str, page: Page) -> None:
    answer = page.get(f"compare?{query}")
    assert answer.status == 400
    assert said in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "path",
    ["compare?a=old.jsonl&b=../new.jsonl", f"compare/rows/999?{RUNS}", f"compare/rows/x?{RUNS}"],
)
def test_what_is_not_there_is_not_found(path: str, page: Page) -> None:
    assert page.get(path).status == 404
