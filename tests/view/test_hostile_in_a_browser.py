"""Hostile rows in a browser: nothing of them runs, nothing leaves, nothing is wider than the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.view import hostile_rows
from tests.view.browsing import BROWSER, Tab, browsing

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
RUN = "runs/results.jsonl"
OPENED = "document.querySelector('.drawer:not([hidden]) #row-title').textContent"
NUMBERS = {row.name: number for number, row in enumerate(hostile_rows.ROWS, 1)}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("hostile")
    hostile_rows.write(folder)
    with browsing(folder, tmp_path_factory.mktemp("profile")) as opened:
        opened.look(1280)
        opened.start()
        opened.until("document.querySelector('.runs tbody a')")
        yield opened


def is_harmless(tab: Tab) -> None:
    assert tab.value("window.ran") is None
    assert (
        tab.value(
            "document.querySelectorAll('img, iframe, base, script:not([src]), form[action]').length"
        )
        == 0
    )
    tab.is_quiet()


@pytest.mark.parametrize(("width", "scheme"), [(420, "dark"), (1280, "light")])
def test_every_row_opens_by_key_and_does_no_harm(tab: Tab, width: int, scheme: str) -> None:
    tab.look(width, scheme)
    tab.go(f"{RUN}/rows?per_page=100")
    tab.until(f"document.querySelectorAll('.rows tbody tr').length === {len(NUMBERS)}")
    is_harmless(tab)
    tab.click(".rows tbody tr:first-child th a")
    for number in NUMBERS.values():
        tab.until(f"{OPENED} === 'Row {number}' && document.querySelector('.row-view')")
        is_harmless(tab)
        tab.press("j")


@pytest.mark.parametrize("page", ["", RUN, f"{RUN}/rows?q=%3Cscript"])
def test_pages_with_hostile_names_do_no_harm(tab: Tab, page: str) -> None:
    for width in (420, 1280):
        tab.look(width)
        tab.go(page)
        tab.until("document.querySelector('.runs tbody a, .report svg, .rows tbody a')")
        is_harmless(tab)


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("NUL", ["NUL"]),
        ("reading direction", ["RLO", "PDF", "LRI", "LRM"]),
        ("zero width", ["ZWSP", "BOM", "WJ"]),
        ("separators", ["LS", "PS", "NEL", "CR"]),
        ("half a character", ["U+D800", "U+DFFF"]),
    ],
)
def test_characters_that_hide_are_there_by_name(tab: Tab, row: str, names: list[str]) -> None:
    tab.look(1280)
    tab.go(f"{RUN}/rows/{NUMBERS[row]}")
    tab.until("document.querySelector('.output')")
    found = tab.value(
        "[...document.querySelectorAll('.output .hidden')].map(one => one.textContent)"
    )
    assert [name for name in names if name not in found] == []


def test_a_long_text_is_cut_and_says_so(tab: Tab) -> None:
    tab.look(1280)
    tab.go(f"{RUN}/rows/{NUMBERS['a megabyte']}")
    said = tab.text(".output .cut")
    assert said.startswith("The first 20,000 of 1,048,5")
    assert "Save the whole text" in said
