"""A results file: one line a row, append-only, so that nothing written is lost however a run ends.

Next to a results file `r.jsonl`, `r.jsonl.meta.json` says which grader, data and settings gave it. A run that
finds both, with the same three, resumes after the last whole line. `r.jsonl.index.sqlite` says which bytes of
the data the lines came from (`scoring.index.Index`). While a run writes, `r.jsonl.lock` keeps other runs out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedWriter, FileIO
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from graders_engine.dataset.results.companions import SUBJECT, index_path, lock_path
from graders_engine.dataset.results.line import ResultLine, encode_results, results_in
from graders_engine.dataset.results.meta import (
    COMPLETE,
    GRADED_ON,
    METRICS_CORE,
    THIS_MACHINE,
    check_meta,
    drop_description,
    meta_path,
    record_core,
    record_place,
    write_meta,
)
from graders_engine.errors import DataSetError
from graders_engine.files import require_regular, temporary_for
from graders_engine.metrics import core

if TYPE_CHECKING:
    from filelock import BaseFileLock

WRITE_BYTES = 1 << 18
"""Results are written at the latest when they have this many bytes."""
WRITE_S = 0.5
"""Results are written at the latest after these seconds (checked whenever one is added)."""
SYNC_S = 2.0
"""Seconds between two syncs to the disk; a power cut loses the results after the last sync."""
LOCK_WAIT_S = 0.3
"""A run waits so long for its lock: `graders view` may have it for a moment, to see whether a run does."""


class ResultsFile:
    """An open results file; only one run may have it open. While it adds results, another thread may `flush`.

    Args:
        path: the file.
        identity: what gives the results: JSON values, compared with those of the file.
        overwrite: start over even if there are results; they stay until there are new ones, or `begin`.
        place: where new results come from, which need not be the same.

    Raises:
        DataSetError: another run has it open, or it holds other results, or it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        *,
        overwrite: bool = False,
        place: str = THIS_MACHINE,
    ) -> None:
        self.path, self._place = path, place
        self.index_path = index_path(path)
        self._writing = RLock()
        self._held: list[bytes] = []
        self._held_bytes = 0
        # After an interrupted write, append nothing more: the last line may be torn.
        self._torn = False
        self._begins_as: dict[str, Any] | None = None
        self._continues = False
        self._written_at = self._synced_at = monotonic()
        self._temporary = temporary_for(path)
        require_regular(path, SUBJECT)
        self._lock = _lock(path)
        try:
            self._created = not path.exists()
            self._file = self._open_file()
            try:
                for temporary in (self._temporary, temporary_for(meta_path(path))):
                    temporary.unlink(missing_ok=True)  # of a run that was killed
                self._continue_or_begin(identity, overwrite=overwrite)
            except BaseException:
                # What is raised is why it cannot be begun: on a network disk, closing may fail of it, too.
                for undo in (self._file.close, self.discard):
                    with suppress(OSError):
                        undo()
                raise
        except BaseException:
            _unlock(self._lock)
            raise

    def _open_file(self) -> FileIO:
        try:
            file = FileIO(self.path, "a+")
        except OSError as error:
            raise self._unwritable(self.path, error) from None
        try:
            _lock_too(file)
        except BlockingIOError:
            file.close()
            raise _another_run(self.path) from None
        return file

    @staticmethod
    def _unwritable(path: Path, error: OSError, hint: str = "") -> DataSetError:
        return DataSetError(f"{SUBJECT}: {path}: {error.strerror}.{hint}")

    def _continue_or_begin(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Continue after the last whole line of the same run, or begin a new one."""
        size = os.fstat(self._file.fileno()).st_size
        if size and not overwrite:
            check_meta(self.path, identity)
            drop_description(self.path)
            self._cut_torn_line(size)
            self._continues = True
            return
        elsewhere = {} if self._place == THIS_MACHINE else {GRADED_ON: [self._place]}
        self._begins_as = {
            **identity,
            METRICS_CORE: core.ACTIVE,
            COMPLETE: False,
            **elsewhere,
        }
        if not size:
            self.begin()

    def begin(self) -> None:
        """Drop the old results, if this is to start over and has not yet.

        Raises:
            DataSetError: they cannot be changed.
        """
        if self._begins_as is None:
            return
        try:
            self._file.truncate(0)
        except OSError as error:  # an append-only file
            raise self._unwritable(self.path, error) from None
        write_meta(self.path, self._begins_as)
        self._begins_as = None

    def _cut_torn_line(self, size: int) -> None:
        """End the file after its last whole line."""
        end = size
        while end:
            start = max(0, end - WRITE_BYTES)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            self._file.truncate(end)

    def discard(self) -> bool:
        """Remove what this object made, if it made the file and no results are in it: nothing has begun.

        Returns:
            Whether it did.
        """
        if not self._created or self._held or self.path.stat().st_size:
            return False
        for path in (self.path, meta_path(self.path)):
            path.unlink(missing_ok=True)
        return True

    def read(self) -> Iterator[tuple[int, ResultLine]]:
        """The results in the file, each with the offset of its end; old ones that are replaced are left out.

        Raises:
            DataSetError: a line is not a result.
        """
        return results_in(self.path) if self._begins_as is None else iter(())

    def truncate(self, size: int) -> None:
        """Truncate to this many bytes."""
        self._file.truncate(size)

    def add(self, result: ResultLine) -> None:
        """Append a result; it is written at the latest by the next `flush`."""
        self.add_lines(encode_results([result]))

    def add_lines(self, lines: bytes) -> None:
        """Append whole lines; they are written at the latest by the next `flush`."""
        with self._writing:
            self._held.append(lines)
            self._held_bytes += len(lines)
            if self._held_bytes >= WRITE_BYTES or monotonic() - self._written_at >= WRITE_S:
                self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Write the results that are held back.

        Args:
            sync: sync to the disk, too; without it, that is done every `SYNC_S` seconds.

        Raises:
            DataSetError: the disk is full, or gone; the whole lines before that are kept.
        """
        with self._writing:
            if not self._torn:
                self._flush(sync=sync)

    def _flush(self, *, sync: bool) -> None:
        self._torn = True
        try:
            if self._held:
                self.begin()
                if self._continues:
                    record_core(self.path, core.ACTIVE)
                    record_place(self.path, self._place)
                    self._continues = False
                held, self._held, self._held_bytes = self._held, [], 0
                self._write_all(b"".join(held))
            self._written_at = monotonic()
            if sync or self._written_at - self._synced_at >= SYNC_S:
                os.fsync(self._file.fileno())
                self._synced_at = monotonic()
        except OSError as error:
            hint = " Results written so far are kept; run the same command again to resume."
            raise self._unwritable(self.path, error, hint) from None
        self._torn = False

    def _write_all(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace all results by these lines; however this ends, the file has either the old or the new.

        Raises:
            DataSetError: they cannot be written.
        """
        try:
            try:
                with FileIO(self._temporary, "x") as file:
                    buffered = BufferedWriter(file, WRITE_BYTES)
                    buffered.writelines(lines)
                    buffered.flush()
                    os.fsync(file.fileno())
                self._file.close()  # Windows does not replace an open file
                target = Path(os.path.realpath(self.path))
                self._temporary.replace(target)
                _sync_folder(target.parent)
            finally:
                self._temporary.unlink(missing_ok=True)
                if self._file.closed:
                    self._file = self._open_file()
        except OSError as error:
            hint = " The old ones are unchanged."
            raise self._unwritable(self._temporary, error, hint) from None
        record_place(self.path, self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush(sync=True)
        finally:
            self._file.close()
            _unlock(self._lock)


def _lock(path: Path) -> BaseFileLock:
    """Keep other runs out, until `_unlock`.

    The lock is on a file of its own, which `replace` does not touch: results that are opened while it is held
    are the current ones. For a symbolic link, it is the lock of the file that the link refers to.
    """
    from filelock import FileLock, Timeout  # takes 40 ms

    of = lock_path(path)
    lock = FileLock(of, thread_local=False)
    try:
        # filelock would create a missing folder, and takes some errors for the lock of another process.
        os.close(os.open(of, os.O_RDWR | os.O_CREAT, 0o644))
        lock.acquire(timeout=LOCK_WAIT_S)
    except Timeout:
        raise _another_run(path) from None
    except OSError as error:
        named = of if of.exists() else path
        raise DataSetError(f"{SUBJECT}: {named}: {error.strerror}.") from None
    return lock


def _another_run(path: Path) -> DataSetError:
    return DataSetError(f"Another run is writing to {path}: wait for it, or end it.")


def _lock_too(file: FileIO) -> None:
    """Lock the results themselves as well, where the system can.

    It keeps out a run whose lock file somebody removed, and versions that lock only the results.

    Raises:
        BlockingIOError: another run has them locked.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks: the lock file has to do
        return


def _unlock(lock: BaseFileLock) -> None:
    if (
        sys.platform == "win32"
    ):  # there, an open file cannot be removed: not ours, and not another run's
        lock.release()
    # While it is still held: a run that opened it before finds it removed, and is refused.
    with suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()


def _sync_folder(folder: Path) -> None:
    """Make a renamed file durable; not every system can sync a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
