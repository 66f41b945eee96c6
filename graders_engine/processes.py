"""What every system calls otherwise: processes of one's own, their end, and reads at a place of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    OWN_GROUP = {"start_new_session": True}
"""For `subprocess.Popen`: Ctrl-C is meant for this process, and does not reach the new one."""


def end_group(process: int) -> None:
    """Kill a process that was started with `OWN_GROUP`, and all that it has started.

    On Windows, where groups are no such thing, what it has started lives on.

    Args:
        process: its number.

    Raises:
        OSError: there is none, or it belongs to somebody else.
    """
    if sys.platform == "win32":
        os.kill(process, signal.SIGTERM)  # ends it at once, whatever it does
    else:
        os.killpg(process, signal.SIGKILL)


def end_group_of(process: int) -> None:
    """Kill a process with all of its group, which another may lead; raises like `end_group`."""
    if sys.platform == "win32":
        end_group(process)
    else:
        end_group(os.getpgid(process))


def end_own_group() -> None:
    """Kill this process, and all of its group; on Windows, this process."""
    if sys.platform != "win32":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def is_running(process: int) -> bool:
    """Whether there is a process of this number; Windows is not asked, as that could end it."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def read_at(file: int, size: int, place: int) -> bytes:
    """So many bytes of an open file from a place on, fewer at its end.

    The file's own place may move: threads that read one file use descriptors of their own.

    Args:
        file: the descriptor.
        size: how many bytes.
        place: of the first one.

    Raises:
        OSError: it cannot be read.
    """
    if sys.platform != "win32":
        return os.pread(file, size, place)
    os.lseek(file, place, os.SEEK_SET)
    return os.read(file, size)
