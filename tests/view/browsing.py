"""`graders view` in a process of its own, and a browser that looks at it, one step at a time."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import forked
from tests.report.browser import TIMEOUT_S, LeftPageError, Page, find_browser, open_browser

BROWSER = find_browser()
AXE = "axe-core@4.14.1"
FAULTS = """axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
  violations.filter(({impact}) => impact === "serious" || impact === "critical").flatMap(({id, nodes}) =>
    nodes.map(({html, any}) => `${id}: ${html.slice(0, 200)} ${any[0]?.message ?? ""}`)))"""
"""What axe finds that cannot be read or reached by all."""


@contextmanager
def viewed(folder: Path, *options: str) -> Iterator[str]:
    """The address that `graders view` prints for a folder, with its key."""
    with forked.start(
        "view", str(folder), "--no-open", "--port", "0", *options, errors=sys.stderr
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "/view/#key=" in line, line
            yield line.split()[-1]
            process.send_signal(signal.SIGINT)
            process.wait(TIMEOUT_S)
        finally:
            process.kill()


class Tab:
    """A tab of the browser; selectors are those of CSS, expressions those of JavaScript.

    Attributes:
        page: the browser's page.
        home: the address of the list of runs, without the key.
        key: what stands behind the address's `#`.
    """

    def __init__(self, runner: asyncio.Runner, page: Page, address: str) -> None:
        self._runner = runner
        self.page = page
        self.home, _, self.key = address.partition("#")

    def start(self) -> None:
        """Open the address that the terminal printed."""
        self._runner.run(self.page.go("about:blank"))  # else only the fragment would change
        self._runner.run(self.page.go(f"{self.home}#{self.key}"))

    def go(self, path: str) -> None:
        """Open a page by its path below /view/, as from a bookmark."""
        self._runner.run(self.page.go(self.home + path))

    def value(self, expression: str) -> Any:
        return self._runner.run(self.page.evaluate(expression))

    def until(self, expression: str) -> Any:
        """The first value of an expression that is true; how soon decides nothing."""
        end = time.monotonic() + TIMEOUT_S
        body = f"const found = {expression}; return found instanceof Node || found"
        tried = f"(() => {{ try {{ {body} }} catch {{ }} }})()"
        while not (found := self._value_if_there(tried)):
            assert time.monotonic() < end, (
                expression,
                self.value("document.body.innerText")[:3000],
            )
            time.sleep(0.02)
        return found

    def _value_if_there(self, expression: str) -> Any:
        try:
            return self.value(expression)
        except LeftPageError:  # another page is being opened, and is asked next
            return None

    def text(self, selector: str) -> str:
        """The text of the element once it is there and has one."""
        found = self.until(f"document.querySelector({json.dumps(selector)}).textContent")
        return str(found)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        point = self._middle(selector)
        self._runner.run(self.page.drag(point, point))

    def drag(self, start: str, end: str) -> None:
        """Drag from the middle of an element to that of another."""
        self._runner.run(self.page.drag(self._middle(start), self._middle(end)))

    def press(self, *keys: str, control: bool = False) -> None:
        for key in keys:
            self._runner.run(self.page.press(key, control=control))

    def write(self, text: str) -> None:
        self._runner.run(self.page.write(text))

    def look(self, width: int, scheme: str = "light") -> None:
        self._runner.run(self.page.look(width, scheme=scheme))

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self._runner.run(self.page.call(method, **arguments))

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the address."""
        found: dict[str, str] = self.value(
            "Object.fromEntries(new URLSearchParams(location.search))"
        )
        return found

    def is_quiet(self) -> None:
        """Nothing was logged, nothing was asked for elsewhere, and nothing is wider than the page."""
        assert self.page.messages == []
        root = self.home.removesuffix("view/")
        assert [url for url in self.page.requested if not url.startswith((root, "about:"))] == []
        assert self.value("document.documentElement.scrollWidth <= innerWidth")

    def _middle(self, selector: str) -> tuple[float, float]:
        x, y = self.until(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            " one.scrollIntoView({block: 'nearest'}); const box = one.getBoundingClientRect();"
            " return box.width && [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        return x, y


@contextmanager
def browsing(folder: Path, profile: Path, *options: str) -> Iterator[Tab]:
    """A browser on a page over a folder, which `graders view` serves with further options."""
    with viewed(folder, *options) as address, asyncio.Runner() as runner:
        opened = open_browser(str(BROWSER), profile)
        page = runner.run(opened.__aenter__())
        try:
            yield Tab(runner, page, address)
        finally:
            runner.run(opened.__aexit__(None, None, None))
