"""The file that a download writes: what came before it was interrupted stays, and is not asked for again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from graders_engine.errors import DataSetError
from graders_engine.evals.hosted.export import EVAL, OUTPUT_ITEM, RUN, total_of
from graders_engine.evals.wire import ACTIVE
from graders_engine.files import beside, replace_by, require_free, require_regular
from graders_engine.language import strict_json
from graders_engine.storage.lock import hold_at_once

_WHERE = "The evals cannot be downloaded"
_PRIVATE = 0o600


class Part:
    """The objects of a download, one on a line, under the export's name with `.part` at its end.

    After the output items of a run there is an empty list page with its `run_id`: all of them are there.
    It continues from what an interrupted download left, or else from the export that is there.

    Args:
        export: the name that the file gets in the end.

    Attributes:
        path: the file until then.
        objects: how many evals, runs and output items are in it.
        whole: the runs all of whose output items are in it.

    Raises:
        DataSetError: what is there cannot be read, or is no file of this kind.
    """

    def __init__(self, export: Path) -> None:
        self.path = beside(export, ".part")
        self._export = export
        self.objects = 0
        self.whole: set[str] = set()
        # Of each run, its output items that were there at the start.
        self._before: dict[str, set[str]] = {}
        self._items: Counter[str] = Counter()
        # Of evals and runs, the line and the digest of the newest version.
        self._newest: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._replaced: set[int] = set()
        self._lines = self._bytes = 0
        self._is_ended = True
        self._file: BinaryIO | None = None
        require_regular(export, _WHERE)
        require_free([self.path], _WHERE)
        try:
            sizes = {file: file.stat().st_size for file in (export, self.path) if file.exists()}
            # A download begins with a copy of the export: a smaller file is not one of this kind.
            self._from = max(sizes, key=lambda file: sizes[file], default=None)
            self._size = sizes.get(self._from, 0) if self._from else 0
            if self._from is not None:
                self._read(self._from)
        except OSError as error:
            raise DataSetError(f"{_WHERE}: {export}: {error.strerror}.") from None

    def _read(self, file: Path) -> None:
        with file.open("rb") as lines:
            for line in lines:
                value = _object_in(line)
                if value is None:
                    if not line.endswith(b"\n"):  # the process was killed while it wrote it
                        return
                    raise DataSetError(
                        f"{file}, line {self._lines + 1}: this is no JSON object, so the download cannot "
                        "go on in this file. Move it away, or name another folder."
                    )
                self._bytes += len(line)
                self._is_ended = line.endswith(b"\n")
                run_id = value.get("run_id")
                if value.get("object") == OUTPUT_ITEM:
                    self._before.setdefault(str(run_id), set()).add(str(value.get("id")))
                elif value.get("object") == "list" and isinstance(run_id, str):
                    self.whole.add(run_id)
                    self._lines += 1
                    continue
                self._note(value, line)

    def __enter__(self) -> Self:
        """Open the file to write more to it.

        Raises:
            OSError: it cannot be written.
            DataSetError: another download writes to it.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._from == self._export:
            with self._export.open("rb") as before:
                replace_by(self.path, lambda file: shutil.copyfileobj(before, file), _PRIVATE)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, _PRIVATE)
        self._file = os.fdopen(descriptor, "wb")
        if not hold_at_once(descriptor) or os.fstat(descriptor).st_size != self._size:
            self._file.close()
            raise DataSetError(
                f"{_WHERE}: another download writes to {self.path}. Wait for its end."
            )
        self.path.chmod(_PRIVATE)
        self._file.truncate(self._bytes)
        self._file.seek(self._bytes)
        if not self._is_ended:
            self._file.write(b"\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def add(self, value: dict[str, Any]) -> None:
        """Add an eval, a run or an output item; one that is there is not added again.

        Of two versions of an eval or a run, the export has the new one.
        """
        line = _line(value)
        if value.get("object") == OUTPUT_ITEM:
            if str(value["id"]) in self._before.get(str(value.get("run_id")), ()):
                return
        elif self._newest.get(_key(value), (0, b""))[1] == _digest(line):
            return
        self._write(line)
        self._note(value, line)

    def is_whole(self, run: dict[str, Any]) -> bool:
        """Whether all output items of a run are there, as many as it counts, and there will be no more."""
        run_id, total = str(run["id"]), total_of(run)
        lacks = total is not None and self._items[run_id] < total
        return run_id in self.whole and run.get("status") not in ACTIVE and not lacks

    def items_of(self, run_id: str) -> int:
        """How many output items of a run are there."""
        return self._items[run_id]

    def end_run(self, run_id: str) -> None:
        """Note that all output items of a run are there."""
        self._write(_line({"object": "list", "data": [], "has_more": False, "run_id": run_id}))
        self._lines += 1
        self.whole.add(run_id)

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            OSError: it cannot be written; it stays under the name that it has.
        """
        assert self._file is not None  # noqa: S101 - it was opened
        os.fsync(self._file.fileno())
        self._file.close()
        if self._replaced:
            replace_by(self._export, self._copy_newest, _PRIVATE)
            self.path.unlink()
        else:
            self.path.replace(self._export)

    def _copy_newest(self, file: BinaryIO) -> None:
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number not in self._replaced:
                    file.write(line)

    def _write(self, line: bytes) -> None:
        assert self._file is not None  # noqa: S101 - it was opened
        self._file.write(line)
        self._file.flush()  # it stays if the process is killed

    def _note(self, value: dict[str, Any], line: bytes) -> None:
        if value.get("object") == OUTPUT_ITEM:
            self._items[str(value.get("run_id"))] += 1
        elif value.get("object") in (EVAL, RUN):
            if _key(value) in self._newest:
                self._replaced.add(self._newest[_key(value)][0])
                self.objects -= 1
            self._newest[_key(value)] = self._lines, _digest(line)
        self.objects += 1
        self._lines += 1


def _object_in(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _line(value: dict[str, Any]) -> bytes:
    return strict_json.encode(value) + b"\n"


def _key(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("object")), str(value.get("id"))


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
