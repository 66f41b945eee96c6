"""Whether the processes of a Ray cluster that this one depends on are still there.

Ray itself waits a minute for a head that is gone, and then ends this process; it does not notice at all that
the Ray processes of this machine are gone. So their ports are asked, by nothing but a connection: the system
takes it, however slow the process behind it is.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from os import environ
from time import monotonic

GRACE_S = 25.0
"""Seconds without a connection to the head after which it is taken for gone."""
MOST_GRACE_S = 50.0
"""The most that a head may have: after 60 s Ray ends this process."""
GRACE_VARIABLE = "RAY_CLIENT_RECONNECT_GRACE_PERIOD"
"""Ray's variable for these seconds, which Ray reads for ray://HOST:PORT only."""
LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
OWN_NODE_GONE = "the Ray processes of this machine have ended"
MISSES = 3
"""Connections in a row that must fail besides, for the clock of a machine may leap, or its processes rest."""
_GONE = {
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH,
    errno.EHOSTDOWN, errno.ENETDOWN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a process."""

    host: str
    number: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.number}"

    def is_there(self, timeout_s: float = CONNECT_TIMEOUT_S) -> bool:
        """Whether a process listens, as far as is known: a fault of this machine says nothing of it."""
        try:
            socket.create_connection((self.host, self.number), timeout_s).close()
        except TimeoutError:
            return False
        except OSError as error:
            return error.errno not in _GONE
        return True


def port_at(address: str) -> Port | None:
    """The port of HOST:PORT; None if it is no such address."""
    host, _, number = address.rpartition(":")
    return Port(host.strip("[]"), int(number)) if host and number.isdigit() else None


def grace_s(*, by_client: bool) -> float:
    """Seconds for a head to answer again, as Ray's variable may say."""
    given = GRACE_S
    with suppress(ValueError):
        given = float(environ.get(GRACE_VARIABLE, GRACE_S))
    return given if by_client else min(given, MOST_GRACE_S)


class Watch:
    """A thread that asks the ports until one is lost for good, or `stop`.

    Args:
        head: where the head, or its port for clients, is; None if that is not known.
        own_node: where Ray's process of this machine is; None if this process does not depend on it.
        grace_s: how long the head may be away. A process of this machine does not come back.

    Attributes:
        lost: what is gone, for a sentence; empty as long as nothing is.
        own_node: as given, or found later.
    """

    def __init__(self, head: Port | None, own_node: Port | None, grace_s: float) -> None:
        self.lost = ""
        self.own_node = own_node
        self._head, self._grace_s = head, grace_s
        self._away_since: float | None = None
        self._misses = self._own_misses = 0
        self._on_loss: list[Callable[[], None]] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="graders-cluster-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def on_loss(self, call: Callable[[], None]) -> None:
        """Have this called, in the thread, when something is lost."""
        self._on_loss.append(call)

    def is_there_now(self) -> bool:
        """Whether nothing is lost, and all answer at once: then a call to Ray does not wait for them."""
        if self.lost or self._misses or self._own_misses:
            return False
        return self.own_node_is_there() and self._head_is_there(LOOK_EVERY_S)

    def _head_is_there(self, timeout_s: float) -> bool:
        return self._head is None or self._head.is_there(timeout_s)

    def own_node_is_there(self) -> bool:
        """Whether Ray's process of this machine is; Ray ends this process at once where it needs it."""
        return self.own_node is None or self.own_node.is_there()

    def lose(self, what: str) -> None:
        """Take it for lost."""
        if not self.lost:
            self.lost = what
            for call in self._on_loss:
                call()

    def look(self) -> None:
        """Ask each port once."""
        self._own_misses = 0 if self.own_node_is_there() else self._own_misses + 1
        if self._own_misses >= MISSES:
            self.lose(OWN_NODE_GONE)
            return
        began = monotonic()
        if self._head_is_there(CONNECT_TIMEOUT_S):
            self._away_since, self._misses = None, 0
            return
        self._misses += 1
        if self._away_since is None:
            self._away_since = began
        away_s = monotonic() - self._away_since
        if self._misses >= MISSES and away_s >= self._grace_s:
            self.lose(f"nothing has answered at {self._head} for {away_s:.0f} s")

    def _run(self) -> None:
        while not (self.lost or self._stopping.wait(LOOK_EVERY_S)):
            self.look()
