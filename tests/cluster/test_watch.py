"""A cluster is lost where nothing takes a connection any more, and not where something is only slow."""

from __future__ import annotations

import math
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from graders_engine.cluster.watch import (
    GRACE_S,
    GRACE_VARIABLE,
    MISSES,
    MOST_GRACE_S,
    OWN_NODE_GONE,
    Port,
    Watch,
    grace_s,
    port_at,
)


@contextmanager
def listening(port: Port | None = None) -> Iterator[Port]:
    """A process that listens, and never takes a connection up, as one that has no time."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port.number if port else 0))
        listener.listen(100)
        yield Port("127.0.0.1", listener.getsockname()[1])


def gone() -> Port:
    with listening() as port:
        return port


def looked(watch: Watch, times: int) -> str:
    for _ in range(times):
        watch.look()
    return watch.lost


def test_a_head_that_refuses_connections_is_lost_after_its_time() -> None:
    head = gone()
    assert looked(Watch(head, None, 0.0), MISSES - 1) == ""
    assert looked(Watch(head, None, 0.0), MISSES) == f"nothing has answered at {head} for 0 s"
    assert looked(Watch(head, None, math.inf), 2 * MISSES) == ""


def test_a_head_that_takes_connections_is_there_however_slow_it_is() -> None:
    with listening() as head:
        watch = Watch(head, head, 0.0)
        assert looked(watch, 5 * MISSES) == ""
        assert watch.is_there_now()


def test_a_head_that_comes_back_has_all_of_its_time_again() -> None:
    head = gone()
    watch = Watch(head, None, 0.0)
    assert looked(watch, MISSES - 1) == ""
    assert not watch.is_there_now()
    with listening(head):
        assert looked(watch, 1) == ""
        assert watch.is_there_now()
    assert looked(watch, MISSES - 1) == ""
    assert looked(watch, 1) != ""


def test_the_process_of_this_machine_does_not_come_back() -> None:
    with listening() as head:
        watch = Watch(head, gone(), math.inf)
        assert looked(watch, MISSES - 1) == ""
        assert looked(watch, 1) == OWN_NODE_GONE
        assert not watch.is_there_now()


def test_a_fault_of_this_machine_says_nothing_of_a_cluster() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    head = gone()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))  # no socket can be made
    try:
        assert looked(Watch(head, head, 0.0), 2 * MISSES) == ""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_nothing_is_known_nothing_is_lost() -> None:
    assert looked(Watch(None, None, 0.0), 2 * MISSES) == ""


def test_a_loss_is_told_once_and_ends_the_thread() -> None:
    told = threading.Semaphore(0)
    watch = Watch(gone(), None, 0.0)
    watch.on_loss(told.release)
    watch.start()
    assert told.acquire(timeout=60)
    watch.lose("another reason")
    assert not told.acquire(timeout=0.05)
    assert watch.lost.startswith("nothing has answered")


@pytest.mark.parametrize(
    ("given", "by_client", "expected"),
    [
        ("", True, GRACE_S),
        ("soon", False, GRACE_S),
        ("3", False, 3),
        ("300", True, 300),
        ("300", False, MOST_GRACE_S),
    ],
)
def test_the_time_is_that_of_rays_variable(
    given: str, by_client: bool, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GRACE_VARIABLE, given)
    assert grace_s(by_client=by_client) == expected


@pytest.mark.parametrize("text", ["10.0.0.1:6379", "head:6379", "[fe80::1]:6379"])
def test_an_address_is_a_port(text: str) -> None:
    port = port_at(text)
    assert port is not None
    assert str(port) == text
    assert port_at("nowhere") is None
