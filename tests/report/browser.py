"""A real browser, driven over the Chrome DevTools Protocol on the loopback interface."""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip
CODES = {"Enter": 13, "Escape": 27}
"""Codes of the keys that the browser itself acts on."""
T = TypeVar("T")
TIMEOUT_S = 60.0
"""How long the browser may take to start or to answer; a busy machine is slow."""
_LEFT = "Inspected target navigated or closed"


def find_browser() -> str | None:
    """The path of a browser of the Chromium family; None if none is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class LeftPageError(Exception):
    """The browser left the page before it answered."""


class Page:
    """One page of the browser.

    Attributes:
        messages: what was written to the page's console and the browser's log, exceptions, failed requests.
        requested: the URLs that were requested.
        received: how many bytes came, with headers, as they were sent.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self._events: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self.requested: list[str] = []
        self.received = 0.0

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": arguments})
        while True:
            message = await self._next()
            if message.get("id") == self._last:
                if message.get("error", {}).get("message") == _LEFT:
                    raise LeftPageError(method)
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def open(self, path: Path) -> dict[str, float]:
        """Load a file and wait until it is painted; returns the browser's timing, in milliseconds."""
        await self.go(path.resolve().as_uri())
        # Two frames later everything has been laid out and painted.
        await self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        timing: dict[str, float] = await self.evaluate(
            "({loaded: performance.getEntriesByType('navigation')[0].loadEventEnd,"
            " painted: performance.now()})"
        )
        return timing

    async def go(self, url: str) -> None:
        """Load an address and wait for its load event."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        self._events.clear()
        await self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            await self._next()

    async def look(self, width: int, height: int = 860, scheme: str = "light") -> None:
        """Give the page a size, in CSS pixels, and a preferred color scheme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[scheme_feature])

    async def press(self, key: str, *, control: bool = False) -> None:
        """Press a key, as `KeyboardEvent.key` names it."""
        text = "\r" if key == "Enter" else key if len(key) == 1 and not control else ""
        event = {"key": key, "modifiers": 2 if control else 0}
        event |= {"windowsVirtualKeyCode": CODES[key]} if key in CODES else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def write(self, text: str) -> None:
        """Type a text where the focus is."""
        await self.call("Input.insertText", text=text)

    async def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at a point, in CSS pixels, move it to another and let it go; a click if equal."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1])
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            await self.call(
                "Input.dispatchMouseEvent",
                type=kind, x=x, y=y, button="left", buttons=1, clickCount=1,
            )  # fmt: skip

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def _next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self._socket.receive(), TIMEOUT_S)
        event: dict[str, Any] = json.loads(message.data)
        if "method" in event:
            self._events.append(event)
            self._record(event["method"], event["params"])
        return event

    def _record(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Network.loadingFinished":
            self.received += params["encodedDataLength"]
        elif method == "Network.loadingFailed" and params.get("canceled"):
            pass  # the page itself did not want it any more
        elif method in (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Network.loadingFailed",
        ):
            self.messages.append(json.dumps(params))


@asynccontextmanager
async def open_browser(browser: str, profile: Path) -> AsyncIterator[Page]:
    """A browser with one empty page; it is terminated at the end of the block."""
    process = subprocess.Popen(
        [browser, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = (await _told(profile / "DevToolsActivePort", process))[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json()
            address = next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


async def _told(file: Path, process: subprocess.Popen[bytes]) -> list[str]:
    """The port of the browser, and its path there."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (file.exists() and "\n" in (text := file.read_text())):
            assert process.poll() is None, "the browser ended"
            await asyncio.sleep(0.05)
    return text.splitlines()


@cache
def _shared() -> tuple[subprocess.Popen[bytes], Path]:
    """One browser for all visits of this process, and its folder; both go when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
    process = subprocess.Popen(
        [str(find_browser()), *FLAGS, f"--user-data-dir={folder.name}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def end() -> None:
        process.terminate()
        process.wait(TIMEOUT_S)
        folder.cleanup()

    atexit.register(end)
    return process, Path(folder.name)


@asynccontextmanager
async def _empty_page() -> AsyncIterator[Page]:
    """A page of the shared browser that has nothing in common with its other pages."""
    process, folder = _shared()
    port, path = await _told(folder / "DevToolsActivePort", process)
    address = f"ws://127.0.0.1:{port}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{address}{path}", max_msg_size=0) as whole,
    ):
        browser = Page(whole)
        context = await browser.call("Target.createBrowserContext")
        target = await browser.call("Target.createTarget", url="about:blank", **context)
        try:
            page = f"{address}/devtools/page/{target['targetId']}"
            async with session.ws_connect(page, max_msg_size=0) as socket:
                yield Page(socket)
        finally:
            await browser.call("Target.disposeBrowserContext", **context)


def visit(path: Path, look: Callable[[Page], Awaitable[T]]) -> T:
    """Open a page, look at it, and check that nothing else was logged or fetched."""

    async def session() -> T:
        async with _empty_page() as page:
            await page.open(path)
            found = await look(page)
            assert page.messages == []
            assert page.requested == [path.resolve().as_uri()]
            return found

    return asyncio.run(session())
