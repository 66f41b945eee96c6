"""The page in a browser, on a run of 1,000,000 rows: from an act to what it changes on the screen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measurement import Measurement
from benchmarks.view import make
from tests.view.browsing import BROWSER, Tab, browsing

NAMES = "[...document.querySelectorAll('.rows tbody th')].map(cell => cell.textContent)"
ROWS = f"{NAMES}.length === 50 && !document.querySelector('[aria-busy=true]')"
COUNTED = "document.querySelector('.filters .counted').textContent"
ROW = "document.querySelector('.drawer:not([hidden]) #row-title').textContent"
FIGURES = "document.querySelector('.figures').textContent"
SAMPLES = 5


def timed(tab: Tab, act: str, until: str) -> float:
    """Milliseconds from an act until something is so, and a frame with it was painted.

    Args:
        tab: the page.
        act: statements of JavaScript; `was` is the value of `until` before.
        until: an expression that becomes another one than it was.
    """
    return float(
        tab.value(f"""
        new Promise((resolve) => {{
          const now = () => {{ try {{ return String({until}) }} catch {{ return "" }} }};
          const was = now(), started = performance.now();
          {act};
          const look = () => now() !== was && now() !== "" && now() !== "false"
            ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)))
            : performance.now() - started < 30_000 ? setTimeout(look, 1) : resolve(30_000);
          look();
        }})""")
    )


def medians(tab: Tab, act: str, until: str, times: int = SAMPLES) -> float:
    return median(timed(tab, act, until) for _ in range(times))


def searched(words: str) -> str:
    """An act: the words in the search, and Enter."""
    return (
        "const box = document.querySelector('.filters input[type=search]'); "
        f"box.value = {json.dumps(words)}; {key('Enter', 'box')}"
    )


def key(name: str, of: str = "document") -> str:
    return f"{of}.dispatchEvent(new KeyboardEvent('keydown', {{key: {json.dumps(name)}, bubbles: true}}))"


def clicked(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).click()"


def typed_over(old: str, new: str) -> str:
    """An act: other text in place of the first such text of the grader."""
    return (
        f"const area = document.querySelector('.editor textarea'), at = area.value.indexOf({old!r}); "
        f"area.focus(); area.setSelectionRange(at, at + {len(old)}); "
        f"document.execCommand('insertText', false, {new!r})"
    )


def opened(tab: Tab, run: str, *, by_list: bool) -> tuple[float, float]:
    """Seconds to usable rows; and from the run's address to the first word of how far it is.

    Args:
        tab: that of a browser that has shown nothing.
        run: the page of the run.
        by_list: whether the list of runs is looked at first.
    """
    started, said = time.perf_counter(), float("nan")
    if by_list:
        tab.start()
        tab.until("document.querySelector('table.runs th a')")
    asked = time.perf_counter()
    tab.go(f"{run}/rows#{tab.key}")
    while not tab.value(f"(() => {{ try {{ return {ROWS} }} catch {{ return false }} }})()"):
        if said != said and tab.value("!!document.querySelector('progress, [role=progressbar]')"):
            said = time.perf_counter() - asked
        time.sleep(0.01)
    return time.perf_counter() - started, said


def resident_mb() -> float:
    """The memory of the server, the only process with `view` and a port among its arguments."""
    found = subprocess.run(
        ["pgrep", "-f", "graders_engine view .* --port 0"],  # noqa: S607 - on the PATH
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    lines = Path(f"/proc/{found[-1]}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


def with_a_long_row(folder: Path) -> str:
    """A small run beside the large one, with a row of 1 MB."""
    long = folder / "long"
    shutil.rmtree(long, ignore_errors=True)
    long.mkdir()
    make(long, 20)
    with (long / "data.jsonl").open("a", encoding="utf-8") as file:
        item = {"id": "long", "text": "x"}
        file.write(json.dumps({"item": item, "samples": ["a few words " * 90_000]}) + "\n")
    (long / "results.jsonl").unlink()
    for left in long.glob("results.jsonl.*"):
        left.unlink()
    command = ["score", "grader.json", "--data", "data.jsonl", "--out", "results.jsonl", "--quiet"]
    subprocess.run([sys.executable, "-m", "graders_engine", *command], cwd=long, check=True)
    return "runs/long%2Fresults.jsonl"


def measurements() -> Iterator[Measurement]:
    """Making the run takes about a minute, and a gigabyte of disk."""
    if BROWSER is None:
        return
    with tempfile.TemporaryDirectory() as kept:
        os.environ["XDG_CACHE_HOME"] = str(Path(kept, "cache"))
        at = os.environ.get("BENCH_RUN")  # one that is there
        results = Path(at) if at else make(Path(kept))
        long = with_a_long_row(results.parent)
        run = f"runs/{results.name}"
        with browsing(results.parent, Path(kept, "first")) as tab:
            whole, said = opened(tab, run, by_list=True)
            yield Measurement("1,000,000 rows, first open", whole, "s", bar=8)
            yield Measurement("the same, until progress is seen", said, "s", bar=1)
        with browsing(results.parent, Path(kept, "second")) as tab:
            again = opened(tab, run, by_list=False)[0]
            yield Measurement("again, to the rows", again, "s", bar=1)
            yield from _rows(tab)
            yield from _searches(tab)
            yield Measurement("memory of the server with all that", resident_mb(), "MB", bar=300)
            yield from _others(tab, run, long)


def _rows(tab: Tab) -> Iterator[Measurement]:
    sort = medians(tab, clicked(".rows th.reward a"), NAMES)
    yield Measurement("sort", sort, "ms", bar=300)
    bar = "document.querySelector('.histogram .target:last-child')"
    yield Measurement("filter by a bar", timed(tab, key("Enter", bar), COUNTED), "ms", bar=300)
    yield Measurement(
        "clear the filter", timed(tab, clicked(".held .chip"), COUNTED), "ms", bar=300
    )
    page = medians(tab, clicked(".pager [rel=next]"), NAMES)
    yield Measurement("the next page", page, "ms", bar=100)
    row = timed(tab, clicked(".rows tbody tr:nth-child(3) th a"), ROW)
    yield Measurement("open a row", row, "ms", bar=150)
    following = medians(tab, key("j"), f"{ROW} + document.querySelectorAll('.part').length")
    yield Measurement("the next row, by its key", following, "ms", bar=80)
    timed(tab, key("Escape"), "document.querySelector('.drawer').hidden")


def _searches(tab: Tab) -> Iterator[Measurement]:
    done = f"!document.querySelector('.searching:not([hidden]) [data-key=stop]') && {COUNTED}"
    for name, words, bar in (
        ("search for the first time", "EUR 721", 3000),
        ("narrowed", "EUR 7215", 500),
        ("repeated", "EUR 721", 100),
        ("a rare word", "8842.17", 300),
    ):
        yield Measurement(name, timed(tab, searched(words), done), "ms", bar=bar)


def _others(tab: Tab, run: str, long: str) -> Iterator[Measurement]:
    tab.go(f"{long}/rows")
    tab.until(f"{NAMES}.length > 20")
    tab.go(f"{long}/rows?sort=-row")
    tab.until(f"{NAMES}.length > 20")
    row = timed(
        tab, clicked(".rows tbody tr:first-child th a"), f"{ROW} && document.querySelector('.part')"
    )
    yield Measurement("open a row of 1 MB", row, "ms", bar=300)
    tab.go(f"{run}/playground")
    tab.until(FIGURES)
    time.sleep(1)
    took = [
        timed(tab, typed_over(old, new), FIGURES)
        for old, new in (("0.4 ", "0.1 "), ("0.1 ", "0.5 "), ("0.5 ", "0.2 "), ("0.2 ", "0.3 "))
    ]
    yield Measurement("playground, after the last key", median(took), "ms", bar=300)
    tab.call("Network.clearBrowserCache")
    before = tab.page.received
    tab.go(f"{run}/rows?row=1%231")
    tab.until("document.querySelector('.part')")
    yield Measurement("first load", (tab.page.received - before) / 1000, "kB", bar=100)
