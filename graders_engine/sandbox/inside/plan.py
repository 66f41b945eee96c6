"""What a worker is told when it starts: its tier, what it may see, its limits.

Shared by both ends. Plain classes and not dataclasses or named tuples: the worker pays, in start-up
and in every fork, for each module it imports.
"""

from __future__ import annotations

NAMESPACES, LANDLOCK, NONE = "namespaces", "landlock", "none"
AUTO = "auto"  # the strongest of the first two that can be had; never the last
STRENGTH = (NAMESPACES, LANDLOCK)
SCRATCH = "/scratch"  # where a grade works in the strong tier
TMP = "/tmp"  # noqa: S108 - the name, not a file of ours
PLACES = (SCRATCH, TMP, "/dev/shm")  # noqa: S108 - all that a grade may write to there
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
TIMEOUT, MEMORY, DISK, OUTPUT = ord("T"), ord("M"), ord("D"), ord("O")  # why a grade is killed
SPARES = 4  # grades that are forked ahead; more would help little and make the slowest call slower
GRADER_ID = 1000  # user and group of a grade, as it sees itself in the strong tier


class Plan:
    """One worker's plan; every field is JSON, and `vars` of it is what is sent.

    Attributes:
        tier: the walls, by name.
        readable: what of the host is shown, read-only.
        module_path: `sys.path`.
        prefix: `sys.prefix`.
        folder: the scratch folder on the host, for the tiers without a root of their own.
        host_id: the user id to become on the host; 0 keeps the caller's.
        affinity: the processors to keep to; empty for all.
        memory_bytes: as in `Limits`, like the next three.
        disk_bytes: see there.
        output_bytes: see there.
        processes: see there.
        cpu_s: processor seconds; a backstop only, the watchdog keeps wall time.
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


class Task:
    """What a template is told to prepare; sent like a plan.

    Attributes:
        source: the text of the module.
        name: its name.
        filename: what tracebacks call it.
        seed: for random numbers; None for fresh entropy in each grade.
    """

    def __init__(self, *, source: str, name: str, filename: str, seed: int | None) -> None:
        self.source = source
        self.name = name
        self.filename = filename
        self.seed = seed
