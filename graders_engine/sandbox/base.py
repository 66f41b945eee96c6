"""The port: what a sandbox takes and what it gives back.

Every sandbox promises: the source is run unchanged, as a module, in its own process, within limits;
two calls share nothing; nothing outlives its call; a reward is only ever what `grade` returned in
that process. What the graded code causes is a `GradeResult`; what it does not cause is an exception.

No sandbox promises: that code which a grader runs inside its own process cannot change that
grader's own reward (`inside/child.py` says how far it is prevented); that a fault in the kernel
cannot be exploited; that a call takes the same time on a loaded machine.

Exceptions:
    SandboxError            a failure that the graded code did not cause
      SandboxUnavailable    this machine has no sandbox of the requested tier; says why and what helps
      WorkerLost            workers went away, and not because of the row
      RowsMix               a row ends otherwise where rows share a process than in one of its own
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, Protocol

import msgspec

_GIB = 1 << 30

Isolation = Literal["call", "worker"]
"""What a row has for itself: a process; or only its turn in a process that the rows of a program share."""


class SandboxError(Exception):
    """Raised when a call fails and the graded code did not cause it."""

    type: ClassVar[str] = "sandbox_error"
    """A short word for programs; the wire's `python_grader_server_error_type`."""


class SandboxUnavailable(SandboxError):
    """Raised when this machine has no sandbox of the requested tier, or the sandbox is closed."""

    type = "sandbox_unavailable"


class WorkerLost(SandboxError):
    """Raised when a worker process went away before it could answer."""

    type = "worker_lost"


class RowsMix(SandboxError):
    """Raised when a row ends otherwise in a process that rows share than in one of its own."""

    type = "rows_mix"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one call, its child processes included.

    Attributes:
        wall_s: from sending the row to its result.
        memory_bytes: of one process, and of all of a grade's processes together.
        disk_bytes: in the scratch folder.
        cpus: processors that a grade may use.
        output_bytes: printed to stdout and stderr together.
        processes: processes and threads at a time.

    Raises:
        ValueError: a limit is not above zero.

    Example:
        Limits(wall_s=10.0, memory_bytes=512 << 20)
    """

    wall_s: float = 120.0
    memory_bytes: int = 2 * _GIB
    disk_bytes: int = 1 * _GIB
    cpus: int = 2
    output_bytes: int = 64 << 20
    processes: int = 64

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above zero, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Program:
    """A source that defines `grade(sample, item)`, and what it is run with.

    Attributes:
        source: the text of a whole module.
        name: the module's `__name__`.
        interpreter: path of the Python that runs it; None for the engine's own.
        seed: for `random` and numpy, in each call; None for fresh entropy in each.

    Raises:
        ValueError: the name is not an identifier, or hides a module of the standard library.
    """

    source: str
    name: str = "grader"
    interpreter: str | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in sys.stdlib_module_names:
            raise ValueError(f"a module of graded code cannot be called {self.name!r}")

    @property
    def filename(self) -> str:
        """The file name of the source in tracebacks."""
        return f"{self.name}.py"


class Kind(StrEnum):
    """How a call ended."""

    VALUE = "value"
    EXCEPTION = "exception"
    BAD_RETURN = "bad_return"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    DISK = "disk"
    OUTPUT = "output"
    DIED = "died"


class GradeResult(msgspec.Struct, frozen=True):
    """How one call ended.

    Attributes:
        kind: VALUE, or what the graded code did instead of returning a number.
        reward: a finite float for VALUE, else None.
        details: for people; after an exception it ends with the traceback of user code.
        exception: name of the exception's type, after an exception. The process of the graded code
            reports it, so that code can choose it: use it for hints, never for a reward.
        stdout: what was printed, its first and last 8 KiB.
        stderr: likewise.
        seconds: from sending the row to the result.
    """

    kind: Kind
    reward: float | None = None
    details: str = ""
    exception: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


class Sandbox(Protocol):
    """Where untrusted python runs."""

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Run the program on one row, both parts of it encoded as JSON.

        Raises:
            SandboxUnavailable: there is no sandbox to run it in.
            WorkerLost: the worker was lost, so was a second one, and another row fares no better.
        """
        ...

    async def close(self) -> None:
        """End every process; later calls raise SandboxUnavailable."""
        ...


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
