"""Limits that the kernel enforces by itself, set once in the template and inherited by every grade.

They apply to each process, except the number of processes, which applies to the user of the
namespace. The watchdog enforces the rest: memory summed over the processes of a grade, wall time,
and total disk where the scratch folder has no file system of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource

from graders_engine.sandbox.inside.plan import OPEN_FILES, SPARES, TEMPLATES, Plan

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMERS = 4096  # and signals that wait: the kernel counts both for the user
_NEEDED_FILES = 48
_LOCKED_BYTES = 64 << 10
# the launcher, the templates, their cleaners and the waiting grades count as well
_OURS = 1 + 2 * TEMPLATES + SPARES


def allow_descriptors() -> None:
    """Raise the limit on descriptors to what `apply` leaves to a grade, as far as this is permitted.

    Raises:
        OSError: too few are left for a template and the grades that are forked ahead.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < OPEN_FILES:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
        except (ValueError, OSError):  # only root may raise this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if hard < _NEEDED_FILES:
                reason = (
                    f"the limit on open files (`ulimit -n`) is {hard}; {_NEEDED_FILES} are needed"
                )
                raise OSError(errno.EMFILE, reason) from None
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))


def apply(plan: Plan, mapped: int, *, count_processes: bool) -> None:
    """Set the limits; `mapped` bytes, the template's own address space, are added to the memory."""
    _lower(resource.RLIMIT_AS, mapped + plan.memory_bytes)
    _lower(resource.RLIMIT_FSIZE, plan.disk_bytes)
    _lower(resource.RLIMIT_CPU, plan.cpu_s)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_MEMLOCK, _LOCKED_BYTES)
    _lower(resource.RLIMIT_MSGQUEUE, 0)
    _lower(resource.RLIMIT_SIGPENDING, _TIMERS)
    if count_processes:
        _lower(resource.RLIMIT_NPROC, plan.processes + _OURS)
    if plan.affinity:
        os.sched_setaffinity(0, plan.affinity)


@contextlib.contextmanager
def memory_at_most(count: int) -> Iterator[None]:
    """Meanwhile the address space may have that many bytes, or as many as before if that is fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = [value for value in (soft, hard, count) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(allowed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
