"""A user writes a grader: sees its mistakes where they are, what changes in the rows, and saves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.view.browsing import BROWSER, Tab, browsing

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
PLAYGROUND = "runs/sub%2Frun.jsonl/playground"
AREA = "document.querySelector('.editor textarea')"
FIGURES = "Object.fromEntries([...document.querySelectorAll('.figures > div')].map(one => [one.children[0].textContent, one.children[1].textContent]))"  # noqa: E501 - one expression
WRONG = (
    "[...document.querySelectorAll('.editor .copy .wrong')].map(one => one.textContent).join('')"
)
CHANGED = "document.querySelectorAll('.changed-rows tr.row').length"


@pytest.fixture(scope="module")
def browser(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(folder, tmp_path_factory.mktemp("profile")) as tab:
        tab.start()
        tab.until("document.querySelector('table.runs th a')")
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """The playground of a run, with the run's own grader; what is done on it leaves the console empty."""
    browser.look(1280)
    browser.value("sessionStorage.clear()")
    browser.go(PLAYGROUND)
    browser.until(f"{FIGURES}['stored mean']")
    yield browser
    browser.is_quiet()


def put(tab: Tab, old: str, new: str) -> None:
    """Type over a piece of the grader."""
    tab.value(
        f"(() => {{ const area = {AREA}, at = area.value.indexOf({json.dumps(old)});"
        f" area.focus(); area.setSelectionRange(at, at + {len(old)}) }})()"
    )
    tab.write(new)


def test_typing_changes_the_numbers_and_the_rows_that_change(tab: Tab) -> None:
    before: dict[str, Any] = tab.value(FIGURES)
    assert before["stored mean"] == before["now"]
    assert tab.value(CHANGED) == 0
    put(tab, "0.75 * total", "0.5 * total")
    tab.until(f"{CHANGED} > 0")
    after = tab.value(FIGURES)
    assert after["stored mean"] == before["stored mean"]
    assert float(after["now"]) < float(before["now"])
    assert after["difference"].startswith("\N{MINUS SIGN}")
    changes = int(after["rows that change"].split()[0])
    assert after["up, down"] == f"0, {changes}"
    assert changes == tab.value(CHANGED)
    tab.value("document.execCommand('undo')")
    tab.until(f"{CHANGED} === 0")
    assert tab.value(FIGURES) == before


def test_a_mistake_is_marked_where_it_is_and_leads_there(tab: Tab) -> None:
    put(tab, '"eq"', '"equals"')
    put(tab, "0.75 * total", "0.75 ** total")
    tab.until("document.querySelectorAll('.mistake').length === 2")
    assert tab.value(WRONG) == '"equals"**'
    assert "a power is written `^`" in tab.text(".mistake:last-child")
    assert tab.text(".mistake:last-child pre").split("\n")[1] == "     ^^"
    assert "2 mistakes" in tab.text(".play .state")
    tab.click(".mistake:last-child button")
    assert tab.value(f"{AREA}.value.slice({AREA}.selectionStart, {AREA}.selectionEnd)") == "**"
    tab.write("*")
    tab.until("document.querySelectorAll('.mistake').length === 1")


def test_the_coloured_copy_stays_in_step_with_the_text(tab: Tab) -> None:
    put(tab, '"invoice"', json.dumps("long " * 60))
    tab.value(f"{AREA}.scrollTop = {AREA}.scrollLeft = 40")
    tab.until(
        f"document.querySelector('.copy').scrollLeft === {AREA}.scrollLeft && {AREA}.scrollLeft > 0"
    )
    assert tab.value(f"document.querySelector('.copy').textContent.startsWith({AREA}.value)")
    names = "[...document.querySelectorAll('.editor .copy .name')].map(one => one.textContent)"
    assert '"calculate_output"' in tab.value(names)


def test_text_that_is_selected_can_be_read(tab: Tab) -> None:
    styles = (
        f"['color', 'backgroundColor'].map(name => getComputedStyle({AREA}, '::selection')[name])"
    )
    ink, ground = tab.value(styles)
    assert "rgba(0, 0, 0, 0)" not in {ink, ground}
    assert ink == tab.value("getComputedStyle(document.body).color")
    assert ink != ground


def test_enter_and_tab_keep_the_indentation(tab: Tab) -> None:
    put(tab, '"name": "invoice",', '"name": "invoice",')
    tab.press("Enter")
    tab.write('"x"')
    line = f"{AREA}.value.slice(0, {AREA}.selectionStart).split('\\n').at(-1)"
    assert tab.value(line) == '  "x"'
    tab.press("Enter", "Tab")
    assert tab.value(line) == "    "


def test_what_may_stand_at_the_caret_is_offered_and_taken(tab: Tab) -> None:
    put(tab, '"eq"', '"')
    assert tab.text(".offers li:first-child b") == '"eq"'
    words = "[...document.querySelectorAll('.offers li b')].map(one => one.textContent)"
    assert tab.value(words)[:4] == ['"eq"', '"ne"', '"like"', '"ilike"']
    abouts = "[...document.querySelectorAll('.offers li span')].map(one => one.textContent)"
    assert tab.value(abouts)[2:4] == ["contains the reference", "contains it in any case"]
    tab.press("ArrowDown", "Enter")
    assert '"operation": "ne"' in tab.value(f"{AREA}.value")
    tab.until(f"{CHANGED} > 0")
    put(tab, "{{item.total}}", "{{item.t")
    tab.until(f"{words}.includes('item.total')")


def test_a_row_that_changes_opens_with_what_changed(tab: Tab) -> None:
    put(tab, '"eq"', '"ne"')
    tab.until(f"{CHANGED} > 0")
    tab.click(".changed-rows tr.row:first-child button")
    part = "[...document.querySelectorAll('.opened .parts tbody tr *')].map(one => one.textContent)"
    cells = tab.until(part)
    assert cells[0] == "total"
    link = tab.value("document.querySelector('.opened a').getAttribute('href')")
    assert link == "/view/runs/sub%2Frun.jsonl/rows/1%231"


def test_a_grader_is_saved_as_a_new_file_and_never_over_one(tab: Tab, folder: Path) -> None:
    path = folder / "sub" / "mine.json"
    put(tab, "0.75 * total", "0.7 * total")
    try:
        for expected in ("Saved as", "There is a file mine.json"):
            tab.click(".draft header button.main")
            tab.until("document.querySelector('dialog.save[open] input')")
            tab.value("document.querySelector('dialog.save input').select()")
            tab.write("mine.json")
            tab.press("Enter")
            tab.until(
                f"document.querySelector('dialog.save [role=alert]').textContent.startsWith('{expected}')"
            )
            tab.click("dialog.save header button")
            tab.until("!document.querySelector('dialog.save')")
        assert path.read_text() == tab.value(f"{AREA}.value")
    finally:
        path.unlink(missing_ok=True)
        # The browser logs every status that is an error, also an expected one.
        tab.page.messages[:] = [one for one in tab.page.messages if "409" not in one]


def test_a_draft_outlives_a_reload_and_a_way_back_and_can_be_dropped(tab: Tab) -> None:
    put(tab, "0.75 * total", "0.7 * total")
    tab.until(f"{CHANGED} > 0")
    tab.go(PLAYGROUND)
    tab.until(f"{CHANGED} > 0")
    tab.go("runs/sub%2Frun.jsonl/rows")
    tab.until("document.querySelector('.rows td')")
    tab.value("history.back()")
    tab.until(f"{CHANGED} > 0")
    assert "0.7 * total" in tab.value(f"{AREA}.value")
    tab.click(".draft header button:not(.main)")
    tab.until(f"{CHANGED} === 0")
    assert "0.75 * total" in tab.value(f"{AREA}.value")


def test_a_data_set_alone_can_be_tried_on(browser: Tab) -> None:
    browser.go("playground")
    browser.click("a[href*='data=rows.jsonl']")
    browser.until(f"{FIGURES}['rows'] === '160'")
    browser.value(f"{AREA}.select()")
    browser.write("type: string_check\noperation: like\ninput: x\nreference: x\n")
    browser.until(f"{FIGURES}['now'] === '1.0000'")
    browser.is_quiet()


def test_a_data_set_begins_with_a_field_that_its_rows_have(browser: Tab) -> None:
    browser.value("sessionStorage.clear()")
    browser.go("playground?data=rows.jsonl")
    browser.until(f"{FIGURES}['rows'] === '160'")
    assert '"reference": "{{item.total}}"' in browser.value(f"{AREA}.value")
    assert browser.value("document.querySelectorAll('.changed-rows .invalid').length") == 0
    put(browser, "{{item.total}}", "{{item.v")
    browser.until("document.querySelector('.offers li b')?.textContent === 'item.vendor'")
    browser.press("Escape")
    browser.is_quiet()


def test_why_all_rows_are_invalid_is_said_once(browser: Tab) -> None:
    browser.value("sessionStorage.clear()")
    browser.go("playground?data=rows.jsonl")
    browser.until(f"{FIGURES}['rows'] === '160'")
    put(browser, "{{item.total}}", "{{item.nothing}}")
    said = "document.querySelector('.play .notes').textContent"
    browser.until(f"{said}.startsWith('All 160 rows are invalid: `item.nothing`')")
    assert browser.value("document.querySelectorAll('.play .notes p').length") == 1
    put(browser, "{{item.nothing}}", "{{item.total}}")
    browser.until(f"{said} === ''")
    browser.is_quiet()


def test_what_is_offered_goes_away_with_escape_and_with_the_focus(tab: Tab) -> None:
    isnt_there = "document.querySelector('.offers').hidden"
    put(tab, '"eq"', '"')
    tab.until("!document.querySelector('.offers').hidden")
    tab.press("Escape")
    tab.until(isnt_there)
    tab.write("e")  # the same word: nothing comes back
    tab.until(f"""{AREA}.value.includes('"operation": "e')""")
    assert tab.value(isnt_there)
    put(tab, "{{item.total}}", "{{item.t")
    tab.until("!document.querySelector('.offers').hidden")
    tab.click(".play .effect label")
    tab.until(isnt_there)


def test_paths_that_come_late_are_offered_for_what_is_typed_already(tab: Tab) -> None:
    tab.value(
        "import('/view/static/editor.js').then(({ makeEditor }) => {"
        " window.late = makeEditor({ text: '{{item.t', label: 'Late', schema: {}, onInput: () => {} });"
        " document.body.append(late.node); const area = late.node.querySelector('textarea');"
        " area.focus(); area.setSelectionRange(8, 8); return null })"
    )
    tab.value("late.paths = ['item.total', 'item.vendor']; null")
    offers = "late.node.querySelector('.offers')"
    assert tab.value(f"!{offers}.hidden && {offers}.textContent") == "item.total"
    tab.value("late.node.remove()")


def test_what_is_no_grader_is_not_saved(tab: Tab) -> None:
    put(tab, '"eq"', '"is"')
    tab.click(".draft header button.main")
    tab.until("document.querySelector('dialog.save[open] input')")
    tab.press("Enter")
    tab.until(
        "document.querySelector('dialog.save [role=alert]').textContent.startsWith('This is no valid grader')"
    )
    tab.click("dialog.save header button")
    # The browser logs every status that is an error, also an expected one.
    tab.page.messages[:] = [one for one in tab.page.messages if "400" not in one]


def test_the_prompts_are_reached_from_the_playground_of_a_run_that_was_not_looked_at(
    tab: Tab,
) -> None:
    tab.value("localStorage.removeItem('graders-prompts-sub/run.jsonl')")
    tab.go(PLAYGROUND)
    tab.until("document.querySelector('#bar nav a[href$=prompts]')")


def test_a_page_that_only_reads_offers_neither_trying_nor_saving(
    folder: Path, tmp_path: Path
) -> None:
    with browsing(folder, tmp_path, "--read-only") as tab:
        tab.start()
        tab.until("document.querySelector('table.runs th a')")
        tab.go(PLAYGROUND)
        assert tab.text(".play .notes").startswith("This page is read only")
        assert tab.value(f"{AREA}.readOnly")
        assert tab.value("document.querySelectorAll('.play button.main, .play select').length") == 0
        tab.is_quiet()


@pytest.mark.parametrize(("width", "scheme"), [(420, "light"), (1280, "dark")])
def test_it_fits_the_screen(width: int, scheme: str, tab: Tab) -> None:
    tab.look(width, scheme)
    put(tab, "0.75 * total", "0.7 * total")
    tab.until(f"{CHANGED} > 0")
    assert tab.value("document.documentElement.scrollWidth") == width
    assert tab.value(f"{AREA}.clientWidth > 200")
