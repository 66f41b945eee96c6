"""A real browser opens the report: nothing is logged or fetched, rows are searched, filtered and opened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graders_engine
from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.formatting import (
    format_mean,
    format_number,
    format_percent,
    format_seconds,
)
from graders_engine.report.html.page import report_page
from graders_engine.report.html.rendering import environment, script_of, source_of
from tests.report.browser import Page, find_browser, visit
from tests.report.conftest import HOSTILE, Run, read
from tests.view import hostile_rows

PACKAGE = Path(graders_engine.__file__).parent
BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")

ROWS = "[...document.querySelectorAll('#rows tbody tr')]"
NAMES = f"{ROWS}.map(row => row.cells[0].textContent)"
COUNT = "document.querySelector('#table output').textContent"
OPENED = "document.querySelector('.drawer:not([hidden]) #row-title')?.textContent ?? null"
DRAWER = "document.querySelector('.drawer').innerText"


def written(run: Run, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(report_page(run.numbers, run.provenance, run.texts), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page_file(large: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(large, tmp_path_factory.mktemp("page"))


FAR = "x" * 5000
GRADER = {
    "type": "multi",
    "name": "cats",
    "graders": {
        key: {"type": "string_check", "operation": "eq", "input": f"{{{{sample.output_json.{key}}}}}",
              "reference": "{{item.animal}}"}
        for key in ("first", "second")
    },
    "calculate_output": "0.75 * first + 0.25 * second",
}  # fmt: skip


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 prompts with three samples: rewards 1, 0.25 or 0 by turns, and one that is not JSON."""
    folder = tmp_path_factory.mktemp("small")
    data, results = folder / "rows.jsonl", folder / "results.jsonl"
    with data.open("w", encoding="utf-8") as out:
        for number in range(1, 21):
            item = {"animal": "cat", "note": f"{FAR} note{number}."}
            right, half = {"first": "cat", "second": "cat"}, {"first": "cow", "second": "cat"}
            samples = [json.dumps(right), json.dumps(half), f"Sure!\nIt is a (cat) no. {number}"]
            out.write(json.dumps({"id": f"P{number}", "item": item, "samples": samples}) + "\n")
    with Engine() as engine:
        score_file(engine, GRADER, data, results)
    return written(read(results), folder)


def filtered(**values: str) -> str:
    """Set the filters; gives the rows that are listed and the sentence above them."""
    fields = {"words": "", "status": "", "flag": "", "from": "", "to": "", **values}
    return (
        f"for (const [name, value] of Object.entries({json.dumps(fields)}))"
        " document.querySelector(`[name=${name}]`).value = value;"
        "document.querySelector('[name=words]').dispatchEvent(new Event('input'));"
        f"[{NAMES}, {COUNT}]"
    )


AFTER_A_MOMENT = "new Promise(done => setTimeout(done, 50))"


async def follow(page: Page, action: str) -> Any:
    """Do something that changes the address, and then say which row is open."""
    await page.evaluate(action)
    await page.evaluate(AFTER_A_MOMENT)
    return await page.evaluate(OPENED)


def test_rows_that_try_to_run_or_to_hide_do_no_harm(tmp_path: Path) -> None:
    """Every row opens by its key on two screens, and none of the texts does anything."""
    page_file = written(read(hostile_rows.write(tmp_path)), tmp_path)
    harm = (
        "[window.ran ?? null, document.scripts.length, innerWidth - document.documentElement.scrollWidth,"
        " document.querySelectorAll('img, iframe, base, form').length]"
    )

    async def look(page: Page) -> list[list[Any]]:
        await page.look(1280)
        found = [[await follow(page, "location.hash = '1'"), *await page.evaluate(harm)]]
        for _ in hostile_rows.ROWS[1:]:
            await page.press("j")
            found.append([await page.evaluate(OPENED), *await page.evaluate(harm)])
        await page.look(420, scheme="dark")
        for _ in hostile_rows.ROWS[1:]:
            await page.press("k")
            found.append([await page.evaluate(OPENED), *await page.evaluate(harm)])
        return found

    found = visit(page_file, look)
    there = range(1, len(hostile_rows.ROWS) + 1)
    numbers = [*there, *reversed(there[:-1])]
    assert found == [[f"Row {number}", None, 2, 0, 0] for number in numbers]


def test_the_texts_of_a_row_are_whole_and_characters_that_hide_are_there_by_name(
    hostile: Run, tmp_path: Path
) -> None:
    async def look(page: Page) -> list[str]:
        texts = []
        for number in range(len(HOSTILE)):
            await follow(page, f"location.hash = '{2 * number + 1}'")
            texts.append(await page.evaluate("document.querySelector('.output .text').textContent"))
        return texts

    texts = visit(written(hostile, tmp_path), look)
    assert [texts[0], texts[1], texts[-1]] == [HOSTILE[0], HOSTILE[1], HOSTILE[-1]]
    assert texts[4] == "left to right RLOgnihtyrevePDF isolate LRI mark LRM"


def test_a_run_without_rows_has_a_page_without_a_table(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text("")

    async def look(page: Page) -> int:
        count: int = await page.evaluate("document.querySelectorAll('#rows').length")
        return count

    assert visit(written(read(results), tmp_path), look) == 0


def test_numbers_are_written_as_in_the_rest_of_the_report(page_file: Path) -> None:
    numbers = [0, 1, -1, 0.9, 0.8999999999999999, 1 / 3, 2e-3, 1e-3, 9.9e-4, 1234.5678, 1e6, 123456.5, -0.25,
               2.5e-7, 1e300, -12345678.9, 41, 0.00005, 0.000099999, 1e7, 12345678.9]  # fmt: skip
    # Half way between two numbers, for each way of writing: 0.53125 is, 0.00005 is a bit more.
    halves = [sign * half / 64 for half in range(1, 130) for sign in (1, -1)]
    halves += [1e6 + 5000 * odd for odd in range(1, 30, 2)] + [
        2.0**power + 0.5 for power in range(30)
    ]
    halves += [1e7 + odd / 2 for odd in range(1, 30, 2)] + [
        1e8 + 5 * odd for odd in range(1, 30, 2)
    ]
    rewards = numbers + halves
    shares = [one for one in rewards if abs(one) < 1e6]
    times = list(map(abs, shares))
    forms: list[tuple[str, Callable[[float], str], list[float]]] = [
        ("number", format_number, rewards), ("mean", format_mean, rewards),
        ("percent", format_percent, shares), ("seconds", format_seconds, times),
    ]  # fmt: skip
    script = script_of({"dom.js": source_of(environment(()), "dom.js")})

    async def look(page: Page) -> list[list[str]]:
        written = "{} return {}.map((one) => modules['dom.js'].{}(one))"
        return [
            await page.evaluate(
                f"(() => {{ {written.format(script, json.dumps(given), form)} }})()"
            )
            for form, _, given in forms
        ]

    texts = visit(page_file, look)
    assert texts == [[write(one) for one in given] for _, write, given in forms]


def test_numbers_are_rounded_in_one_place() -> None:
    """`toFixed` and `toPrecision` write 0.53125 as 0.5313 where Python, and so the reports, have 0.5312."""
    folders = [PACKAGE / "report" / "html" / "static", PACKAGE / "view" / "static"]
    scripts = [script for folder in folders for script in folder.glob("*.js")]
    rounding = {
        script.name
        for script in scripts
        if re.search(r"toFixed|toPrecision|toExponential", script.read_text("utf-8"))
    }
    assert len(scripts) > 20
    assert rounding == {"dom.js"}


def test_the_search_sees_whole_texts_of_items_samples_and_flags_and_marks_them(
    small_file: Path,
) -> None:
    async def look(page: Page) -> list[Any]:
        tries = [
            "note7.",
            "NOTE7. cow",
            'sure "(CAT) no. 1"',
            "sample_parse",
            "text is not JSON",
            "no such",
            "p15 {",
        ]
        found = [await page.evaluate(filtered(words=words)) for words in tries]
        await page.evaluate(filtered(words="note7."))
        marks = "[...document.querySelectorAll('{} mark')].map(mark => mark.textContent)"
        found.append(await page.evaluate(marks.format("#rows")))
        await follow(page, f"{ROWS}[1].querySelector('a').click()")
        found.append(await page.evaluate(marks.format(".drawer")))
        return found

    deep, two, literal, flag, details, none, prompt, in_table, in_view = visit(small_file, look)
    assert deep == [["7#1", "7#2", "7#3"], "3 of the 60 samples in this file"]
    assert two[0] == ["7#2"]
    assert literal[0] == ["1#3", *(f"{line}#3" for line in range(10, 20))]
    assert flag[0] == details[0] == [f"{line}#3" for line in range(1, 21)]
    assert none == [[], "0 of the 60 samples in this file"]
    assert prompt[0] == ["15#1", "15#2"]
    assert in_table == ["note7."] * 3
    assert in_view == ["note7."]


def test_rows_are_filtered_by_status_by_flag_and_by_reward(small_file: Path) -> None:
    async def look(page: Page) -> list[list[Any]]:
        tries: list[dict[str, str]] = [
            {"status": "scored"}, {"status": "invalid"}, {"status": "sample"}, {"status": "row"},
            {"flag": "sample_parse_error"}, {"flag": "-"}, {"from": "0.2", "to": "0.3"}, {"from": "0.3"},
            {"to": "0"}, {},
        ]  # fmt: skip
        return [(await page.evaluate(filtered(**values)))[1] for values in tries]

    counts = visit(small_file, look)
    shown = [int(str(count).partition(" ")[0]) for count in counts]
    assert shown == [40, 20, 20, 0, 20, 40, 20, 20, 20, 60]


def test_a_row_opens_by_its_address_with_all_of_its_texts_and_its_prompts_samples(
    small_file: Path,
) -> None:
    async def look(page: Page) -> tuple[Any, ...]:
        opened = await follow(page, "location.hash = '19#3'")
        text = await page.evaluate(DRAWER)
        samples = await page.evaluate(
            "[...document.querySelectorAll('.samples a')].map(link => link.dataset.sample)"
        )
        half = await follow(page, "location.hash = '19#2'")
        formula = await page.evaluate("document.querySelector('.formula').textContent")
        first = await follow(page, "location.hash = '4'")
        closed = await follow(page, "document.querySelector('.drawer [aria-label=Close]').click()")
        address = await page.evaluate("location.hash + document.activeElement.textContent")
        await follow(page, "location.hash = '99'")
        missing = await page.evaluate(DRAWER)
        return opened, text, samples, half, formula, first, closed, address, missing

    opened, text, samples, half, formula, first, closed, address, missing = visit(small_file, look)
    assert opened == "Row 19#3"
    for part in (
        "invalid, counts as 0, because of the sample", f"{FAR} note19.", "Sure!\nIt is a (cat) no. 19",
        "sample_parse_error", "P19", "first, second: `sample.output_json`",
    ):  # fmt: skip
        assert part in text
    assert samples == ["19#1", "19#2", "19#3"]
    assert half == "Row 19#2"
    assert formula == "0.75 * first + 0.25 * second\n= 0.75 * 0 + 0.25 * 1\n= 0.25"
    assert first == "Row 4#1"
    assert (closed, address) == (None, "#?4#1")
    assert "Row 99 is not in this file." in missing


def test_keys_go_to_the_search_and_through_the_rows_that_were_found(small_file: Path) -> None:
    async def look(page: Page) -> list[Any]:
        await page.press("/")
        found = [await page.evaluate("document.activeElement.name")]
        await page.evaluate(filtered(words="cow"))
        found.append(await follow(page, f"{ROWS}[1].querySelector('a').click()"))
        for key in ("j", "ArrowDown", "k", "ArrowUp", "k", "k", "]", "["):
            await page.press(key)
            found.append(await page.evaluate(OPENED))
        found.append(await page.evaluate("document.querySelector('.drawer .place').textContent"))
        found.append(await page.evaluate("location.hash"))
        await page.press("Escape")
        found.append(await page.evaluate(OPENED))
        found.append(await page.evaluate(COUNT))
        return found

    name, *opened, place, address, closed, count = visit(small_file, look)
    assert name == "words"
    assert opened == [
        f"Row {row}" for row in ("2#2", "3#2", "4#2", "3#2", "2#2", "1#2", "1#2", "1#3", "1#2")
    ]
    assert (place, address) == ("1 of 20", "#?q=cow&row=1%232")
    assert (closed, count) == (None, "20 of the 60 samples in this file")


def test_other_sections_link_to_rows_and_the_address_holds_what_was_asked_for(
    small_file: Path,
) -> None:
    async def look(page: Page) -> list[Any]:
        found = []
        for link in ("#flags [data-flag] a", "#overview [data-status=scored] a", "#rewards svg a"):
            click = "dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
            await follow(page, f"document.querySelector('{link}').{click}")
            found.append([await page.evaluate("location.hash"), await page.evaluate(COUNT)])
        found.append(await follow(page, "document.querySelector('#cards summary a').click()"))
        await follow(page, "history.back()")
        found.append(await page.evaluate(COUNT))
        return found

    flag, status, bar, opened, back = visit(small_file, look)
    assert flag == ["#?flag=sample_parse_error", "20 of the 60 samples in this file"]
    assert status == ["#?status=scored", "40 of the 60 samples in this file"]
    assert bar == ["#?reward=0.0..0.0", "20 of the 60 samples in this file"]
    assert opened == "Row 1#3"
    assert back == bar[1]


def test_the_table_sorts_by_its_heads_and_shows_more_on_demand(page_file: Path) -> None:
    async def look(page: Page) -> list[Any]:
        found = []
        for head in ("reward", "reward", "row"):
            await follow(page, f"document.querySelector('[data-key=sort-{head}]').click()")
            cells = f"{ROWS}.map(row => row.querySelector('.{head}').textContent)"
            found.append(await page.evaluate(cells))
        await page.evaluate("document.querySelector('.more').click()")
        found.append(await page.evaluate(NAMES))
        return found

    falling, rising, lines, more = visit(page_file, look)
    highest, lowest = ([float(text) for text in texts] for texts in (falling, rising))
    assert highest == sorted(highest, reverse=True)
    assert lowest == sorted(lowest)
    assert highest[-1] > lowest[0]
    assert more[: len(lines)] == lines
    assert len(more) == 2 * len(lines)
    places = [tuple(map(int, name.split("#"))) for name in more]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [400, 768, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_any_screen_and_its_text_has_enough_contrast(
    width: int, scheme: str, page_file: Path
) -> None:
    contrast = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")

    async def look(page: Page) -> tuple[int, list[str], list[float]]:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await page.call("Emulation.setDeviceMetricsOverride", **screen)
        await page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        wide = await page.evaluate("document.documentElement.scrollWidth")
        outside = (
            "[...document.querySelectorAll('main :is(td, th, dd, figcaption, output, input)')]"
            ".filter(part => part.checkVisibility() && !part.closest('.matrix, thead, .skip'))"
            ".filter(part => part.getBoundingClientRect().right > innerWidth)"
            ".map(part => part.outerHTML)"
        )
        return wide, await page.evaluate(outside), await page.evaluate(contrast)

    wide, outside, contrasts = visit(page_file, look)
    assert wide <= width
    assert outside == []
    assert min(contrasts) >= 4.5  # WCAG 2.2, 1.4.3, level AA


def test_a_printed_page_has_the_texts_of_rows_and_no_controls(page_file: Path) -> None:
    async def look(page: Page) -> tuple[str, bool, int]:
        await page.call("Emulation.setEmulatedMedia", media="print")
        controls = await page.evaluate(
            "getComputedStyle(document.querySelector('.controls')).display"
        )
        texts = "[...document.querySelectorAll('#cards pre')].every(text => text.checkVisibility())"
        rows = f"{ROWS}.filter(row => getComputedStyle(row).display !== 'none').length"
        return controls, await page.evaluate(texts), await page.evaluate(rows)

    assert visit(page_file, look) == ("none", True, 40)
