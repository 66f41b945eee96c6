"""A call that may block is waited for so long, and whoever does not get what it gives has it undone."""

from __future__ import annotations

import _thread
import threading
import time

import pytest

from graders_engine.cluster.bounded import within

LONG_S = 60.0


def test_what_the_call_gives_and_raises_is_passed_on() -> None:
    assert within(LONG_S, lambda: None) is None
    assert within(LONG_S, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(LONG_S, lambda: 1 // 0)


def test_a_call_that_succeeds_too_late_is_undone_once() -> None:
    may_end, undone = threading.Event(), threading.Semaphore(0)
    with pytest.raises(TimeoutError, match=r"no end within 0\.01 s"):
        within(0.01, may_end.wait, undone.release)
    assert not undone.acquire(blocking=False)
    may_end.set()
    assert undone.acquire(timeout=LONG_S)
    assert not undone.acquire(timeout=0.05)


def test_undoing_that_fails_after_the_wait_is_over_says_nothing() -> None:
    may_end, undone = threading.Event(), threading.Event()

    def undo() -> None:
        undone.set()
        raise ConnectionError

    with pytest.raises(TimeoutError):
        within(0.01, may_end.wait, undo)
    (thread,) = (one for one in threading.enumerate() if one.name == "graders-connect")
    may_end.set()
    thread.join(LONG_S)
    assert undone.is_set()


def test_a_call_that_fails_too_late_is_not_undone() -> None:
    may_end, ended, undone = threading.Event(), threading.Event(), threading.Event()

    def fail() -> None:
        may_end.wait()
        ended.set()
        raise OSError

    with pytest.raises(TimeoutError):
        within(0.01, fail, undone.set)
    may_end.set()
    assert ended.wait(LONG_S)
    assert not undone.wait(0.05)


def test_a_call_that_is_over_is_not_waited_for_and_is_undone() -> None:
    may_end, is_over, undone = threading.Event(), threading.Event(), threading.Event()
    threading.Timer(0.01, is_over.set).start()
    with pytest.raises(TimeoutError):
        within(LONG_S, may_end.wait, undone.set, is_over.is_set)
    may_end.set()
    assert undone.wait(LONG_S)


def test_an_interrupt_ends_the_wait_and_has_the_call_undone() -> None:
    may_end, undone = threading.Event(), threading.Event()

    def interrupt() -> None:
        time.sleep(0.05)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        within(LONG_S, may_end.wait, undone.set)
    may_end.set()
    assert undone.wait(LONG_S)


def test_an_interrupt_is_what_its_receiver_gets_also_if_undoing_fails() -> None:
    may_end, calls = threading.Event(), []

    def call() -> None:
        calls.append(threading.current_thread())
        may_end.wait()

    def interrupted() -> bool:
        if not calls:
            return False
        may_end.set()
        calls[0].join(LONG_S)  # so that it is undone here
        raise KeyboardInterrupt

    def fail() -> None:
        raise OSError

    with pytest.raises(KeyboardInterrupt):
        within(LONG_S, call, fail, interrupted)
