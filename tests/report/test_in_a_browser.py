"""A real browser opens the report: nothing is logged or fetched, the table can be sorted and filtered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from graders_engine.report.html.page import report_page
from tests.report.browser import Page, find_browser, open_browser
from tests.report.conftest import Run, read

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
T = TypeVar("T")

SHOWN = "[...document.querySelectorAll('#rows tbody tr')].filter(row => !row.hidden)"


@pytest.fixture(scope="module")
def page_file(large: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_page(large.numbers, large.provenance, large.texts), encoding="utf-8")
    return path


def visit(path: Path, look: Callable[[Page], Awaitable[T]], profile: Path) -> T:
    """Open a page, look at it, and check that nothing else was logged or fetched."""

    async def session() -> T:
        async with open_browser(str(BROWSER), profile) as page:
            await page.open(path)
            found = await look(page)
            assert page.messages == []
            assert page.requested == [path.resolve().as_uri()]
            return found

    return asyncio.run(session())


def test_hostile_texts_change_nothing(hostile: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(
        report_page(hostile.numbers, hostile.provenance, hostile.texts), encoding="utf-8"
    )

    async def look(page: Page) -> tuple[str, int]:
        title = await page.evaluate("document.title")
        return title, await page.evaluate("document.scripts.length")

    title, scripts = visit(path, look, tmp_path / "profile")
    assert title == "names </title><script>1</script> \\u202e: reward report"
    assert scripts == 1


def test_a_run_without_rows_has_a_page_without_a_table(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text("")
    run, path = read(results), tmp_path / "report.html"
    path.write_text(report_page(run.numbers, run.provenance, run.texts), encoding="utf-8")

    async def look(page: Page) -> int:
        count: int = await page.evaluate("document.querySelectorAll('#rows').length")
        return count

    assert visit(path, look, tmp_path / "profile") == 0


def test_the_table_sorts_by_any_column(page_file: Path, tmp_path: Path) -> None:
    async def look(page: Page) -> list[list[str]]:
        found = []
        for column in (2, 2, 1, 0):
            await page.evaluate(
                f"document.querySelectorAll('#rows thead button')[{column}].click()"
            )
            cells = f"{SHOWN}.map(row => row.cells[{column}].textContent)"
            found.append(await page.evaluate(cells))
            order = "document.querySelector('#rows th[aria-sort]').ariaSort"
            found.append([await page.evaluate(order)])
        return found

    rising, first, falling, second, status, _, lines, _ = visit(
        page_file, look, tmp_path / "profile"
    )
    assert (first, second) == (["ascending"], ["descending"])
    empty = rising.count("-")
    assert empty
    rewards = [float(text) for text in rising[:-empty]]
    assert rewards == sorted(rewards)
    assert len(set(rewards)) > 10
    assert falling[-empty:] == ["-"] * empty
    assert [float(text) for text in falling[:-empty]] == sorted(rewards, reverse=True)
    assert status == sorted(status)
    numbers = [int(text.partition("#")[0]) for text in lines]
    assert numbers == sorted(numbers)


def test_the_table_filters_by_words_and_by_status(
    page_file: Path, large: Run, tmp_path: Path
) -> None:
    def type_in(words: str, status: str) -> str:
        return (
            f"document.querySelector('input').value = {words!r};"
            f"document.querySelector('select').value = {status!r};"
            "document.querySelector('input').dispatchEvent(new Event('input'));"
            f"[{SHOWN}.map(row => row.dataset.status), document.querySelector('output').textContent]"
        )

    async def look(page: Page) -> list[tuple[list[str], str]]:
        tries = [("", ""), ("", "failed"), ("GRADER_SERVER model", ""), ("no such words", "")]
        return [await page.evaluate(type_in(*values)) for values in tries]

    kept = [result.status for result in large.numbers.digest.kept()]
    failed = kept.count("failed")
    assert failed
    (every, count), (by_status, _), (by_words, counted), (nothing, none) = visit(
        page_file, look, tmp_path / "profile"
    )
    assert sorted(every) == sorted(kept)
    assert count == f"{len(kept)} of {len(kept)} rows shown"
    assert by_status == by_words == ["failed"] * failed
    assert counted.startswith(f"{failed} of ")
    assert (nothing, none.partition(" ")[0]) == ([], "0")


@pytest.mark.parametrize("width", [400, 768, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_any_screen_and_its_text_has_enough_contrast(
    width: int, scheme: str, page_file: Path, tmp_path: Path
) -> None:
    contrast = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")

    async def look(page: Page) -> tuple[int, list[float]]:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await page.call("Emulation.setDeviceMetricsOverride", **screen)
        await page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        wide = await page.evaluate("document.documentElement.scrollWidth")
        return wide, await page.evaluate(contrast)

    wide, contrasts = visit(page_file, look, tmp_path / "profile")
    assert wide <= width
    assert min(contrasts) >= 4.5  # WCAG 2.2, 1.4.3, level AA


def test_a_printed_page_has_the_texts_of_rows_and_no_controls(
    page_file: Path, tmp_path: Path
) -> None:
    async def look(page: Page) -> tuple[str, bool, int]:
        await page.call("Emulation.setEmulatedMedia", media="print")
        controls = await page.evaluate(
            "getComputedStyle(document.querySelector('.controls')).display"
        )
        texts = "[...document.querySelectorAll('#ends pre')].every(text => text.checkVisibility())"
        rows = f"{SHOWN}.filter(row => getComputedStyle(row).display !== 'none').length"
        return controls, await page.evaluate(texts), await page.evaluate(rows)

    assert visit(page_file, look, tmp_path / "profile") == ("none", True, 40)
