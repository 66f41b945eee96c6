"""Checks items against a schema without holding up the process.

The validator holds the interpreter's lock while it checks an item, so that no other thread runs. An item
whose check may take long is checked by a process of its own, which has a limit on time and memory. This
file is also that process's program.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from graders_engine.errors import GradersError, LifecycleError
from graders_engine.evals.requests.item_schema import ItemSchema
from graders_engine.evals.run.spec import environment_without_keys
from graders_engine.language import strict_json

MAX_FAULTS = 20
"""Most faults of one item that are reported."""
LONGEST_S = 60
"""Seconds that the slow items of a request may take."""
_QUICK, _QUICK_TO_EXPLAIN = 4_000_000, 40_000
"""Most steps of a check in this process, some 50 ms, and of one that also says why an item does not fit."""
_LIMIT_BYTES = 2 << 30
_SLOTS = threading.BoundedSemaphore(4)
"""As many processes at a time: the other threads of the store stay free."""

_ENDED = threading.Event()
_RUNNING: set[subprocess.Popen[bytes]] = set()
Found = tuple[str, str]


class TooSlow(GradersError):
    """Raised when items were not checked in time; the message is a sentence."""


class ChecksBusy(GradersError):
    """Raised when as many slow checks run as may."""


def end_checks() -> None:
    """End the checks in progress, and make no others: this process stops."""
    _ENDED.set()
    for process in list(_RUNNING):
        process.kill()


class ItemCheck:
    """Checks the items of one request.

    Args:
        schema: of an item.
    """

    def __init__(self, schema: ItemSchema) -> None:
        self._schema, self._apart = schema, contextlib.ExitStack()
        self._process: _Process | None = None

    def __enter__(self) -> ItemCheck:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._apart.close()

    def faults(self, item: Any) -> list[Found]:
        """(path, reason) of the first faults of an item; usually none.

        Raises:
            ChecksBusy: the item needs a process, and there are as many as may be.
            TooSlow: all items of the request together took too long.
            LifecycleError: this process stops.
        """
        _require_running()
        text = strict_json.encode(item)
        steps = self._schema.cost.of(len(text))
        if steps <= _QUICK:
            if self._schema.fits(item):
                return []
            if steps <= _QUICK_TO_EXPLAIN:
                return list(islice(self._schema.faults(item), MAX_FAULTS))
        if self._process is None:
            self._process = self._apart.enter_context(_process(self._schema))
        return self._process.faults(text)


@contextlib.contextmanager
def _process(schema: ItemSchema) -> Iterator[_Process]:
    if not _SLOTS.acquire(blocking=False):
        raise ChecksBusy(
            "The rows of other runs are checked against schemas that take long: retry when that is done, or "
            "simplify `item_schema`."
        )
    try:
        with subprocess.Popen(  # noqa: S603 - this module, by the Python that runs it now
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_without_keys(),
        ) as process:
            timer = threading.Timer(LONGEST_S, process.kill)
            timer.daemon = True
            timer.start()
            _RUNNING.add(process)
            try:
                yield _Process(process, schema)
            finally:
                timer.cancel()
                _RUNNING.discard(process)
                process.kill()
                with contextlib.suppress(BrokenPipeError):
                    process.communicate()
    finally:
        _SLOTS.release()


def _require_running() -> None:
    if _ENDED.is_set():
        raise LifecycleError("Rows are not checked any more: the server stops.")


class _Process:
    def __init__(self, process: subprocess.Popen[bytes], schema: ItemSchema) -> None:
        self._process = process
        self._ask(strict_json.encode(schema.source))

    def faults(self, text: bytes) -> list[Found]:
        answer = self._ask(text)
        return [(path, reason) for path, reason in strict_json.decode(answer)]

    def _ask(self, line: bytes) -> bytes:
        stdin, stdout, answer = self._process.stdin, self._process.stdout, b""
        if stdin and stdout:
            with contextlib.suppress(BrokenPipeError):  # it was killed
                stdin.write(line + b"\n")
                stdin.flush()
                answer = stdout.readline()
        if not answer.endswith(b"\n"):
            _require_running()
            raise TooSlow(
                f"the rows cannot be checked within {LONGEST_S} s and {_LIMIT_BYTES >> 30} GiB of memory: "
                "simplify the eval's `item_schema`, or send fewer rows."
            )
        return answer


def _main() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_BYTES, _LIMIT_BYTES))
    lines, out = sys.stdin.buffer, sys.stdout.buffer
    schema = ItemSchema(strict_json.decode(lines.readline()))
    out.write(b"[]\n")
    out.flush()
    for line in lines:
        item = strict_json.decode(line)
        found = [] if schema.fits(item) else [*islice(schema.faults(item), MAX_FAULTS)]
        out.write(strict_json.encode(found) + b"\n")
        out.flush()


if __name__ == "__main__":
    _main()
