"""The port: what a sandbox is asked and what it answers.

Every sandbox promises: the source is run as it stands, as a module, in a process of its own, within
limits; two calls share nothing; nothing outlives its call; a reward is only ever what `grade`
returned in that process. What the graded code did to itself is a `Verdict`; what is not its doing
is an exception.

No sandbox promises: that code which a grader runs inside its own process cannot change that
grader's own reward (`child` says how far it is kept from it); that a fault in the kernel cannot be
used; that time is the same on a loaded machine.

Exceptions:
    SandboxError            something that the graded code did not do
      SandboxUnavailable    no sandbox of the wanted strength can be had here; says why and what helps
      WorkerLost            a worker went away twice under the same row
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

_GIB = 1 << 30


class SandboxError(Exception):
    """What went wrong is not the graded code's doing."""

    kind: ClassVar[str] = "sandbox_error"


class SandboxUnavailable(SandboxError):
    """No sandbox of the wanted strength can be had here."""

    kind = "sandbox_unavailable"


class WorkerLost(SandboxError):
    """A worker process went away before it could answer."""

    kind = "worker_lost"


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of one call, children and grandchildren included.

    Attributes:
        wall_s: seconds from the row's arrival to its answer.
        memory_bytes: memory of one process, and of all of a grade's processes together.
        disk_bytes: what may be written to the scratch folder.
        cpus: how many processors a grade may use.
        output_bytes: what may be printed before the grade is ended.
        processes: processes and threads at a time.
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
        name: the name of that module; `__name__` to the source.
        interpreter: the Python that runs it; None for the engine's own.
        seed: for `random` and numpy in each call; None for fresh entropy in each.
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
        """What tracebacks call the source."""
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one call ended.

    Attributes:
        kind: VALUE, or which fault of the graded code's it was.
        reward: a finite float for VALUE, else None.
        details: for people; after an exception it ends with the traceback of user code.
        stdout: what was printed, its first and last 8 KiB.
        stderr: the same for standard error.
        seconds: from the row's sending to the answer.
    """

    kind: Kind
    reward: float | None = None
    details: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


class Sandbox(Protocol):
    """Where untrusted python runs."""

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> Verdict:
        """Run the program on one row.

        Raises:
            SandboxUnavailable: there is no sandbox to run it in.
            WorkerLost: the sandbox broke, twice.
        """
        ...

    async def close(self) -> None:
        """End every process; later calls are refused."""
        ...


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
