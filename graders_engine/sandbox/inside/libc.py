"""The few C calls that Python's standard library lacks, through ctypes; Linux only.

Errors become OSError with the name of the call.
"""

from __future__ import annotations

import ctypes
import os
import sys

from graders_engine.sandbox.inside.syscalls import native

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEW_ANY = 0x7E020000  # all of the above

MS_NOSUID, MS_NODEV = 2, 4
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
AT_FDCWD, AT_RECURSIVE = -100, 0x8000

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
PR_SET_CHILD_SUBREAPER = 36
SECCOMP_MODE_FILTER = 2

if sys.platform == "linux":  # elsewhere this file is imported only to say that there is no sandbox
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.syscall.restype = ctypes.c_long
    # prototypes once: without them ctypes guesses the types again on each call
    _libc.unshare.argtypes = [ctypes.c_int]
    _libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
    _libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    _libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    _libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
    # For the calls of every fork: looked up once, and without errno and the interpreter's lock, whose
    # pages each fork would copy.
    _quick = ctypes.PyDLL(None)
    _quick.unshare.argtypes = [ctypes.c_int]
    _quick.setns.argtypes = [ctypes.c_int, ctypes.c_int]
    _quick.prctl.argtypes = _libc.prctl.argtypes
    _quick_unshare, _quick_setns, _quick_capset = _quick.unshare, _quick.setns, _quick.capset
    _quick_prctl = _quick.prctl

_CAP_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
_CAP_SYS_ADMIN = 21
_EINVAL = 22
_NO_CAPS = (ctypes.c_uint32 * 6)()


def _check(result: int, call: str) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{call}: {os.strerror(errno)}")
    return result


def syscall(name: str, *args: object) -> int:
    """Make the system call `name`; OSError when it fails or does not exist on this machine."""
    number = native()[1].get(name)
    if number is None:
        raise OSError(38, f"{name}: no such system call here")
    # the variadic C function takes words; pointers and structures are passed by ctypes.byref
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _check(_libc.syscall(ctypes.c_long(number), *wide), name)


def unshare(flags: int) -> None:
    """Move into new namespaces of the kinds that `flags` name."""
    if _quick_unshare(flags) < 0:
        _check(_libc.unshare(flags), "unshare")  # again, to learn why


def is_refused_by_a_filter() -> bool:
    """Whether no namespace at all may be asked for: the kernel itself never refuses to make none."""
    return bool(_libc.unshare(0) < 0)


def why_not_mount_setattr() -> int:
    """The error number by which `mount_setattr` is refused or missing; 0 when it is there.

    It is asked for with a flag that there is not, which the kernel looks at first.
    """
    empty = ctypes.c_char_p(b"")
    try:
        syscall("mount_setattr", AT_FDCWD, empty, -1, empty, 0)
    except OSError as error:
        return error.errno or 0 if error.errno != _EINVAL else 0
    return 0


def may_administer() -> bool:
    """Whether this process has CAP_SYS_ADMIN in force."""
    found = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(_CAP_HEADER, found), "capget")
    return bool(found[0] >> _CAP_SYS_ADMIN & 1)


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespace behind a pidfd."""
    if _quick_setns(descriptor, flags) < 0:
        _check(_libc.setns(descriptor, flags), "setns")


def prctl(option: int, value: int = 0, pointer: int = 0) -> None:
    """Set one attribute of this process."""
    if _quick_prctl(option, value, pointer, 0, 0) < 0:
        _check(_libc.prctl(option, value, pointer, 0, 0), f"prctl({option})")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount something somewhere."""
    _check(
        _libc.mount(
            source.encode(), target.encode(), kind and kind.encode(), flags, data.encode() or None
        ),
        f"mount {target}",
    )


def unmount(target: str) -> None:
    """Remove a mount, lazily."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(root: str) -> None:
    """Make the mount at `root` the root, and unmount the old root."""
    os.chdir(root)
    dot = ctypes.c_char_p(b".")
    syscall("pivot_root", dot, dot)
    unmount(".")
    os.chdir("/")


def lock_mount(target: str, attributes: int, *, recursive: bool) -> None:
    """Add mount attributes; unlike a remount this never removes existing ones."""

    class MountAttr(ctypes.Structure):
        _fields_ = [
            (n, ctypes.c_uint64) for n in ("attr_set", "attr_clr", "propagation", "userns_fd")
        ]

    wanted = MountAttr(attributes, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    path = ctypes.c_char_p(target.encode())
    syscall("mount_setattr", AT_FDCWD, path, flags, ctypes.byref(wanted), ctypes.sizeof(wanted))


def set_hostname(name: str) -> None:
    """Set the host name of this namespace."""
    _check(_libc.sethostname(name.encode(), len(name)), "sethostname")


def drop_capabilities() -> None:
    """Give up every capability for good: under no_new_privs nothing can restore one."""
    if _quick_capset(_CAP_HEADER, _NO_CAPS) < 0:
        _check(_libc.capset(_CAP_HEADER, _NO_CAPS), "capset")
