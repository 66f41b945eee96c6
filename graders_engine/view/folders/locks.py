"""Whether a run still writes results: it holds a lock while it lives, whatever ends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCKS = Path("/proc/locks")
"""Where Linux lists the locks: looking there disturbs no run that takes one."""


def is_locked(lock: Path) -> bool:
    """Whether a run holds a lock file; that it exists says nothing, for a killed run leaves it.

    Where the system lists no locks, it is taken for a moment, and a run that wants it then waits
    (`results.file.LOCK_WAIT_S`).
    """
    try:
        inode = os.stat(lock).st_ino
        held = LOCKS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return _is_refused(lock)
    return any(
        fields[1] in ("FLOCK", "OFDLCK", "POSIX") and fields[5].endswith(f":{inode}")
        for line in held.splitlines()
        if len(fields := line.split()) > 5
    )


def _is_refused(lock: Path) -> bool:
    """Whether the lock cannot be had now; it is not kept."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
