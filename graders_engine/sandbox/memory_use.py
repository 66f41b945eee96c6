"""The memory of a grade's processes, with what the kernel keeps for them, read through the host's /proc.

Two readings. `at_most` is quick and counts shared pages once for each process; only where it passes
a limit is `exactly` worth its time. What neither counts is bounded by other limits: `beyond_limit`.
"""

from __future__ import annotations

import functools
import mmap
import time
from pathlib import Path

from graders_engine.sandbox.inside.plan import MAX_FILES, NAMESPACES, OPEN_FILES, SPARES, TEMPLATES

_PAGE = mmap.PAGESIZE
_MAPPING = 300  # bytes of the kernel for one mapping, its name included
# of each grade's channel, of each cleaner's, and between the templates
_OUR_SOCKETS = 2 * (1 + SPARES + TEMPLATES + 1)
_CHUNK = 1 << 20
_EXACT_S = 0.2  # of processor time: the watchdog keeps the time of all grades meanwhile
_COUNTED = (b"VmRSS", b"VmSwap", b"VmPTE", b"HugetlbPages")
_PROPORTIONAL = (b"Pss", b"SwapPss", b"Private_Hugetlb", b"Shared_Hugetlb")


class Status:
    """What the kernel says of one process; zeros when it has ended."""

    def __init__(self, pid: int) -> None:
        self._fields = _fields(f"/proc/{pid}/status")

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return self._fields.get(b"Threads", 0)

    @property
    def page_tables(self) -> int:
        """Bytes of its page tables, which a sparse mapping makes larger than what it maps."""
        return self._fields.get(b"VmPTE", 0) << 10

    @property
    def most_mappings(self) -> int:
        """As many mappings as its address space has room for."""
        return (self._fields.get(b"VmSize", 0) << 10) // _PAGE

    @property
    def counted(self) -> int:
        """Bytes of all pages that it maps, in memory or swapped out, and of its page tables."""
        return sum(self._fields.get(name, 0) for name in _COUNTED) << 10

    @property
    def at_most(self) -> int:
        """Bytes that it can take, by what is quick to read."""
        return self.counted + self.most_mappings * _MAPPING


def exceeds(limit: int, processes: dict[int, Status], tier: str) -> bool:
    """Whether the processes of one grade take more than `limit` bytes together."""
    limit -= socket_buffers(processes) if tier == NAMESPACES else 0
    each = processes.values()
    if sum(status.at_most for status in each) <= limit:
        return False
    # quick, and enough for what grows fastest: page tables are not shared, nor is one process's all
    tables = sum(status.page_tables for status in each)
    if tables + max((s.counted - s.page_tables for s in each), default=0) > limit:
        return True
    total, deadline = 0, time.thread_time() + _EXACT_S
    for pid, status in processes.items():
        total += _exactly(pid, status, limit)
        if (
            total > limit or time.thread_time() > deadline
        ):  # made slow to read: no grader is by chance
            return True
    return False


def _exactly(pid: int, status: Status, enough: int) -> int:
    """Bytes of a process, with its part of what it shares; more than `enough` need not be exact."""
    rollup = _fields(f"/proc/{pid}/smaps_rollup")
    if not rollup:  # it has ended, or keeps others from reading it
        return status.at_most
    pages = sum(rollup.get(name, 0) for name in _PROPORTIONAL) << 10
    return pages + status.page_tables + _mappings(pid, enough // _MAPPING) * _MAPPING


def _mappings(pid: int, enough: int) -> int:
    count = 0
    try:
        with open(f"/proc/{pid}/maps", "rb", buffering=0) as file:
            while count <= enough and (chunk := file.read(_CHUNK)):
                count += chunk.count(b"\n")
    except OSError:
        pass
    return count


def _fields(path: str) -> dict[bytes, int]:
    """The lines `name: number` of a file of /proc; empty when it cannot be read."""
    found = {}
    try:
        with open(path, "rb") as file:
            for line in file:
                name, _, rest = line.partition(b":")
                number = rest.split(None, 1)[:1]
                if number and number[0].isdigit():
                    found[name] = int(number[0])
    except OSError:
        return {}
    return found


def socket_buffers(pids: dict[int, Status]) -> int:
    """Bytes that the sockets of a grade's network namespace can hold: they are in no process's pages."""
    for pid in pids:
        try:
            with open(f"/proc/{pid}/net/sockstat", "rb") as file:
                count = int(file.readline().split()[2])
        except (OSError, ValueError, IndexError):
            continue
        return max(count - _OUR_SOCKETS, 0) * _socket_bytes()
    return 0


@functools.cache
def _socket_bytes() -> int:
    """What one socket can hold: the last message may pass the limit by half of it."""
    try:
        usual = int(Path("/proc/sys/net/core/wmem_default").read_text(encoding="ascii"))
    except (OSError, ValueError):
        usual = 212_992
    return usual * 3 // 2


def beyond_limit(tier: str, processes: int) -> int:
    """Bytes of the kernel that a grade can hold and that nothing counts, at most.

    The descriptors of one process are either sockets (which are counted where processes can be many),
    pipes, or epoll instances that watch the others; and there are the empty files of its scratch
    folder. Sizes are those of Linux 6 on 64 bits, rounded up.
    """
    pipes, one_pipe, watch, task, file = 64 << 20, 10 << 10, 200, 64 << 10, 1280
    half = OPEN_FILES // 2
    each = max(half * one_pipe, half * half * watch) + task
    if tier == NAMESPACES:
        return pipes + processes * each + MAX_FILES * file
    return pipes + max(each, OPEN_FILES * _socket_bytes()) + processes * task
