"""Why a tier does not work on this machine, and what helps."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from graders_engine.sandbox.base import SandboxUnavailable
from graders_engine.sandbox.inside import landlock, libc, syscalls
from graders_engine.sandbox.inside.plan import LANDLOCK, NONE

_FILTER = "a filter of system calls (seccomp), as containers have by default,"
WITHOUT = "`--sandbox none` runs them without one: use it only for sources and model outputs that you trust"
"""What is left where no tier works."""
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
    return sys.platform == "linux" and not os.path.exists("/proc/self")


def advice(tier: str) -> str:
    """What makes a tier available on this machine."""
    if _lacks_proc():
        return _MOUNT_PROC
    if tier == LANDLOCK:
        return _for_landlock()
    for name, (forbids, remedy) in _SWITCHES.items():
        try:
            value = Path("/proc/sys", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == forbids:
            return f"{name.replace('/', '.')} is {value} here: {remedy}"
    return _for_namespaces()


def _for_landlock() -> str:
    if landlock.version():
        return "Landlock itself is available"
    why = landlock.missing_because()
    if why == errno.EPERM:
        return f"{_FILTER} refuses Landlock's three calls: start it with a profile that allows them"
    if why == errno.EOPNOTSUPP:
        return "this kernel has Landlock switched off: lsm=landlock,... at boot"
    return (
        "needs Linux 5.13 or newer with Landlock, which gVisor and old profiles of containers lack"
    )


def _for_namespaces() -> str:
    if libc.is_refused_by_a_filter():
        return (
            f"{_FILTER} refuses new namespaces: start it with a profile that allows them, as"
            " `graders guide containers` shows"
        )
    lacks = libc.why_not_mount_setattr()
    if lacks == errno.ENOSYS:
        return "needs the system call mount_setattr: Linux 5.12 or newer, and no gVisor"
    if lacks == errno.EPERM:
        return f"{_FILTER} refuses mount_setattr: start it with a profile that allows it"
    if sys.platform != "win32" and not os.geteuid() and not libc.may_administer():
        return "root has no CAP_SYS_ADMIN here: run as another user, who needs no capability"
    if _is_filtered():
        return f"{_FILTER} is in force: start it with a profile as `graders guide containers` shows"
    if profile := _apparmor():
        return f"the AppArmor profile {profile} is in force: start it with one that allows mount"
    return "needs Linux 5.12 or newer and permission to create user namespaces"


def _is_filtered() -> bool:
    """Whether a filter decides about this process's system calls."""
    with suppress(OSError):
        return "\nSeccomp:\t2" in Path("/proc/self/status").read_text(
            encoding="utf-8", errors="replace"
        )
    return False


def _apparmor() -> str:
    """The AppArmor profile that confines this process; empty without one."""
    try:
        found = Path("/proc/self/attr/current").read_text(encoding="utf-8").strip("\0\n ")
    except (OSError, ValueError):
        return ""
    return found if found.endswith("(enforce)") else ""


def refuse(tier: str) -> None:
    """Refuse a tier that cannot be on such a system or machine, whatever its settings are.

    Raises:
        SandboxUnavailable: it names the system or the machine, and what to do.
    """
    if sys.platform == "win32":
        raise SandboxUnavailable(
            "python graders do not run on Windows, with or without a sandbox: use WSL 2, or a Linux container"
        )
    if tier == NONE:
        return
    if sys.platform != "linux":
        name = "macOS" if sys.platform == "darwin" else sys.platform
        raise SandboxUnavailable(
            f"python graders need Linux for their sandbox, and this is {name}: use a Linux container."
            f" {WITHOUT}; there, it does not limit memory and disk either"
        )
    if not syscalls.is_known():
        raise SandboxUnavailable(
            f"python graders need Linux on x86-64 or 64-bit ARM; this is {syscalls.machine()}, whose system"
            f" calls the sandbox does not know: use another machine. {WITHOUT}"
        )


def unavailable(reasons: dict[str, str]) -> SandboxUnavailable:
    """The error for a machine without any sandbox: why each tier does not work, and what helps."""
    if _lacks_proc():
        return SandboxUnavailable(f"python graders need /proc, and nothing is there: {_MOUNT_PROC}")
    each = "; ".join(f"{name}: {why} ({advice(name)})" for name, why in reasons.items())
    return SandboxUnavailable(
        f"no sandbox for python graders works on this machine. {each}. {WITHOUT}"
    )


def cannot_start(error: OSError) -> SandboxUnavailable:
    """The error for a worker that this system refuses to start."""
    what = f"{error.filename}: " if error.filename else ""
    helps = f"; {advice_for(error)}" if advice_for(error) else ""
    return SandboxUnavailable(f"a worker cannot be started: {what}{error.strerror or error}{helps}")
