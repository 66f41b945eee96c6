"""Rows that try to run, to hide or to break a reader: the page's answers are whole, small and plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine.view.shown_values import MAX_CHARS
from graders_engine.view.trees import ATTRIBUTES, ELEMENTS, trees
from tests.view.asking import Page
from tests.view.hostile_rows import OUTSIDE, ROWS

RUN = "runs/results.jsonl"


def test_there_are_enough_hostile_rows() -> None:
    assert len(ROWS) >= 34
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_every_hostile_row_is_listed_and_opens(hostile_page: Page) -> None:
    rows = hostile_page.json(f"{RUN}/rows?per_page=100")["rows"]
    assert len(rows) == len(ROWS)
    for row, meant in zip(rows, ROWS, strict=True):
        answer = hostile_page.get(f"{RUN}/rows/{row['row']}")
        assert answer.status == 200, (meant.name, answer.body[:500])
        assert len(answer.body) < 1_000_000, meant.name
        found = answer.json
        assert not found["differs"], meant.name
        for text in (*found["item"], found["sample"] or {"text": "", "chars": 0}):
            assert len(text["text"]) <= MAX_CHARS
            assert text["chars"] >= len(text["text"])


def test_texts_arrive_as_they_are(hostile_page: Page) -> None:
    for number, row in enumerate(ROWS, 1):
        if isinstance(row.sample, str) and not row.sample.startswith(("[", "{")):
            sample = hostile_page.json(f"{RUN}/rows/{number}")["sample"]
            assert sample["text"] == row.sample[:MAX_CHARS], row.name


def test_json_is_set_in_lines_without_a_change_of_its_spelling(hostile_page: Page) -> None:
    for number, row in enumerate(ROWS, 1):
        if isinstance(row.sample, str) and row.sample.startswith("{"):
            sample = hostile_page.json(f"{RUN}/rows/{number}")["sample"]
            assert "".join(sample["text"].split()) == "".join(row.sample.split())[:MAX_CHARS], (
                row.name
            )


def test_the_sections_hold_no_element_or_attribute_beyond_the_allowed_ones(
    hostile_page: Page,
) -> None:
    overview = hostile_page.json(RUN)
    names: set[str] = set()
    for section in overview["sections"]:
        for name, attributes in _elements(section["tree"]):
            names.add(name)
            assert name in ELEMENTS
            assert {key.lower() for key in attributes} <= ATTRIBUTES
            assert attributes.get("href", "#").startswith(("#", "/view/"))
    assert {"table", "svg", "a", "pre"} <= names
    assert OUTSIDE in json.dumps(overview["sections"])  # as text


def _elements(tree: Any) -> Iterator[tuple[str, dict[str, str]]]:
    if isinstance(tree, list):
        name, attributes, children = tree
        yield name, attributes
        for child in children:
            yield from _elements(child)


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p onclick=x style='color: red' class=a>t</p>", [["p", {"class": "a"}, ["t"]]]),
        ("<script>x</script><p>y</p>", [["p", {}, ["y"]]]),
        ("<iframe><p>x</p></iframe>y", ["y"]),
        ("<a href='javascript:x'>y</a>", [["a", {}, ["y"]]]),
        ("<a href='//example.org'>y</a>", [["a", {}, ["y"]]]),
        ("<a href='/view/../x'>y</a>", [["a", {"href": "/view/../x"}, ["y"]]]),
        ("<img src=x>a<br>b", ["a", "b"]),
        ("&lt;b&gt; &amp;amp;", ["<b> &amp;"]),
        ("<p>\n<b>x</b>\n</p>", [["p", {}, [["b", {}, ["x"]]]]]),
        ("<pre>a\n<b>x</b>\n</pre>", [["pre", {}, ["a\n", ["b", {}, ["x"]], "\n"]]]),
        ("<svg viewBox='0 0 1 1'/>", [["svg", {"viewBox": "0 0 1 1"}, []]]),
    ],
)
def test_html_becomes_trees_of_what_is_allowed(html: str, found: list[Any]) -> None:
    assert trees(html) == found


@pytest.mark.parametrize(
    ("html", "address"),
    [
        ("<span data-row='1#2'>x</span>", "/rows?row=1%232"),
        ("<code data-flag='other_error'>x</code>", "/rows?flag=other_error"),
        ("<th data-sub='a&amp;b=c'>x</th>", "/rows?sort=sub.a%26b%3Dc"),
        ("<span data-status=invalid>x</span>", "/rows?status=invalid"),
    ],
)
def test_what_the_report_marks_becomes_a_link_to_rows(html: str, address: str) -> None:
    (linked,), (plain,) = trees(html, "/rows"), trees(html)
    assert linked[2] == [["a", {"href": address}, ["x"]]]
    assert plain[2] == ["x"]


def test_a_bar_is_put_into_its_link() -> None:
    bar = "<rect x=1 data-reward='0.5..&lt;0.6'><title>t</title></rect>"
    assert trees(bar, "/rows") == [
        ["a", {"href": "/rows?reward=0.5..%3C0.6"}, [["rect", {"x": "1"}, [["title", {}, ["t"]]]]]]
    ]
