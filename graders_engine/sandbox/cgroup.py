"""A memory cgroup around a worker and all that it starts, where this process is allowed to make one.

It stands behind two other limits: that of one process (RLIMIT_AS) and the watchdog's sum over a
grade's processes, which come first and say which grade it was. The group ends what escapes both. It
holds the whole worker, so its limit has room for the scratch folder's pages and for the template.
Most users cannot make groups (a container mounts them read-only, a login session delegates none);
their workers run without.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
from pathlib import Path

_LOG = logging.getLogger(__name__)
_ROOT = Path("/sys/fs/cgroup")
TEMPLATE_BYTES = 1 << 30  # for the templates and the grade that is forked ahead
_NAME = "graders-"

_numbers = itertools.count()


class Group:
    """One group, to be closed when its processes have ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def close(self) -> bool:
        """Remove the group; False while processes in it are still ending."""
        try:
            self._folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def enclose(pid: int, memory_bytes: int) -> Group | None:
    """Put a process, with all that it will start, into a new group; None where that is not allowed."""
    found = home()
    if found is None:
        return None
    parent, limit = found
    folder = parent / f"{_NAME}{os.getpid()}-{next(_numbers)}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(memory_bytes))
        (folder / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        _LOG.debug("no memory group for process %s: %s", pid, error)
        Group(folder).close()
        return None
    return Group(folder)


@functools.cache
def home() -> tuple[Path, str] | None:
    """The group in which this process can make others, and the name of the file for their limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        parent, limit = None, ""
        if number == "0":  # cgroup v2: memory must be handed down to the groups inside
            parent, limit = _ROOT / path.lstrip("/"), "memory.max"
            if "memory" not in _read(parent / "cgroup.subtree_control").split():
                continue
        elif "memory" in controllers.split(","):
            parent, limit = _ROOT / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        if parent is not None and os.access(parent, os.W_OK):
            remove_leftovers(parent)
            return parent, limit
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def remove_leftovers(parent: Path) -> None:
    """Remove the groups that killed engines left in `parent`."""
    for folder in parent.glob(f"{_NAME}*"):
        pid = folder.name.removeprefix(_NAME).partition("-")[0]
        if not Path("/proc", pid).exists():
            Group(folder).close()
