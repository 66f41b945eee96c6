"""The socket that a server listens on."""

from __future__ import annotations

import array
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator

from graders_engine.errors import InvalidRequest

BACKLOG = 4096
"""Connections that the system queues until they are accepted; Linux caps it at net.core.somaxconn."""
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_BPF_RETURN = 0x06  # BPF_RET | BPF_K of linux/bpf_common.h
_ESTABLISHED = 1  # TCP_ESTABLISHED of linux/tcp_states.h
_TRIES = 1000
"""So often a client may be faster; then the reset may happen."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; clients that connect wait until they are accepted.

    Args:
        host: an address, or a name that has one.
        port: 0 for any free port.

    Raises:
        InvalidRequest: the address cannot be used.
    """
    try:
        family, type_, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sets TCP_NODELAY only where the protocol is named.
        listener = socket.socket(family, type_, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once: two servers may be bound to one port as long as neither of them listens.
        listener.listen(BACKLOG)
        return listener
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequest(
            f"Cannot listen on {host} port {port}: {reason}. Choose others with --host and --port."
        ) from None


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url(listener: socket.socket) -> str:
    """Its address, as clients write it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def accept_last(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait in the system's queue; no further ones get into it.

    Closing the listener would reset them, although their clients may have sent a request.
    """
    listener.setblocking(False)
    if sys.platform != "linux" or _drop_packets(listener):
        yield from _waiting(listener)
        return
    listener.listen(0)  # one may still wait
    for _ in range(_TRIES):
        yield from _waiting(listener)
        if fill(listener):
            return


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the queue is empty
            return
        connection.setblocking(False)
        yield connection


def _drop_packets(listener: socket.socket) -> bool:
    """Let the system ignore clients that connect from now on; they try again, and are refused.

    Without this, a client that connects between the last `accept` and the close is reset. It is done by a
    socket filter (socket(7), SO_ATTACH_FILTER) of one instruction: keep 0 bytes. Only Linux has these.

    Returns:
        Whether it does; some systems allow filters to root alone.
    """
    instruction = array.array("B", struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, instruction.buffer_info()[0])
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def fill(listener: socket.socket) -> bool:
    """Take the only place of a queue, so that the system ignores clients that connect from now on.

    Returns:
        Whether the place was free; else a client has it.
    """
    with socket.socket(listener.family, listener.type, listener.proto) as own:
        own.setblocking(False)
        own.connect_ex(listener.getsockname())
        # It stays in the queue when it is closed at this end.
        info: int = getattr(socket, "TCP_INFO")  # noqa: B009 - Windows does not have it
        return own.getsockopt(socket.IPPROTO_TCP, info, 1)[0] == _ESTABLISHED
