"""The confinement of a worker, tier by tier.

`enter` runs first, in the launcher; `seal` last in the template, after its imports; `drop_privileges`
in each grade. Nothing can be undone after `seal`.
"""

from __future__ import annotations

import contextlib
import os
import sys

from graders_engine.sandbox.inside import landlock, libc, limits, namespaces, seccomp
from graders_engine.sandbox.inside.plan import DEVICES, NAMESPACES, NONE, PLACES, TMP, Plan

_SIGKILL = 9


class Unconfined(Exception):
    """Raised when this machine does not allow the confinement; that of another tier may work."""


class Confinement:
    """The confinement of one worker."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._filter: seccomp.Filter | None = None
        self._proc = -1  # a descriptor of /proc, until user code can run
        self._self: int | None = None

    @property
    def has_pid_namespace(self) -> bool:
        """Whether each grade is process 1 of a namespace, so that all it started ends with it."""
        return self._plan.tier == NAMESPACES

    @property
    def places(self) -> list[str]:
        """Where a grade may write."""
        return list(PLACES) if self.has_pid_namespace else [self._plan.folder]

    def kept(self, place: str) -> set[str]:
        """The entries of a place that are shown from the host, and must not be cleared."""
        return set(namespaces.kept_below_tmp(self._plan)) if place == TMP else set()

    def enter(self) -> None:
        """Apply what must hold before the template is forked.

        Raises:
            Unconfined: this machine does not allow it.
        """
        try:
            self._enter()
        except OSError as error:
            raise Unconfined(str(error)) from error

    def _enter(self) -> None:
        if sys.platform == "linux":
            self._proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
            if not os.access("self/statm", os.R_OK, dir_fd=self._proc):
                raise OSError("nothing is mounted at /proc")
        if self._plan.tier == NAMESPACES:
            namespaces.enter(self._plan)
        else:
            os.chdir(self._plan.folder)

    def mapped_bytes(self) -> int:
        """The size of the address space; read by a descriptor, since the private root has no /proc."""
        if self._proc < 0:
            return 0
        with open(os.open("self/statm", os.O_RDONLY, dir_fd=self._proc), "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def memory_limited(self) -> contextlib.AbstractContextManager[None]:
        """Limits the template as `seal` does, but for a while: what it reads may be hostile."""
        mapped = self.mapped_bytes()
        return (
            limits.memory_at_most(mapped + self._plan.memory_bytes)
            if mapped
            else contextlib.nullcontext()
        )

    def threads(self) -> int:
        """How many threads this process has, native ones included."""
        if self._proc < 0:
            return 1
        folder = os.open("self/task", os.O_RDONLY, dir_fd=self._proc)
        try:
            return len(os.listdir(folder))
        finally:
            os.close(folder)

    def seal(self) -> None:
        """Confine the template for good; every later fork inherits it. Raises like `enter`."""
        try:
            self._seal()
        except OSError as error:
            raise Unconfined(str(error)) from error

    def _seal(self) -> None:
        plan = self._plan
        mapped = self.mapped_bytes()
        if self._proc >= 0:
            os.close(self._proc)
            self._proc = -1
        if plan.tier == NONE:
            if sys.platform == "linux":
                libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
                limits.apply(plan, mapped, count_processes=False)
            return
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        limits.apply(plan, mapped, count_processes=plan.tier == NAMESPACES)
        if plan.tier == NAMESPACES:
            self._self = os.pidfd_open(os.getpid())
            if landlock.version():
                landlock.restrict(["/"], self.places, DEVICES)
            seccomp.Filter(seccomp.TEMPLATE).load(os.getpid())
        else:
            libc.drop_capabilities()
            landlock.restrict(plan.readable, self.places, DEVICES)
            self._filter = seccomp.Filter(seccomp.GRADE_ALONE)

    def fork_template(self) -> int:
        """Fork another template, which ends with this one."""
        pid = os.fork()
        if not pid and sys.platform == "linux":
            libc.prctl(libc.PR_SET_PDEATHSIG, _SIGKILL)
            if self._self is not None:
                self._self = os.pidfd_open(os.getpid())
            if self._plan.tier == NONE:
                libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        return pid

    def fork(self) -> int:
        """Fork one grade; in the strong tier as process 1 of a new pid namespace."""
        if self._self is None:
            return os.fork()
        libc.unshare(libc.CLONE_NEWPID)
        pid = os.fork()
        if pid:
            libc.setns(self._self, libc.CLONE_NEWPID)
        return pid

    def drop_privileges(self) -> None:
        """In the grade, before user code: give up what only the template needs."""
        if self._plan.tier == NAMESPACES:
            # A process group of its own: kill(0, …) would reach the template and other rows' grades.
            os.setsid()
            libc.drop_capabilities()
            return
        if sys.platform == "linux":
            # without a namespace nothing else ends it together with its template
            libc.prctl(libc.PR_SET_PDEATHSIG, _SIGKILL)
        if self._filter is not None:
            self._filter.load(os.getpid())
        else:
            os.setsid()

    def kill_strays(self, kept: set[int]) -> None:
        """Kill the processes that a grade has left, where no namespace does it; not those in `kept`."""
        if self._plan.tier != NONE or sys.platform != "linux":
            return  # its filter forbids processes; or this system cannot list them
        # the children of a process that has ended become ours, one generation after the other
        while strays := _children_of(os.getpid()) - kept:
            for stray in strays:
                os.kill(stray, _SIGKILL)
                os.waitpid(stray, 0)


def _children_of(parent: int) -> set[int]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.add(int(name))
    return found
