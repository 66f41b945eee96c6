"""A user reads the rows of a run: opens it, filters, searches, sorts, opens rows and goes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.view.browsing import BROWSER, Tab, browsing

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
RUN = "runs/sub%2Frun.jsonl"
NAMES = "[...document.querySelectorAll('.rows tbody th')].map(cell => cell.textContent)"
REWARDS = (
    "[...document.querySelectorAll('.rows tbody td.reward')].map(cell => Number(cell.textContent))"
)
COUNTED = "document.querySelector('.filters .counted').textContent"
OPENED = "document.querySelector('.drawer:not([hidden]) #row-title').textContent"
FOCUSED = "document.activeElement.textContent"
FIRST_LOAD_BYTES = 100_000


@pytest.fixture(scope="module")
def browser(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(folder, tmp_path_factory.mktemp("profile")) as tab:
        tab.start()
        tab.until("document.querySelector('table.runs th a')")
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """The page of rows; whatever is done on it is done without a word in the console."""
    browser.look(1280)
    browser.go(f"{RUN}/rows")
    browser.until(f"{NAMES}.length === 50")
    yield browser
    browser.is_quiet()


def test_a_run_is_opened_from_its_folder_and_a_flag_leads_to_its_rows(browser: Tab) -> None:
    browser.look(1280)
    browser.start()
    browser.until("!location.hash")  # the key has left the address
    browser.until("document.querySelector('.mean-cell b')")
    assert browser.text(".runs tbody th a") == "sub/run.jsonl"
    browser.click(".runs tbody td.grader")
    browser.until("document.querySelector('#length .within')")
    assert browser.text("#length .within").lstrip("+-").startswith("0.")
    title = browser.value("document.querySelector('#bar .chooser').title")
    assert title.startswith("sub/run.jsonl: ")
    browser.click(".report a[href*='flag=sample_parse_error']")
    browser.until(f"/^\\d+ of 160 rows$/.test({COUNTED})")
    assert browser.query == {"flag": "sample_parse_error"}
    statuses = browser.value(
        "[...document.querySelectorAll('.rows tbody tr')].map(row => row.dataset.status)"
    )
    assert set(statuses) == {"invalid"}
    browser.is_quiet()


def test_the_list_of_sections_leads_to_one_of_the_page_that_is_open(browser: Tab) -> None:
    browser.look(1280)
    browser.go(RUN)
    browser.until("document.querySelector('#length .within')")
    browser.value("document.querySelector('#length').classList.add('first')")
    browser.click(".contents a[href='#length']")
    browser.until("location.hash === '#length'")
    browser.value(
        "import('/view/static/overview.js').then(() => fetch('/view/static/lengths.js'))"
        ".then((answer) => answer.text()).then(() => new Promise(requestAnimationFrame)).then(() => 1)"
    )
    assert browser.value("document.querySelector('#length').classList.contains('first')")
    box = "document.querySelector('#length').getBoundingClientRect()"
    assert browser.value(f"{box}.top < 100 || {box}.bottom <= innerHeight")
    browser.is_quiet()


def test_a_bar_filters_by_its_range_and_back_undoes_it(tab: Tab) -> None:
    last = "document.querySelector('.histogram .target:last-child')"
    label = tab.value(f"{last}.getAttribute('aria-label')")
    tab.click(".histogram .target:last-child")
    tab.until(f"{COUNTED}.includes(' of 160')")
    assert tab.query.keys() == {"reward"}
    assert tab.value(f"parseInt({COUNTED})") == int(label.split(": ")[1].split(" ")[0])
    assert min(tab.value(REWARDS)) >= float(label.split(" to ")[0].split(":")[0])
    tab.value("history.back()")
    tab.until(f"{COUNTED} === '160 rows'")
    assert tab.query == {}


def test_the_length_of_samples_is_a_column_a_filter_and_beside_the_rewards(tab: Tab) -> None:
    tab.click(".rows th.length a")
    tab.until("document.querySelector('th.length[aria-sort=descending]')")
    cells = "[...document.querySelectorAll('.rows td.length')].map(one => Number(one.textContent))"
    lengths = tab.value(cells)
    assert lengths == sorted(lengths, reverse=True)
    tab.click(".menu:has(.by-length) > summary")
    rows = tab.until("document.querySelector('.quarters td').textContent")
    tab.click(".quarters tbody a")
    tab.until(f"{COUNTED} === '{rows} of 160 rows'")
    low, high = tab.query["length"].split("..")
    tab.until(f"Math.max(...{cells}) <= {high}")
    assert min(tab.value(cells)) >= float(low)
    assert tab.text(".held .chip").startswith("characters ")


def test_while_a_search_goes_on_it_is_said_how_far_it_is(tab: Tab) -> None:
    tab.value(
        "(() => { const real = window.real = fetch; window.fetch = async (...asked) => {"
        " const answer = await real(...asked); if (!String(asked[0]).includes('rows?q=')) return answer;"
        " const data = { ...await answer.json(), rows: [], search: { done: false, scanned: 3, of: 160 } };"
        " return new Response(JSON.stringify(data)) } })()"
    )
    tab.press("/")
    tab.write("nowhere")
    tab.until(
        "document.querySelector('.table .empty')?.textContent.startsWith('Searching …3 of 160 rows')"
    )
    tab.value("window.fetch = window.real")
    tab.until("document.querySelector('.table .empty h2').textContent === 'No row fits'")


def test_a_search_for_the_number_of_a_row_leads_to_it_in_the_list_of_all(tab: Tab) -> None:
    tab.press("/")
    tab.write("30")
    tab.until(f"{COUNTED} !== '160 rows'")
    assert tab.text(".named a") == "Open row 30#1"
    tab.click(".named a")
    assert "Row 30#1" in tab.until(OPENED)
    tab.until(f"{NAMES}.includes('30#1') && {COUNTED} === '160 rows'")
    assert tab.query == {"row": "30#1"}
    assert tab.value("document.querySelector('.named').hidden")
    assert tab.value("document.querySelector('.search input').value") == ""


def test_counts_of_flags_are_those_of_the_selection(tab: Tab) -> None:
    option = "document.querySelector('[aria-label=Flag] option:last-child').textContent"
    whole = tab.value(option)
    assert " of " not in whole
    tab.go(f"{RUN}/rows?status=scored")
    tab.until(f"{COUNTED}.includes(' of 160')")
    assert tab.value(option) == whole.replace("(", "(0 of ")
    assert not tab.value("!!document.querySelector('.chart .scale')")  # no bar flattens the others
    assert tab.value("document.querySelectorAll('.histogram .axis').length") > 2


def test_a_drag_over_all_bars_keeps_every_row_with_a_reward(tab: Tab) -> None:
    tab.drag(".histogram .target[data-bar='0']", ".histogram .target:last-child")
    tab.until("location.search.includes('reward=')")
    tab.until(f"{COUNTED} === '160 rows'")
    tab.click(".held .chip")
    tab.until("!location.search")


def test_a_search_marks_what_it_found_and_escape_clears_it(tab: Tab) -> None:
    depth = tab.value("history.length")
    tab.press("/")
    tab.write("total ACME")
    tab.until("location.search.includes('q=')")
    tab.until(f"{COUNTED}.includes(' of 160')")
    tab.until("document.querySelectorAll('.rows mark').length >= 50")
    assert tab.value("history.length") == depth  # typing makes no steps for Back
    tab.value("document.activeElement.blur()")
    tab.press("Escape")
    tab.until(f"!location.search && {COUNTED} === '160 rows'")


def test_heads_sort_and_pages_go_on_and_a_reload_shows_the_same(tab: Tab) -> None:
    tab.click(".rows th.reward a")
    tab.until("document.querySelector('th.reward[aria-sort=descending]')")
    tab.click(".pager [rel=next]")
    tab.until("document.querySelector('.pager').textContent.includes('page 2 of 4')")
    rewards, names = tab.value(REWARDS), tab.value(NAMES)
    assert rewards == sorted(rewards, reverse=True)
    tab.go(tab.value("location.href").removeprefix(tab.home))
    tab.until(f"{NAMES}.length === 50")
    assert tab.value(NAMES) == names
    assert tab.query == {"sort": "-reward", "page": "2"}


def test_j_goes_over_the_end_of_a_page_and_back_closes_the_row(tab: Tab) -> None:
    names = tab.value(NAMES)
    tab.click(".rows tbody tr:last-child th a")
    tab.until(f"{OPENED} === 'Row {names[-1]}'")
    assert tab.value(FOCUSED) == f"Row {names[-1]}"
    depth = tab.value("history.length")
    tab.press("j")
    tab.until("document.querySelector('.pager').textContent.includes('page 2 of 4')")
    following = tab.value(NAMES)
    tab.until(f"{OPENED} === 'Row {following[0]}'")
    assert tab.query == {"row": following[0], "page": "2"}
    tab.press("k")
    tab.until(f"{OPENED} === 'Row {names[-1]}'")
    tab.until(f"{NAMES}.at(-1) === '{names[-1]}'")
    assert tab.value("history.length") == depth
    tab.value("history.back()")
    tab.until("document.querySelector('.drawer').hidden")
    assert tab.query == {}


def test_a_row_shows_how_its_reward_comes_about_and_gives_the_focus_back(tab: Tab) -> None:
    name = tab.value(NAMES)[1]
    tab.value("document.querySelectorAll('.rows a.open')[1].focus()")
    tab.press("Enter")
    tab.until(f"{OPENED} === 'Row {name}'")
    parts = tab.until(
        "document.querySelectorAll('.part').length === 2 && document.querySelector('.parts').textContent"
    )
    assert "total" in parts
    assert "vendor" in parts
    assert tab.text(".formula").startswith("0.75 * total + 0.25 * vendor\n= ")
    assert tab.value("document.querySelectorAll('.samples a').length") == 4
    tab.press("]")
    tab.until(f"{OPENED} !== 'Row {name}'")
    assert tab.query["row"] == name.split("#")[0] + "#3"
    tab.press("Escape")
    tab.until("document.querySelector('.drawer').hidden")
    assert tab.value(FOCUSED) == name.split("#")[0] + "#3"


def test_a_link_to_a_row_opens_the_page_where_it_stands(tab: Tab) -> None:
    tab.call(
        "Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"]
    )
    tab.go(f"{RUN}/rows?sort=-row&row=2%231")
    tab.until(f"{OPENED} === 'Row 2#1'")
    tab.until("document.querySelector('tr[aria-current=true]').dataset.row === '2#1'")
    assert "page 4 of 4" in tab.text(".pager")
    tab.press("c")
    tab.until("document.querySelector('.copy').textContent === 'Copied'")
    assert tab.value("navigator.clipboard.readText()") == tab.value("location.href")
    alone = tab.value("document.querySelector('.row-bar a.button').getAttribute('href')")
    tab.go(alone.removeprefix("/view/"))
    assert tab.text("h1") == "Row 2#1"
    tab.press("j")
    tab.until("document.querySelector('h1').textContent === 'Row 1#4'")


def test_on_a_narrow_screen_the_row_fills_it(tab: Tab) -> None:
    tab.look(420)
    tab.click(".rows tbody tr:nth-child(3)")
    tab.until(OPENED)
    assert tab.value("getComputedStyle(document.querySelector('.list')).display") == "none"
    tab.until("document.querySelector('.part')")
    tab.is_quiet()
    tab.click(".row-bar [aria-label=Close]")
    tab.until("document.querySelector('.drawer').hidden")


def test_nothing_fits_and_one_button_clears(tab: Tab) -> None:
    tab.go(f"{RUN}/rows?reward=2..&status=scored")
    assert tab.text(".table .empty h2") == "No row fits"
    tab.click(".table .empty button")
    tab.until(f"{COUNTED} === '160 rows'")


def test_a_run_that_is_not_there_is_said_to_be_missing_and_stays_so(tab: Tab) -> None:
    tab.go("runs/none.jsonl")
    tab.until("document.querySelector('[role=alert]')")
    tab.value("new Promise((done) => setTimeout(done, 400))")  # longer than a progress bar waits
    assert "cannot be opened" in tab.text("[role=alert] h1")
    tab.page.messages.clear()  # the browser logs that it was not found


def test_a_wrong_key_does_not_cost_the_right_one(tab: Tab) -> None:
    right = tab.value("localStorage.getItem('graders-key')")
    tab.go(f"{RUN}/prompts#key=wrong")
    tab.until("document.querySelector('.square')")
    assert tab.value("localStorage.getItem('graders-key')") == right
    tab.page.messages.clear()  # the browser logs that the wrong one was refused


def test_the_first_load_is_small(browser: Tab) -> None:
    browser.call("Network.clearBrowserCache")
    before = browser.page.received
    browser.go(f"{RUN}/rows?row=1%231")
    browser.until("document.querySelector('.part')")
    assert browser.page.received - before < FIRST_LOAD_BYTES


def test_a_browser_without_the_key_is_asked_for_it(browser: Tab) -> None:
    browser.value("localStorage.clear()")
    browser.go(f"{RUN}/rows")
    browser.until(
        "document.querySelector('h1').textContent === 'Open the address that the terminal printed'"
    )
    browser.page.messages.clear()  # the browser logs that it was refused
    browser.start()
    browser.until("document.querySelector('.mean-cell b')")


DRAWN = """
(async () => {
  const { drawHistogram } = await import("/view/static/histogram.js");
  const place = document.createElement("div");
  document.body.append(place);
  const all = REWARDS.map((value) => ({ low: value, high: value, scored: 1, invalid: 0, failed: 0 }));
  drawHistogram(place, { bars: all, all, range: null, choose: () => {} });
  const middle = ({ x, width }) => Math.round(x + width / 2);
  const middles = (name) => [...place.querySelectorAll(name)].map((one) => middle(one.getBBox()));
  const numbers = [...place.querySelectorAll("text[y='88']")].map((one) => one.textContent);
  const found = [numbers, middles("text[y='88']"), middles("rect.scored")];
  place.remove();
  return found;
})()
"""


def test_each_reward_of_a_few_has_its_number_below_its_bar(tab: Tab) -> None:
    numbers, below, bars = tab.value(DRAWN.replace("REWARDS", "[0, 1 / 3, 2 / 3, 1]"))
    assert numbers == ["0", "0.3333", "0.6667", "1"]
    assert below == bars
    numbers, _, _ = tab.value(DRAWN.replace("REWARDS", "[0, 0.07, 0.8]"))
    assert numbers == ["0", "0.25", "0.5", "0.75", "1"]
