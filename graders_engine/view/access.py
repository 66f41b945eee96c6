"""Who may ask for what: the key, the host names, what a browser may do with the answers."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from graders_engine.errors import InvalidRequest, Mistake
from graders_engine.home import user_folder
from graders_engine.server.exchange import Exchange
from graders_engine.server.guards import LOOPBACK_NAMES
from graders_engine.server.listener import is_loopback
from graders_engine.server.responses import Refused

MAX_BODY_BYTES = 2 << 20
"""Longest body of a request to the page's routes."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What a page may load and run: only what this server has, and nothing that is made from a text."""
NO_STORE = (b"cache-control", b"no-store")
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    NO_STORE,
)
"""Headers of every answer, errors included; the files of the page have another `cache-control`."""
_KEY = re.compile(r"[\w-]{32,128}", re.ASCII)


def state_folder() -> Path:
    """Where this program keeps what lives as long as its user wants: by default ~/.local/state.

    Raises:
        InvalidRequest: there is no home folder.
    """
    folder = user_folder("XDG_STATE_HOME")
    if folder is None:
        raise InvalidRequest(
            "The key of the page cannot be kept: there is no home folder. Name a folder with XDG_STATE_HOME."
        )
    return folder / "graders-engine"


def kept_key(folder: Path | None = None) -> str:
    """The key of this user's page: made once, then kept, so that bookmarks stay good.

    Args:
        folder: where it is kept; `state_folder` by default.

    Raises:
        InvalidRequest: it cannot be kept, or others can read it.
    """
    path = (folder or state_folder()) / "view.key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _keep(path, secrets.token_urlsafe(32))
        return _read(path)
    except OSError as error:
        raise InvalidRequest(
            f"The key of the page cannot be kept: {path}: {error.strerror}. "
            "Name another folder with XDG_STATE_HOME."
        ) from None


def _keep(path: Path, key: str) -> None:
    """Write a key to a new file, whole before it has its name.

    Raises:
        FileExistsError: there is one.
    """
    if path.exists():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key)
        os.link(part, path)
    finally:
        part.unlink()


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        mode = os.fstat(descriptor).st_mode
        key = file.read(200)
    if os.name == "posix" and mode & 0o077:
        raise InvalidRequest(
            f"Others can read the key of the page: {path}. Delete it; the next start makes a new one."
        )
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"{path} does not hold a key of the page. Delete it; the next start makes a new one."
        )
    return key


class HostNames(Container[str]):
    """The host names that requests may use: addresses, and the machine's own names.

    A page in a browser reaches another server under a name of its own (DNS rebinding), never by its address.

    Args:
        names: the names.
    """

    def __init__(self, names: Container[str]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        if name in self._names:
            return True
        with suppress(ValueError):
            ipaddress.ip_address(str(name).removeprefix("[").removesuffix("]"))
            return True
        return False


def host_names(listener: socket.socket) -> Container[str]:
    """The names by which a listener may be reached; of one on loopback, loopback names only."""
    names = LOOPBACK_NAMES | {listener.getsockname()[0].lower()}
    if is_loopback(listener):
        return names
    machine = socket.gethostname().lower()
    return HostNames(names | {machine, f"{machine}.local", socket.getfqdn().lower()})


def check_post(exchange: Exchange) -> None:
    """Refuse what a browser sends for a page of another site, and what is too long.

    Raises:
        Refused: the request is one of these.
    """
    site = exchange.headers.get(b"sec-fetch-site", b"same-origin")
    if site != b"same-origin":
        message = "A page of another site may not send this."
        raise Refused(403, Mistake(message, code="cross_origin_request"))
    if len(exchange.body) > MAX_BODY_BYTES:
        message = f"Invalid body: it is longer than {MAX_BODY_BYTES} bytes."
        raise Refused(413, Mistake(message, code="body_too_large"))
