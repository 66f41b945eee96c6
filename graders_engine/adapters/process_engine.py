"""A grader and the engine that runs it in this process, made when it is first needed."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from graders_engine.adapters.plain import NotJson, plain
from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader, ScopeOf
from graders_engine.errors import InvalidRequest, LifecycleError
from graders_engine.files import read_text
from graders_engine.graders.parse import json_values
from graders_engine.settings import settings_of


class ProcessEngine:
    """A grader with an engine of its own in each process; threads share it, and it can be pickled.

    Args:
        grader: a dict or any other mapping, JSON text, the path of a JSON file (also as `@path`), or an
            object of the `openai` package.
        settings: of the engine.

    Attributes:
        given: the grader, as JSON values.
        compiled: the same, compiled.
        scope: reads a row for it.
        waits: whether grading a row waits for something outside this process.

    Raises:
        InvalidRequest: the grader cannot be used.
        TypeError, ValueError: as from `EngineSettings`.
    """

    def __init__(self, grader: Any, settings: Mapping[str, Any]) -> None:
        self.given: dict[str, Any] = json_values(_values_of(grader))
        self._settings = dict(settings)
        settings_of(self._settings)
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Make an engine for this process; it opens nothing before a row needs it."""
        self._lock = threading.Lock()
        self._engine = Engine(**self._settings)
        self._is_open = False
        self.compiled: CompiledGrader = self._engine.compile(self.given)
        self.compiled.require_runnable()
        self.scope: ScopeOf = self.compiled.scope_reader()
        self.waits: bool = self.compiled.evaluator.waits
        self._process = os.getpid()  # at last: other threads may look at it meanwhile

    def here(self) -> ProcessEngine:
        """This object, with an engine of this process: a fork has its parent's, which it cannot use.

        Raises:
            LifecycleError: it is closed.
        """
        if self._process != os.getpid():
            with in_fork.lock:
                if self._process != os.getpid():
                    _FORKED.append(self._engine)
                    self._begin()
        if self._closed:
            raise LifecycleError("This reward is closed: make another one.")
        return self

    @property
    def engine(self) -> Engine:
        """The engine, open."""
        if not self._is_open:
            with self._lock:
                if not self._is_open:
                    self._engine.__enter__()
                    # Made after the engine's thread, it is called before it ends with the interpreter.
                    weakref.finalize(self, _close, self._engine)
                    self._is_open = True
        return self._engine

    def close(self) -> None:
        """Release what the engine holds; no row is graded after it. Closing twice is allowed."""
        if self._closed:
            return
        engine, self._closed = self.here()._engine, True
        engine.close()

    def __getstate__(self) -> dict[str, Any]:
        """What another process makes its engine of."""
        return {"grader": self.given, "settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make an engine of this process."""
        self.given, self._settings = state["grader"], state["settings"]
        self._closed = False
        self._begin()


class _InFork:
    """A lock that a fork finds open, also where the process that it was forked from held it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        if sys.platform != "win32":  # it has no forks
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


in_fork = _InFork()
_FORKED: list[Engine] = []
"""Engines of the process that this one was forked from: dropped, they would say that they are not closed."""


def _close(engine: Engine) -> None:
    with suppress(LifecycleError):  # the collector may run in the engine's own thread
        engine.close()


def file_of(grader: Any) -> Path | None:
    """The file that a grader is given as; None if it is no path."""
    if isinstance(grader, Path):
        return grader
    if isinstance(grader, str) and not grader.lstrip().startswith(("{", "[", '"')):
        return Path(grader.removeprefix("@"))
    return None


def _values_of(grader: Any) -> Any:
    """What a grader is given as, for `json_values`: the text of a file for its path, JSON for a mapping."""
    if (file := file_of(grader)) is not None:
        if file.suffix == ".py":
            raise InvalidRequest(
                f"{file} is Python source, and not a grader: pass "
                f'{{"type": "python", "source": Path("{file.as_posix()}").read_text()}}.'
            )
        try:
            return read_text(file)
        except OSError as error:
            raise InvalidRequest(f"The grader's file {file} cannot be read: {error}.") from None
        except UnicodeDecodeError:
            raise InvalidRequest(f"The grader's file {file} is not UTF-8.") from None
    if isinstance(grader, Mapping) and type(grader) is not dict:
        try:
            return plain(grader)
        except NotJson as error:
            raise InvalidRequest(f"The grader holds {error}, which is not JSON.") from None
    return grader
