"""On a data set the playground begins with a field of the rows, and says once why all of them are invalid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.view.asking import Page
from tests.view.test_playground import tried


def write(path: Path, items: Sequence[Any]) -> Page:
    """A page over a data set with these items."""
    lines = (json.dumps({"item": item, "model_sample": "7"}) + "\n" for item in items)
    path.joinpath("rows.jsonl").write_text("".join(lines))
    return Page(path)


def begun_with(reference: str | None) -> str:
    """The grader that the page begins with."""
    return json.dumps(
        {
            "type": "string_check",
            "name": "exact match",
            "input": "{{sample.output_text}}",
            "reference": f"{{{{{reference}}}}}",
            "operation": "eq",
        }
    )


BEGINNINGS: dict[str, tuple[list[Any], str | None]] = {
    "a name of an answer before a text": ([{"question": "3 + 4", "gold": 7}], "item.gold"),
    "the most usual name of several": ([{"label": "7", "answer": "7"}], "item.answer"),
    "an answer that few rows lack": ([{"q": "?", "answer": 7}] * 2 + [{"q": "?"}], "item.answer"),
    "no answer that most rows lack": (
        [{"q": "7", "answer": "7"}, {"q": "7"}, {"q": "7", "answer": None}], "item.q",
    ),
    "no answer that is an object": ([{"answer": {"a": 1}, "q": "7"}], "item.q"),
    "the first text, but rather no id": ([{"id": "r1", "n": 7, "total": "7", "b": ""}], "item.total"),
    "an id where there is no other text": ([{"n": 7, "id": "r1"}], "item.id"),
    "a name that needs quotes": ([{'the "sum"] }}': "7"}], 'item["the \\"sum\\"] }}"]'),
    "a name in another alphabet": ([{"réponse": "7"}], "item.réponse"),
    "no text": ([{"n": 7}], None),
    "no field": ([{}], None),
}  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_grader_begins_with_a_field_that_most_rows_have(beginning: str, tmp_path: Path) -> None:
    items, reference = BEGINNINGS[beginning]
    page = write(tmp_path, items)
    found = page.json("fields?data=rows.jsonl")
    assert (found["reference"], found["read_only"]) == (reference, False)
    if reference:
        rows = tried(page, begun_with(reference), data="rows.jsonl")["changed"]
        scored = [row["status_after"] for row in rows].count("scored")
        assert 2 * scored > len(rows)


def test_the_paths_are_those_of_all_rows(tmp_path: Path) -> None:
    page = write(tmp_path, [{"a": 1}, {"a": None, "b b": []}, {"c\n": "x"}])
    assert page.json("fields?data=rows.jsonl")["paths"] == [
        "item.a", "item.b b", 'item["c\\n"]',
    ]  # fmt: skip


def test_a_data_set_whose_rows_are_not_graded_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "3 + 4", "answer": "7"}\n')
    assert Page(tmp_path).get("fields?data=rows.jsonl").status == 400
    assert Page(tmp_path).get("fields?data=none.jsonl").status == 404
    assert Page(tmp_path).get("fields").status == 404


def test_a_page_that_only_reads_tells_no_fields(folder: Path) -> None:
    found = Page(folder, read_only=True).json("fields?data=rows.jsonl")
    assert found == {"read_only": True, "paths": [], "reference": None}


def test_the_reason_is_said_once_where_all_rows_are_invalid_for_it(tmp_path: Path) -> None:
    page = write(tmp_path, [{"total": "7"}, {"total": "8"}])
    found = tried(page, begun_with("item.answer"), data="rows.jsonl")
    (reason,) = {text for row in found["changed"] for text in row["flags"].values()}
    assert found["why_invalid"] == reason
    assert "`item.answer`" in reason


def test_no_reason_is_said_for_all_rows_where_one_is_valid_or_has_another(tmp_path: Path) -> None:
    page = write(tmp_path, [{"a": "7"}, {"b": "7"}])
    assert tried(page, begun_with("item.a"), data="rows.jsonl")["why_invalid"] == ""
    found = tried(page, begun_with("item.c"), data="rows.jsonl")
    assert [row["status_after"] for row in found["changed"]] == ["invalid", "invalid"]
    assert found["why_invalid"] == ""
    assert tried(write(tmp_path, []), begun_with("item.c"), data="rows.jsonl")["why_invalid"] == ""
