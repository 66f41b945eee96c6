"""The lengths of the samples of a run, which are read behind when they are first asked for."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Lock, Thread
from typing import ClassVar
from weakref import WeakValueDictionary

from graders_engine.errors import DataSetError
from graders_engine.files import reason_of
from graders_engine.statistics.estimate import Floats
from graders_engine.view.columns import ViewColumns
from graders_engine.view.context import StillReading
from graders_engine.view.lengths.stored import StoredLengths, store_lengths, stored_at
from graders_engine.view.searching.folded import SEGMENT_BYTES, FoldedTexts, as_json
from graders_engine.view.searching.folding import IN_PLACE, LENGTHS, SILENT_S, Child, Stopped
from graders_engine.view.texts import DataRows, RunTexts

WAIT_S = 0.3
"""So long an answer waits for the lengths."""
LENGTHS_OF = "the lengths of the samples"
"""What is being read, in words."""


class LengthReader:
    """Reads the lengths of the samples of a data set, behind.

    Args:
        data: the data set.
    """

    _known: ClassVar[WeakValueDictionary[Path, LengthReader]] = WeakValueDictionary()
    _known_lock = Lock()

    def __init__(self, data: DataRows) -> None:
        self._data = data
        self._done_bytes, self._problem = 0, "it ended early"
        self._found: StoredLengths | None = None
        self._ended = Event()
        Thread(target=self._run, name="graders-view-lengths", daemon=True).start()

    @classmethod
    def of(cls, data: DataRows) -> LengthReader:
        """That of a data set, which all runs over it share; one that failed is begun again."""
        with cls._known_lock:
            found = cls._known.get(data.folder.path)
            if found is None or (found._ended.is_set() and found._found is None):
                found = cls._known[data.folder.path] = cls(data)
            return found

    def _run(self) -> None:
        try:
            self._found = self._read()
        except (OSError, ValueError, Stopped) as error:
            self._problem = reason_of(error)
        finally:
            self._ended.set()

    def _read(self) -> StoredLengths:
        path = stored_at(self._data)
        try:
            return StoredLengths.read(path)
        except (OSError, ValueError):  # not read yet, or damaged
            path.unlink(missing_ok=True)
        texts = FoldedTexts(self._data, SEGMENT_BYTES)

        def report(done: int) -> None:
            self._done_bytes = int(self._data.starts[texts.bounds[done]])

        if texts.count <= IN_PLACE:
            store_lengths(texts, report)
        else:
            child = Child(LENGTHS, as_json(texts))
            try:
                for done in child.answers(SILENT_S):
                    report(done)
            finally:
                child.stop()
        return StoredLengths.read(path)

    def found(self, wait_s: float = WAIT_S) -> StoredLengths:
        """The lengths.

        Args:
            wait_s: how long to wait for them.

        Raises:
            StillReading: they are being read.
            DataSetError: they cannot be read.
        """
        if not self._ended.wait(wait_s):
            raise StillReading(self._done_bytes, int(self._data.starts[-1]), LENGTHS_OF)
        if self._found is None:
            raise DataSetError(f"The lengths of the samples cannot be read: {self._problem}.")
        return self._found


class RunLengths:
    """The lengths of the samples of a run; threads may share it.

    Args:
        columns: the run.
        texts: its texts.
    """

    def __init__(self, columns: ViewColumns, texts: RunTexts) -> None:
        self._columns, self._texts = columns, texts
        self._column: Floats | None = None

    def column(self) -> Floats:
        """Of each row, the characters of its sample; NaN where that is not known.

        Raises:
            StillReading: they are being read.
            DataSetError: the data set is not there, not the one that was graded, or cannot be read.
        """
        if self._column is None:
            if not self._texts.wait(WAIT_S):
                raise StillReading(0, 0, "the data set")
            found = LengthReader.of(self._texts.data()).found()
            self._column = found.of(self._columns.lines, self._columns.numbers)
        return self._column
