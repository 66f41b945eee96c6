"""Keeps a test's process, and every Python that it starts, away from any network but loopback.

Thousands are started: what only a process with connections needs is imported by that.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ONLINE = "GRADERS_TESTS_ONLINE"
"""Set for a process that installs packages."""


class OffLoopback(Exception):
    """Raised when a test asks for a network."""


def is_near(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in ("", "localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def watch(event: str, details: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        import socket

        if details[0].family not in (socket.AF_INET, socket.AF_INET6):
            return
        host = details[1][0]
    elif event == "socket.getaddrinfo":
        host = details[0]
    else:
        return
    if not is_near(host):
        raise OffLoopback(f"a test asked for {host!r}; tests stay on loopback")


if not os.environ.get(ONLINE):
    sys.addaudithook(watch)
