"""How much memory there is to train in; torch is not asked, it would take seconds."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_QUERY = ("--query-gpu=memory.total", "--format=csv,noheader,nounits")
_LONGEST_S = 20.0
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of this machine.

    Attributes:
        bytes: of its largest GPU, or without one the RAM; 0 where it is not known.
        gpu: whether it is a GPU's.
    """

    bytes: int
    gpu: bool


@functools.cache
def memory() -> Memory:
    """The memory of this machine; looked for once."""
    gpus = _gpu_bytes()
    return Memory(max(gpus), gpu=True) if gpus else Memory(_ram_bytes(), gpu=False)


def _gpu_bytes() -> list[int]:
    """The memory of each GPU of NVIDIA that this process may use."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(  # noqa: S603 - no part of the command comes from a request
            [program, *_QUERY], capture_output=True, text=True, timeout=_LONGEST_S, check=True
        )
        return [int(line) << 20 for line in done.stdout.split()]
    return []


def _ram_bytes() -> int:
    """The RAM that this process may have: the machine's, or that of its container."""
    found = []
    if sys.platform != "win32":
        with suppress(OSError, ValueError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # "max" is no limit
            found.append(int(Path(path).read_text(encoding="ascii")))
    return min(found, default=0)
