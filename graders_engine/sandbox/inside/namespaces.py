"""The confinement of the strong tier: its own namespaces, and a private, read-only root.

A worker started by root builds the private root first (the interpreter may be where only root can
read) and then becomes a user id that no account has; an ordinary user does it inside a user namespace.

What this does not cover: the contents of the shown folders can be read, a socket that another program
makes in one of them later can be connected to, and the kernel itself is shared with the host.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from graders_engine.sandbox.inside import libc
from graders_engine.sandbox.inside.plan import (
    DEVICES,
    GRADER_ID,
    MAX_FILES,
    PLACES,
    SCRATCH,
    TMP,
    Plan,
)

_ALL_BUT_USER = (
    libc.CLONE_NEWNS
    | libc.CLONE_NEWPID
    | libc.CLONE_NEWNET
    | libc.CLONE_NEWIPC
    | libc.CLONE_NEWUTS
    | libc.CLONE_NEWCGROUP
)
# folders to mount the private root on; the first that hides nothing that is to be shown
_MOUNT_POINTS = ("/mnt", "/media", "/srv", "/opt", "/run", "/var", TMP)
_SETTINGS = {
    "passwd": f"grader:x:{GRADER_ID}:{GRADER_ID}::{SCRATCH}:/bin/sh\n",
    "group": f"grader:x:{GRADER_ID}:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def enter(plan: Plan) -> None:
    """Enter the namespaces and the private root; the next fork is process 1 of the sandbox."""
    processes = os.open("/proc", os.O_PATH | os.O_CLOEXEC)  # the private root has no /proc
    sockets = _bound_sockets(processes)  # before it has a network, and so a list, of its own
    if plan.host_id:
        libc.unshare(libc.CLONE_NEWNS)
        _build_root(plan, sockets, owner=plan.host_id)
        os.setgroups([])
        os.setresgid(plan.host_id, plan.host_id, plan.host_id)
        os.setresuid(plan.host_id, plan.host_id, plan.host_id)
        libc.prctl(libc.PR_SET_DUMPABLE, 1)  # else /proc/self is root's, and the maps below too
        libc.unshare(libc.CLONE_NEWUSER | _ALL_BUT_USER)
        _map_ids(processes, plan.host_id, plan.host_id)
    else:
        user, group = os.geteuid(), os.getegid()
        libc.unshare(libc.CLONE_NEWUSER | _ALL_BUT_USER)
        _map_ids(processes, user, group)
        _build_root(plan, sockets, owner=GRADER_ID)
    os.close(processes)
    # A container's filter of system calls may refuse it, and who is not root has no other way to the name
    # of a namespace. Only the name is seen then; `graders sandbox` says so.
    with suppress(OSError):
        libc.set_hostname("grader")
    os.chdir(SCRATCH)


def _map_ids(processes: int, user: int, group: int) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{GRADER_ID} {user} 1"),
        ("gid_map", f"{GRADER_ID} {group} 1"),
    ):
        target = os.open(f"self/{name}", os.O_WRONLY, dir_fd=processes)
        os.write(target, text.encode())
        os.close(target)


def _bound_sockets(processes: int) -> list[str]:
    """The paths of the host's sockets. A network namespace does not keep one from connecting by path."""
    try:
        with open(os.open("self/net/unix", os.O_RDONLY, dir_fd=processes), "rb") as file:
            paths = [os.fsdecode(line.partition(b" /")[2].rstrip(b"\n")) for line in file]
    except OSError:
        return []
    return [f"/{path}" for path in paths if path]


def _build_root(plan: Plan, sockets: list[str], owner: int) -> None:
    os.umask(0o022)  # graded code is another user here, and passes through what is made
    visible = [p for p in plan.readable if os.path.lexists(p)]
    base = next(
        s
        for s in _MOUNT_POINTS
        if os.path.isdir(s) and not any(f"{p}/".startswith(f"{s}/") for p in visible)
    )
    libc.mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("none", base, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=755,size=4m")
    for path in visible:
        _show(path, base)
    for device in DEVICES:
        _bind(device, base)
    for path in map(os.path.realpath, sockets):
        if os.path.lexists(base + path):
            libc.mount("/dev/null", base + path, None, libc.MS_BIND)
    _write_settings(base)
    _mount_scratch(base, plan, owner)
    libc.pivot_root(base)
    libc.lock_mount("/", libc.MOUNT_ATTR_RDONLY, recursive=False)


def _show(path: str, base: str) -> None:
    if os.path.islink(path):
        os.makedirs(base + os.path.dirname(path), exist_ok=True)
        if not os.path.lexists(base + path):
            os.symlink(os.readlink(path), base + path)
        return
    _bind(path, base)
    safe = libc.MOUNT_ATTR_RDONLY | libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NODEV
    libc.lock_mount(base + path, safe, recursive=True)


def _bind(path: str, base: str) -> None:
    target = base + path
    if stat.S_ISDIR(os.stat(path).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    libc.mount(path, target, None, libc.MS_BIND | libc.MS_REC)


def _write_settings(base: str) -> None:
    os.makedirs(base + "/etc", exist_ok=True)
    for name, text in _SETTINGS.items():
        with open(f"{base}/etc/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _mount_scratch(base: str, plan: Plan, owner: int) -> None:
    """Mount one small file system in three places: the working folder, /tmp and /dev/shm."""
    box, under = base + "/.box", base + "/.under"
    os.mkdir(box)
    os.makedirs(base + TMP, exist_ok=True)
    options = f"size={plan.disk_bytes},nr_inodes={MAX_FILES},mode=700,uid={owner},gid={owner}"
    libc.mount("none", box, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, options)
    kept = kept_below_tmp(plan)
    if kept:  # what is shown below /tmp (an environment, say) must stay visible
        os.mkdir(under)
        libc.mount(base + TMP, under, None, libc.MS_BIND | libc.MS_REC)
    for place in PLACES:
        inner = f"{box}/{place.replace('/', '-')}"
        os.mkdir(inner, 0o700)
        os.chown(inner, owner, owner)
        os.makedirs(base + place, exist_ok=True)
        libc.mount(inner, base + place, None, libc.MS_BIND)
    for name in kept:
        os.mkdir(f"{base}{TMP}/{name}")
        libc.mount(f"{under}/{name}", f"{base}{TMP}/{name}", None, libc.MS_BIND | libc.MS_REC)
        libc.lock_mount(f"{base}{TMP}/{name}", libc.MOUNT_ATTR_RDONLY, recursive=True)
    if kept:
        libc.unmount(under)
    libc.unmount(box)  # the three mounts stay


def kept_below_tmp(plan: Plan) -> list[str]:
    """The entries of /tmp that are shown; a grade cannot write, remove or rename them."""
    below = [p for p in plan.readable if p.startswith(TMP + "/")]
    return sorted({p.split("/")[2] for p in below})
