"""The syntax tree of a Python source, also where several threads read sources at once."""

from __future__ import annotations

import ast
import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.RLock()  # a handler of a signal may read a source, or fork, meanwhile
_IS_DISTURBED = sys.version_info < (3, 11, 8)
if hasattr(os, "register_at_fork"):  # a process that is forked meanwhile would wait for ever
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )


def module_tree(source: str) -> ast.Module:
    """The tree of a module.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: As `ast.parse`.
    """
    with _alone():
        return ast.parse(source)


def expression_tree(source: str) -> ast.Expression:
    """The tree of an expression; raises as `module_tree`."""
    with _alone():
        return ast.parse(source, mode="eval")


@contextmanager
def _alone() -> Iterator[None]:
    """No other thread reads a source, or changes which warnings are shown, meanwhile.

    Before Python 3.11.8 all threads count in one place how deep a tree is (python/cpython, issue 106905):
    where a collection of garbage lets another thread read a source too, `ast.parse` raises a SystemError.
    Without a collection no thread gives way, so that sources that other packages read do no harm either.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a user's string is not our warning
        collects = _IS_DISTURBED and gc.isenabled()
        try:
            if collects:
                gc.disable()
            yield
        finally:
            if collects:
                gc.enable()
