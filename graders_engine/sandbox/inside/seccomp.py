"""System call filters: an allow-list, assembled into the kernel's packet filter language.

There are two policies. `TEMPLATE` is loaded once in the strong tier's template and inherited by
every grade; what it allows for the template's sake (a new pid namespace) needs a capability that the
grade has given up. `GRADE_ALONE` is loaded by each grade in the weaker tier, which has no namespaces:
no new processes, no sockets but connected pairs, no signals except to itself.

Both refuse what keeps memory that no limit counts: sockets' buffers other than of the usual size,
pipes made larger, file pages that a socket or pipe holds, anonymous memory that is shared (it stays
when it is not mapped any more).

What a filter does not cover: a fault of the kernel inside a call that is allowed.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from graders_engine.sandbox.inside import libc
from graders_engine.sandbox.inside.syscalls import native

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Iterable

_LOAD, _JEQ, _JGE, _JGT, _JSET, _RET, _AND = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06, 0x54
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000  # the x32 calls are the same calls under other numbers
_NEW_CALLS = 436  # from this number on a refusal says "no such call", so that libraries fall back

_AF_UNIX = 1
_CLONE_THREAD, _CLONE_FILES = 0x00010000, 0x00000400
_CLOSE_RANGE_UNSHARE = 2
_O_TRUNC, _O_ACCMODE = 0o1000, 0o3
_SOCK_STREAM, _SOCK_TYPE = 1, 0xF
_MAP_SHARED_ANONYMOUS = 0x01 | 0x20
_SO_PEERPIDFD = 77
_SELF = 0x5E1F5E1F  # stands for the pid of the process that loads the filter

#: index of an argument, mask, value: passes when argument & mask == value. Only the low word of an
#: argument is looked at: the kernel itself drops the high word of those that are tested here.
Test = tuple[int, int, int]
_ANY = 0xFFFFFFFF


def _names(text: str) -> list[str]:
    return text.split()


_EVERYDAY = _names("""
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn pread64 pwrite64 readv writev access pipe select sched_yield mremap
msync mincore madvise dup dup2 pause nanosleep getitimer alarm setitimer getpid exit wait4 uname
flock fsync fdatasync ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink
symlink readlink umask gettimeofday getrlimit getrusage sysinfo times getuid getgid geteuid
getegid getppid getpgrp getgroups getresuid getresgid getpgid getsid capget capset rt_sigpending
rt_sigtimedwait rt_sigsuspend sigaltstack statfs fstatfs getpriority sched_getparam
sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock
munlock arch_prctl setrlimit gettid readahead time futex sched_getaffinity epoll_create getdents64
set_tid_address restart_syscall fadvise64 timer_create timer_settime timer_gettime
timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep exit_group epoll_wait
epoll_ctl waitid openat mkdirat newfstatat unlinkat renameat linkat symlinkat readlinkat faccessat
pselect6 ppoll set_robust_list get_robust_list sync_file_range epoll_pwait signalfd timerfd_create
eventfd timerfd_settime timerfd_gettime signalfd4 eventfd2 epoll_create1 dup3 pipe2 preadv pwritev
recvmmsg getcpu renameat2 getrandom membarrier mlock2 copy_file_range preadv2 pwritev2 statx rseq
close_range faccessat2 epoll_pwait2 sendto recvfrom recvmsg shutdown getsockname getpeername
""")

_TREE = _names("""
fork vfork execve execveat kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open
pidfd_send_signal setpgid setsid setpriority chmod fchmod fchmodat fchmodat2 utime utimes
utimensat futimesat mknod mknodat connect accept accept4 bind listen truncate sendmsg sendmmsg
fallocate
""")

_MODE_AND_TIME = _names("""
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
""")
# of files that cannot be read, too; and what they hold counts nowhere
_XATTRS = _names("""
setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr getxattr lgetxattr fgetxattr
listxattr llistxattr flistxattr
""")
# they put pages of files into sockets and pipes, uncounted; programs fall back to read and write
_PAGE_MOVERS = _names("sendfile splice tee")

# PDEATHSIG, GET_DUMPABLE, NAME, TIMERSLACK, CHILD_SUBREAPER, NO_NEW_PRIVS, THP and their getters;
# GET_SECCOMP, CAPBSET_READ, GET_TSC; and SET_VMA, by which C libraries name their memory
_PRCTL = (1, 2, 3, 15, 16, 21, 23, 25, 29, 30, 36, 37, 38, 39, 40, 41, 42, 0x53564D41)
_PRCTL_ALONE = tuple(o for o in _PRCTL if o not in (1, 36))
# TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. Every file system and driver has
# more, and some of them change a file that is only open for reading.
_IOCTL = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_F_SETLK = (6, 7)  # and F_SETLKW
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETOWN, F_DUPFD_CLOEXEC, F_GETPIPE_SZ. Not those that
# send signals, that mark or lease a file, that tell of others' locks, or that lock for no process.
_FCNTL = (0, 1, 2, 3, 4, *_F_SETLK, 9, 1030, 1032)
# DEBUG, REUSEADDR, TYPE, ERROR, KEEPALIVE, OOBINLINE, LINGER, REUSEPORT, PASSCRED, RCVLOWAT,
# RCVTIMEO, SNDTIMEO, TIMESTAMP. Not the sizes of buffers, not filters.
_SOCKET_OPTIONS = (1, 2, 3, 4, 9, 10, 13, 15, 16, 18, 20, 21, 29)


# what they tell about other processes of the host
_OF_A_PROCESS = _names("""
getpgid getsid sched_getparam sched_getscheduler sched_rr_get_interval
""")


class SyscallPolicy:
    """The system calls that are allowed, by name; all others are refused.

    Attributes:
        allowed: without a condition.
        only_if: allowed when all tests of any group pass.
        unless: refused when any of the tests passes.
        answers: answered with this errno; 0 reports success and does nothing,
            and a number below 0 ends the process.
        pretended: success is reported and nothing done when any of the tests passes; otherwise as
            in `only_if` or `unless`.
    """

    def __init__(
        self,
        allowed: list[str],
        only_if: dict[str, tuple[tuple[Test, ...], ...]],
        unless: dict[str, tuple[Test, ...]],
        answers: dict[str, int],
        pretended: dict[str, tuple[Test, ...]] | None = None,
    ) -> None:
        self.allowed = allowed
        self.only_if = only_if
        self.unless = unless
        self.answers = answers
        self.pretended = pretended or {}


def _equals(argument: int, values: Iterable[int]) -> tuple[Test, ...]:
    return tuple((argument, _ANY, value) for value in values)


def _any_of(argument: int, values: Iterable[int]) -> tuple[tuple[Test, ...], ...]:
    return tuple((test,) for test in _equals(argument, values))


_ALWAYS = dict.fromkeys(["clone3", "openat2", *_PAGE_MOVERS], errno.ENOSYS)
_ALWAYS |= dict.fromkeys(_XATTRS, errno.ENOTSUP)
_ALWAYS["flock"] = (
    errno.ENOLCK
)  # on a file of the host it would hold others off, and tell later grades
_ONLY_IF = {
    "prlimit64": _any_of(0, [0]),
    "setsockopt": _any_of(2, _SOCKET_OPTIONS),
    "ioctl": _any_of(1, _IOCTL),
    "fcntl": _any_of(1, _FCNTL),
}
_UNLESS: dict[str, tuple[Test, ...]] = {
    "mmap": ((3, _MAP_SHARED_ANONYMOUS, _MAP_SHARED_ANONYMOUS),),
    "getsockopt": _equals(2, [_SO_PEERPIDFD]),  # a handle on the template
}

TEMPLATE = SyscallPolicy(
    allowed=_EVERYDAY + _TREE,
    only_if=_ONLY_IF
    | {
        "socket": _any_of(0, [_AF_UNIX]),
        "socketpair": _any_of(0, [_AF_UNIX]),
        "unshare": _any_of(0, [libc.CLONE_NEWPID]),
        "setns": _any_of(1, [libc.CLONE_NEWPID]),
        "prctl": _any_of(0, _PRCTL),
    },
    unless=_UNLESS
    | {
        "clone": tuple(
            (0, 1 << bit, 1 << bit) for bit in range(32) if libc.CLONE_NEW_ANY >> bit & 1
        ),
    },
    answers=_ALWAYS,
)

# With one table of descriptors for all threads the watchdog finds every file that is open.
_THREAD = _CLONE_THREAD | _CLONE_FILES
# Sockets of other types take an address of their own with each message, and SOCK_RAW is one of them;
# a message with descriptors could hold files that no other way shows.
GRADE_ALONE = SyscallPolicy(
    allowed=_EVERYDAY,
    only_if=_ONLY_IF
    | {
        "socketpair": (((0, _ANY, _AF_UNIX), (1, _SOCK_TYPE, _SOCK_STREAM)),),
        "clone": (((0, _THREAD | libc.CLONE_NEW_ANY, _THREAD),),),
        "prctl": _any_of(0, _PRCTL_ALONE),
        "kill": _any_of(0, [_SELF]),
        "tgkill": _any_of(0, [_SELF]),
        "getpriority": (((0, _ANY, 0), (1, _ANY, 0)),),
        **dict.fromkeys(_OF_A_PROCESS, _any_of(0, [0, _SELF])),
    },
    unless=_UNLESS
    | {
        "close_range": ((2, _CLOSE_RANGE_UNSHARE, _CLOSE_RANGE_UNSHARE),),
        # before its third version Landlock did not check truncation
        "open": ((1, _O_TRUNC | _O_ACCMODE, _O_TRUNC),),
        "openat": ((2, _O_TRUNC | _O_ACCMODE, _O_TRUNC),),
    },
    # a file may take blocks beyond its end, which its size limit does not see
    answers=_ALWAYS
    | dict.fromkeys(_MODE_AND_TIME, 0)
    | {"fallocate": errno.EOPNOTSUPP, "sendmsg": -1, "sendmmsg": -1},
    # locks of ranges hold other processes off, and there is none; each takes memory of the kernel
    pretended={"fcntl": _equals(1, _F_SETLK)},
)


def _instruction(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k)


def _refuse(number: int) -> bytes:
    return _instruction(_RET, _ERRNO | number)


def _if_all(tests: tuple[Test, ...], then: bytes) -> bytes:
    """If all tests pass, `then`; otherwise what comes after it."""
    for argument, mask, value in reversed(tests):
        # the low word: every arch is little-endian
        test = _instruction(_LOAD, _ARGS + 8 * argument)
        if mask != _ANY:
            test += _instruction(_AND, mask)
        then = test + _instruction(_JEQ, value, 0, len(then) // 8) + then
    return then


def _blocks(policy: SyscallPolicy, numbers: dict[str, int]) -> dict[int, bytes]:
    """The instructions for each number of a call that is not simply allowed."""
    allow = _instruction(_RET, _ALLOW)
    blocks: dict[int, bytes] = {}

    def pretended(name: str) -> bytes:
        return b"".join(_if_all((test,), _refuse(0)) for test in policy.pretended.get(name, ()))

    for name, groups in policy.only_if.items():
        if name in numbers:
            either = pretended(name) + b"".join(_if_all(group, allow) for group in groups)
            blocks[numbers[name]] = either + _refuse(errno.EPERM)
    for name, tests in policy.unless.items():
        if name in numbers:
            any_of = b"".join(_if_all((test,), _refuse(errno.EPERM)) for test in tests)
            blocks[numbers[name]] = pretended(name) + any_of + allow
    for name, code in policy.answers.items():
        if name in numbers:
            blocks[numbers[name]] = _refuse(code) if code >= 0 else _instruction(_RET, _KILL)
    return blocks


def assemble(policy: SyscallPolicy) -> bytes:
    """The filter program for this machine."""
    arch, numbers = native()
    blocks = _blocks(policy, numbers)
    plain = sorted({numbers[n] for n in policy.allowed if n in numbers} - blocks.keys())
    out = _instruction(_LOAD, _ARCH) + _instruction(_JEQ, arch, 1, 0) + _instruction(_RET, _KILL)
    out += _instruction(_LOAD, _NUMBER)
    out += _instruction(_JGE, _X32, 0, 1) + _refuse(errno.ENOSYS)
    for first, last in _runs(plain):
        out += _instruction(_JGE, first, 0, 2) + _instruction(_JGT, last, 1, 0)
        out += _instruction(_RET, _ALLOW)
    for number, block in blocks.items():
        out += _instruction(_JEQ, number, 0, len(block) // 8) + block
    out += _instruction(_JGE, _NEW_CALLS, 0, 1) + _refuse(errno.ENOSYS)
    return out + _refuse(errno.EPERM)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for n in numbers:
        if runs and runs[-1][1] == n - 1:
            runs[-1] = (runs[-1][0], n)
        else:
            runs.append((n, n))
    return runs


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


class Filter:
    """An assembled program, ready to be loaded into the calling process for good."""

    def __init__(self, policy: SyscallPolicy) -> None:
        code = assemble(policy)
        marker = struct.pack("=I", _SELF)
        self._own_pid_at = [
            at + 4 for at in range(0, len(code), 8) if code[at + 4 : at + 8] == marker
        ]
        self._code = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(code) // 8, ctypes.addressof(self._code))
        self._address = ctypes.addressof(self._program)

    def load(self, pid: int) -> None:
        """Load it; `pid` is the caller's own. no_new_privs must be set."""
        for at in self._own_pid_at:
            struct.pack_into("=I", self._code, at, pid)
        libc.prctl(libc.PR_SET_SECCOMP, libc.SECCOMP_MODE_FILTER, self._address)
