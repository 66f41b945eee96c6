"""What a worker gets when it starts: its tier, what it may see, its limits.

Both ends use it. Plain classes, not dataclasses or named tuples: each module that the worker imports
costs time at its start and in every fork.
"""

from __future__ import annotations

NAMESPACES, LANDLOCK, NONE = "namespaces", "landlock", "none"
AUTO = "auto"  # the stronger of the first two that works here; never NONE
STRENGTH = (NAMESPACES, LANDLOCK)
SCRATCH = "/scratch"  # where a grade works in the strong tier
TMP = "/tmp"  # noqa: S108 - the name, not a file of ours
PLACES = (SCRATCH, TMP, "/dev/shm")  # noqa: S108 - where a grade may write in that tier
# without /dev/zero: shared pages of it are counted nowhere once they are not mapped any more
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
TIMEOUT, MEMORY, DISK, OUTPUT = ord("T"), ord("M"), ord("D"), ord("O")  # why a grade is killed
PROCESSES = ord("P")
RESTART = ord("R")  # no reason to kill: start the next process that rows share
MAX_FILES = 20_000  # in the scratch folder, folders included
OPEN_FILES = 256  # descriptors of one process
TEMPLATES = 2  # of a worker; they serve in turn
SPARES = TEMPLATES - 1  # grades that wait while one runs; each template forks one ahead
ROWS_A_PROCESS = 1000  # where rows share one; then it is replaced, which costs a fork
GRADER_ID = 1000  # user and group of a grade, as it sees itself in the strong tier


class Plan:
    """How one worker is to run. Every field is JSON; `vars` of a plan is what is sent.

    Attributes:
        readable: the host's paths that are shown, read-only.
        module_path: `sys.path`.
        prefix: `sys.prefix`.
        folder: the scratch folder on the host, in the tiers without a private root; else empty.
        host_id: the user id to become on the host; 0 keeps the caller's.
        affinity: the processors it may use; empty for all.
        memory_bytes, disk_bytes, output_bytes, processes: as in `Limits`.
        cpu_s: processor seconds of the template with all its grades; wall time is the watchdog's.
        shared: whether one process grades row after row (`serving`), in place of one process for each.
    """

    def __init__(
        self,
        *,
        tier: str,
        readable: list[str],
        module_path: list[str],
        prefix: str,
        folder: str,
        host_id: int,
        affinity: list[int],
        memory_bytes: int,
        disk_bytes: int,
        output_bytes: int,
        processes: int,
        cpu_s: int,
        shared: bool = False,
    ) -> None:
        self.tier = tier
        self.readable = readable
        self.module_path = module_path
        self.prefix = prefix
        self.folder = folder
        self.host_id = host_id
        self.affinity = affinity
        self.memory_bytes = memory_bytes
        self.disk_bytes = disk_bytes
        self.output_bytes = output_bytes
        self.processes = processes
        self.cpu_s = cpu_s
        self.shared = shared


class Task:
    """What a template is to prepare, as in `Program`; sent like a plan."""

    def __init__(self, *, source: str, name: str, filename: str, seed: int | None) -> None:
        self.source = source
        self.name = name
        self.filename = filename
        self.seed = seed
