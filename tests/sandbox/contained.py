"""Runs a command as a container does: without some system calls, capabilities, and places to write.

    python contained.py SETUP COMMAND...

SETUP is JSON; see `Container`. It needs root. Docker's default profile is emulated by what it refuses of
what a sandbox asks for; everything else is left as it is here.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from dataclasses import dataclass, field

from graders_engine.sandbox.inside import libc
from graders_engine.sandbox.inside.seccomp import Filter, SyscallPolicy
from graders_engine.sandbox.inside.syscalls import native

EPERM, ENOSYS, SYS_ADMIN = 1, 38, 21
_PR_CAPBSET_DROP, _LAST_CAPABILITY = 24, 40
DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""What Docker leaves to root: no CAP_SYS_ADMIN among them (moby, `daemon/pkg/oci/caps/defaults.go`)."""
_NAMESPACES = (
    "unshare setns mount umount2 pivot_root mount_setattr move_mount open_tree fsopen sethostname"
)
DOCKER_REFUSED = {
    **dict.fromkeys(_NAMESPACES.split(), EPERM),
    "clone": EPERM,  # where it makes namespaces
    "clone3": ENOSYS,
}
"""Of its default profile, without CAP_SYS_ADMIN (moby, `profiles/seccomp/default.json`)."""
NO_LANDLOCK = dict.fromkeys(
    ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"), ENOSYS
)
_NEW = {"open_tree": 428, "move_mount": 429, "fsopen": 430}
_NUMBERS = {  # that the sandbox itself never asks for
    "x86_64": {"mount": 165, "umount2": 166, "sethostname": 170, **_NEW},
    "aarch64": {"mount": 40, "umount2": 39, "sethostname": 161, **_NEW},
}


@dataclass
class Container:
    """What a command meets.

    Attributes:
        refused: by system call, the error that it gives.
        capabilities: those that root keeps; None for all.
        user: runs it; 0 for root.
        read_only: whether nothing can be written but to `writable`.
        writable: folders of their own, in memory, empty but for `kept`.
        kept: folders that are seen although they lie below `writable`.
        privileges: whether programs may gain any; Kubernetes' `allowPrivilegeEscalation`.
    """

    refused: dict[str, int] = field(default_factory=dict)
    capabilities: list[int] | None = None
    user: int = 0
    read_only: bool = False
    writable: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    privileges: bool = True

    def enter(self) -> None:
        """Make this process its first one."""
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE)
        kept = {folder: os.open(folder, os.O_PATH) for folder in self.kept}
        for folder in self.writable:
            libc.mount("none", folder, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=1777")
        for folder, was in kept.items():
            os.makedirs(folder, exist_ok=True)
            libc.mount(f"/proc/self/fd/{was}", folder, None, libc.MS_BIND)
            os.close(was)
        if self.read_only:
            libc.lock_mount("/", libc.MOUNT_ATTR_RDONLY, recursive=False)
        if self.capabilities is not None:
            for number in set(range(_LAST_CAPABILITY + 1)) - set(self.capabilities):
                libc.prctl(_PR_CAPBSET_DROP, number)
        if self.refused:
            self._refuse()
        if self.user:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        if not self.privileges:
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)

    def _refuse(self) -> None:
        """Load the filter, which root may do without giving up what a program could gain."""
        _, numbers = native()
        numbers.update(_NUMBERS[os.uname().machine])
        everything = [f"call {number}" for number in range(600)]
        named = {number: name for name, number in numbers.items()}
        for number, name in enumerate(everything):
            numbers.setdefault(named.get(number, name), number)
        answers = dict(self.refused)
        refuses_clone = answers.pop("clone", None) is not None
        clone = {"clone": tuple((0, flag, flag) for flag in _namespace_flags())}
        Filter(
            SyscallPolicy(
                allowed=[named.get(number, name) for number, name in enumerate(everything)],
                only_if={},
                unless=clone if refuses_clone else {},
                answers=answers,
            )
        ).load(os.getpid())


def _namespace_flags() -> list[int]:
    return [1 << bit for bit in range(32) if libc.CLONE_NEW_ANY >> bit & 1]


if __name__ == "__main__":
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    Container(**json.loads(sys.argv[1])).enter()
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the test's own command
