"""Every page fits its screen, in light and in dark, says nothing in the console, and can be read by all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.view.browsing import BROWSER, FAULTS, Tab, browsing

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
RUN = "runs/sub%2Frun.jsonl"
PAGES = {
    "runs": ("", "document.querySelector('.mean-cell b')"),
    "overview": (RUN, "document.querySelector('.report svg')"),
    "rows": (f"{RUN}/rows", "document.querySelector('.rows tbody a')"),
    "an open row": (f"{RUN}/rows?q=ACME&row=1%232", "document.querySelector('.part')"),
    "a row's own page": (f"{RUN}/rows/1%232", "document.querySelector('.part')"),
    "prompts": (f"{RUN}/prompts", "document.querySelector('.square')"),
}


@pytest.fixture(scope="module")
def tab(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(folder, tmp_path_factory.mktemp("profile")) as opened:
        opened.look(1280)
        opened.start()
        opened.until("document.querySelector('.mean-cell b')")
        yield opened


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_screens_of_every_width_and_is_quiet(tab: Tab, page: str) -> None:
    path, ready = PAGES[page]
    for width in (420, 1280):
        tab.look(width)
        tab.go(path)
        tab.until(ready)
        assert tab.value("document.querySelectorAll('h1').length") == 1
        tab.is_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_serious_fault_of_accessibility(
    tab: Tab, axe: str, page: str, scheme: str
) -> None:
    path, ready = PAGES[page]
    tab.look(1280, scheme)
    tab.go(path)
    tab.until(ready)
    tab.value(f"{axe}; null")
    assert tab.value(FAULTS) == []


@pytest.mark.parametrize("page", ["overview", "rows"])
def test_the_texts_of_a_chart_have_a_colour_of_the_page(tab: Tab, page: str) -> None:
    """Black is what they have without one; on a dark page nobody could read it."""
    path, ready = PAGES[page]
    tab.look(1280, "dark")
    tab.go(path)
    tab.until(f"{ready} && document.querySelector('svg.histogram text')")
    fills = "[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)"
    assert "rgb(0, 0, 0)" not in tab.value(fills)


def test_keys_have_a_list_and_a_run_is_chosen_by_name(tab: Tab) -> None:
    tab.look(1280)
    tab.go(f"{RUN}/rows")
    tab.until("document.querySelector('.rows tbody a')")
    tab.press("?")
    listed = tab.text("dialog.keys")
    assert all(
        what in listed for what in ("next row", "search", "copy the link", "only what differs")
    )
    tab.press("Escape")
    tab.until("!document.querySelector('dialog')")
    tab.press("k", control=True)
    tab.until("document.querySelector('dialog.choose [role=option]')")
    tab.write("sub run")
    tab.press("Enter")
    tab.until("!document.querySelector('dialog') && document.querySelector('.rows tbody a')")
    tab.is_quiet()


def test_a_server_that_is_gone_is_said_and_asked_again(tab: Tab) -> None:
    tab.go(f"{RUN}/rows")
    tab.until("document.querySelector('.rows tbody a')")
    tab.call(
        "Network.emulateNetworkConditions",
        offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1,
    )  # fmt: skip
    tab.click(".chips .chip")
    tab.until("!document.querySelector('#notice').hidden")
    tab.call(
        "Network.emulateNetworkConditions",
        offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1,
    )  # fmt: skip
    tab.until("document.querySelector('#notice').hidden")
    tab.until("document.querySelector('.filters .counted').textContent.includes(' of 160')")
    tab.page.messages.clear()  # the browser logs what it could not load


def test_prompts_say_with_which_reward_a_sample_passes(tab: Tab) -> None:
    tab.look(420)
    tab.go(f"{RUN}/prompts")
    assert tab.text(".threshold") == "A sample passes with a reward of at least 1."
    ends = tab.value(
        "[...document.querySelectorAll('.prompt .mean-of')].map(one => Math.round(one.getBoundingClientRect().right))"  # noqa: E501 - one expression
    )
    assert len(set(ends)) == 1


def test_the_panel_of_lengths_keeps_its_margin_on_a_narrow_screen(tab: Tab) -> None:
    tab.look(390)
    tab.go(f"{RUN}/rows")
    tab.until("document.querySelector('.rows tbody a')")
    tab.value(
        "[...document.querySelectorAll('summary')]"
        ".find(one => one.textContent === 'Reward by length').click()"
    )
    tab.until("document.querySelector('.by-length .quarters')")
    place = "document.querySelector('.by-length')"
    assert tab.value(f"{place}.scrollWidth <= {place}.clientWidth")
    tab.look(1280)
