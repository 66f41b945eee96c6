"""How a server that has only the page is started."""

from __future__ import annotations

import socket
from typing import Any

from graders_engine.server import listener
from graders_engine.server.logs import Log
from graders_engine.server.settings import ServerSettings
from graders_engine.view.access import MAX_BODY_BYTES, host_names

_ANY = ("0.0.0.0", "::")  # noqa: S104 - what a listener may say
WORST = 500
"""From this status on, a request is logged."""


class QuietLog(Log):
    """A log for a terminal: only what went wrong."""

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, unless it says of a request that it was answered."""
        if line.get("status", WORST) >= WORST:
            super().write(line)


def settings(opened: socket.socket, key: str) -> ServerSettings:
    """The settings of a server of the page alone, which asks for the key whatever the address is."""
    return ServerSettings(api_key=key, hosts=host_names(opened), max_body_bytes=MAX_BODY_BYTES)


def address(opened: socket.socket, key: str) -> str:
    """What to open in a browser. What follows the `#` is sent nowhere."""
    base = listener.url(opened)
    host, port = opened.getsockname()[:2]
    if host in _ANY:
        base = f"http://{socket.gethostname()}:{port}"
    return f"{base}/view/#key={key}"
