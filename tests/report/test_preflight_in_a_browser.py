"""A real browser opens the page of preflight: nothing is logged, fetched or run, and it fits any screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.report.html.preflight import preflight_page
from tests.preflight.ask import SUMS, ask
from tests.report.browser import Page, find_browser, visit
from tests.report.conftest import GRADER, HOSTILE

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason="needs Chromium or Chrome on the PATH"
)
PARTS = "[...document.querySelectorAll('main *')].filter(part => part.checkVisibility())"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Findings of every part: hostile texts in rows, in the grader and in samples, and a base model."""
    folder = tmp_path_factory.mktemp("page")
    rows = [
        {
            **row,
            "given": "yes",
            "text": f"{HOSTILE[n % len(HOSTILE)]} {row['answer']}".encode(
                "utf-8", "replace"
            ).decode(),
        }
        for n, row in enumerate(SUMS)
    ]
    grader: dict[str, Any] = json.loads(json.dumps(GRADER))
    grader["graders"]["same"]["operation"] = "ilike"
    samples = [{"item": row, "model_sample": row["text"] if n % 2 else "0"} for row in rows
               for n in range(8)]  # fmt: skip
    report = ask(folder, grader, rows, samples=samples, reference_field="text",
                 ignore={"row-count": HOSTILE[0]})  # fmt: skip
    path = folder / "page.html"
    path.write_text(preflight_page(report), encoding="utf-8")
    return path


def test_hostile_texts_change_nothing_and_no_script_is_there(page_file: Path) -> None:
    async def look(page: Page) -> list[Any]:
        counts = "[document.title, document.scripts.length, document.images.length]"
        found: list[Any] = await page.evaluate(counts)
        return found

    title, scripts, images = visit(page_file, look)
    assert "taken" not in title
    assert (scripts, images) == (0, 0)


def test_it_shows_the_questions_the_findings_and_the_ladder(page_file: Path) -> None:
    async def look(page: Page) -> list[Any]:
        questions = "[...document.querySelectorAll('.verdicts dt')].map(part => part.textContent)"
        shown = "document.querySelector('#ladder').checkVisibility()"
        bars = "document.querySelectorAll('#ladder svg rect').length"
        findings = "document.body.innerText"
        return [await page.evaluate(one) for one in (questions, shown, bars, findings)]

    questions, shown, bars, text = visit(page_file, look)
    assert questions == ["Valid?", "Fair?", "Anything to learn?", "Gameable?", "Cost?"]
    assert shown
    assert bars > 3
    assert "insensitive" in text


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_screen(width: int, scheme: str, page_file: Path) -> None:
    async def look(page: Page) -> tuple[int, list[str]]:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await page.call("Emulation.setDeviceMetricsOverride", **screen)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await page.call("Emulation.setEmulatedMedia", features=[feature])
        wide = await page.evaluate("document.documentElement.scrollWidth")
        outside = f"{PARTS}.filter(part => part.getBoundingClientRect().right > innerWidth + 1)"
        return wide, await page.evaluate(f"{outside}.map(part => part.outerHTML.slice(0, 200))")

    wide, outside = visit(page_file, look)
    assert wide <= width
    assert outside == [], json.dumps(outside, indent=1)
