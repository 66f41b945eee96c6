"""Child processes that make the texts of data sets ready to be searched, or try an expression on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Lock, Thread
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from graders_engine.evals.run.spec import environment_without_keys
from graders_engine.view.searching import folded
from graders_engine.view.searching.folded import FoldedTexts, Segment, as_json, missing
from graders_engine.view.texts import DataRows

IN_PLACE = 2
"""So many segments are made in this process: starting another one would take longer."""
WORKERS = 4
"""Processes that make segments, at most; and no more than there are processors."""
SILENT_S = 60.0
"""A process that has said nothing for so long is stopped; its own limit is on the time that it computes."""
FOLDS, MATCHES, LENGTHS = (
    (sys.executable, "-P", "-m", f"graders_engine.view.{name}")
    for name in ("searching.index_worker", "searching.expression_worker", "lengths.worker")
)
"""The commands of the processes that make texts searchable, look for an expression, and read lengths."""


class Stopped(Exception):
    """Raised when a process has not answered in time."""


class Child:
    """A child process, and what it says, line by line. It gets no keys of this process.

    Args:
        command: `FOLDS`, `MATCHES` or `LENGTHS`.
        task: what it is to do.
    """

    def __init__(self, command: Sequence[str], task: Any) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with a module of this package
            command,
            env=environment_without_keys(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._thread = Thread(target=self._listen, name="graders-view-child", daemon=True)
        self._thread.start()
        self.ask(task)

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def ask(self, task: Any) -> None:
        """Send one line; a child that has ended does not matter here."""
        assert self._process.stdin is not None  # noqa: S101 - for mypy: it is a pipe
        try:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return

    def answers(self, silent_s: float | None = None) -> Iterator[Any]:
        """What it says, until it ends.

        Args:
            silent_s: how long it may say nothing.

        Raises:
            Stopped: it said nothing for longer.
        """
        while True:
            try:
                line = self._lines.get(timeout=silent_s)
            except Empty:
                raise Stopped from None
            if not line:
                return
            yield json.loads(line)

    def kill(self) -> None:
        """End it without waiting for that; `stop` is to follow."""
        self._process.kill()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # what was not sent any more
                return


class Folding:
    """Makes the segments of a data set, behind.

    Args:
        texts: the segments.
    """

    _known: ClassVar[WeakValueDictionary[Path, Folding]] = WeakValueDictionary()
    _known_lock = Lock()

    def __init__(self, texts: FoldedTexts) -> None:
        self.texts = texts
        self._changed, self._building = Condition(), Lock()
        self._ready = {n for n in range(texts.count) if texts.is_there(n)}
        self._children: list[Child] = []
        self._wanted = 0

    @classmethod
    def of(cls, data: DataRows) -> Folding:
        """That of a data set, which all runs over it share."""
        with cls._known_lock:
            found = cls._known.get(data.folder.path)
            if found is None:
                found = cls._known[data.folder.path] = cls(FoldedTexts(data, folded.SEGMENT_BYTES))
            return found

    @property
    def percent(self) -> int | None:
        """How much is ready; None if all is."""
        count, ready = self.texts.count, len(self._ready)
        return None if ready >= count else ready * 100 // count

    def start(self) -> None:
        """Begin; each `start` needs a `release`."""
        with self._changed:
            self._wanted += 1
            left = [number for number in missing(self.texts) if number not in self._ready]
            if self._children or len(left) <= IN_PLACE:
                return
            workers = min(WORKERS, os.cpu_count() or 1, len(left))
            for first in range(workers):
                task = {"data": as_json(self.texts), "segments": left[first::workers]}
                child = Child(FOLDS, task)
                self._children.append(child)
                Thread(
                    target=self._follow, args=(child,), name="graders-view-folding", daemon=True
                ).start()

    def _follow(self, child: Child) -> None:
        for number in child.answers():
            with self._changed:
                self._ready.add(number)
                self._changed.notify_all()
        with self._changed:
            if child in self._children:
                self._children.remove(child)
            self._changed.notify_all()
        child.stop()

    def release(self) -> None:
        """Say that it is not needed any more; the processes end with the last who needs it."""
        with self._changed:
            self._wanted -= 1
            children = [] if self._wanted else list(self._children)
        for child in children:
            child.stop()

    def wait(self, number: int, wait_s: float) -> bool:
        """Whether a segment is ready, after waiting at most so long; it is made here if nobody else does.

        Raises:
            OSError: it cannot be made.
        """
        with self._changed:
            if number not in self._ready and self._children:
                self._changed.wait(wait_s)
            if number in self._ready:
                return True
            if self._children:
                return False
        with self._building:
            if not self.texts.is_there(number):
                self.texts.build(number)
        self._ready.add(number)
        return True

    def read(self, number: int) -> Segment:
        """A segment that is ready; it is made again if it is lost or damaged.

        Raises:
            OSError, ValueError: it cannot be made, or read.
        """
        try:
            return self.texts.read(number)
        except (OSError, ValueError):
            self.texts.build(number)
            return self.texts.read(number)

    def order(self) -> Iterable[int]:
        """The segments, those that are ready first."""
        return sorted(range(self.texts.count), key=lambda number: number not in self._ready)
