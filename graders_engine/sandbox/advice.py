"""Why a tier does not work on this machine, and what helps."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from graders_engine.sandbox.base import SandboxUnavailable
from graders_engine.sandbox.inside import landlock
from graders_engine.sandbox.inside.plan import LANDLOCK, NAMESPACES

#: for each kernel setting, the value that forbids user namespaces and the remedy
_SWITCHES = {
    "kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`",
    ),
    "user/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=10000"),
}
_MOUNT_PROC = "mount it with `mount -t proc proc /proc`"

_BY_ERROR = {
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENFILE: "the whole system has too many open files",
    errno.EAGAIN: "raise the limit on processes (`ulimit -u`)",
    errno.ENOMEM: "give it more memory (`ulimit -v` limits it)",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`)",
    **dict.fromkeys(
        (errno.ENOENT, errno.EACCES, errno.EROFS, errno.ENOTDIR),
        "set TMPDIR to a folder that can be written",
    ),
    errno.ENOSPC: "make room, or set TMPDIR to a folder on another disk",
}


def advice_for(error: OSError) -> str:
    """What helps against a refusal of this system; empty when the error says it itself."""
    return _BY_ERROR.get(error.errno or 0, "")


def _lacks_proc() -> bool:
    return not os.path.exists("/proc/self")


def advice(tier: str) -> str:
    """What makes a tier available on this machine."""
    if sys.platform != "linux":
        return "use a Linux container, or WSL 2 on Windows"
    if _lacks_proc():
        return _MOUNT_PROC
    if tier == LANDLOCK:
        if landlock.version():
            return "Landlock itself is available"
        return "needs Linux 5.13 or newer with Landlock enabled (lsm=landlock,... at boot)"
    for name, (forbids, remedy) in _SWITCHES.items():
        try:
            value = Path("/proc/sys", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == forbids:
            return f"{name.replace('/', '.')} is {value} here: {remedy}"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return "start this container with a seccomp profile that allows unshare and mount"
    return "needs Linux 5.12 or newer and permission to create user namespaces"


def unavailable(reasons: dict[str, str]) -> SandboxUnavailable:
    """The error for a machine without any sandbox: why each tier does not work, and what helps."""
    if sys.platform != "linux":
        return SandboxUnavailable(f"python graders need Linux: {advice(NAMESPACES)}")
    if _lacks_proc():
        return SandboxUnavailable(f"python graders need /proc, and nothing is there: {_MOUNT_PROC}")
    each = "; ".join(f"{name}: {why} ({advice(name)})" for name, why in reasons.items())
    return SandboxUnavailable(
        f"no sandbox for python graders works on this machine. {each}."
        " `--sandbox none` runs them without one; use it only for sources and model outputs that you trust"
    )


def cannot_start(error: OSError) -> SandboxUnavailable:
    """The error for a worker that this system refuses to start."""
    what = f"{error.filename}: " if error.filename else ""
    helps = f"; {advice_for(error)}" if advice_for(error) else ""
    return SandboxUnavailable(f"a worker cannot be started: {what}{error.strerror or error}{helps}")
