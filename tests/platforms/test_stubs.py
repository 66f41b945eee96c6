"""The other systems of these tests lack what the real ones lack."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys

import pytest

from tests.platforms.stubs import lacking
from tests.platforms.there import There

VERSION = sys.version_info[:2]
REAL = {"os": os, "select": select, "signal": signal, "socket": socket}
KNOWN = {
    "win32": {
        "os": {"fork", "killpg", "pread", "sysconf", "getuid", "O_NOFOLLOW", "O_CLOEXEC", "uname"},
        "select": {"poll", "epoll"},
        "signal": {"SIGKILL", "SIGHUP", "SIGQUIT", "pthread_kill", "setitimer"},
        "socket": {"AF_UNIX", "send_fds"},
    },
    "darwin": {
        "os": {"O_PATH", "sched_getaffinity", "pidfd_open", "setresuid", "fdatasync"},
        "select": {"epoll"},
        "signal": {"SIGPWR", "pidfd_send_signal"},
        "socket": {"AF_NETLINK"},
    },
}


@pytest.mark.parametrize("platform", KNOWN)
@pytest.mark.parametrize("module", REAL)
def test_what_a_module_lacks_there_is_read_from_the_stubs(platform: str, module: str) -> None:
    found = lacking(module, platform, VERSION)
    assert set(found) >= KNOWN[platform][module]
    assert not {"path", "environ", "SIGINT", "AF_INET", "select", "open"} & set(found)


def test_the_package_meets_the_other_system_and_other_packages_do_not(there: There) -> None:
    code = (
        "import os, sys, asyncio, subprocess\n"
        "import graders_engine.processes as ours\n"
        "print(ours.sys.platform, hasattr(ours.os, 'O_PATH'), sys.platform, hasattr(os, 'O_PATH'))\n"
    )
    done = there.python_code(code)
    platform = there.platform
    assert done.stdout.split() == [platform, "False", sys.platform, "True"], done.stderr


def test_a_file_that_is_open_keeps_its_name_on_windows(windows: There) -> None:
    code = (
        "import os\nfrom pathlib import Path\n"
        "file = open('x', 'w')\n"
        "for act in (os.unlink, lambda p: os.replace('rows.jsonl', p), lambda p: Path(p).rename('y')):\n"
        "    try: act('x')\n"
        "    except PermissionError: print('kept')\n"
        "file.close(); os.unlink('x')\n"
    )
    assert windows.python_code(code).stdout.split() == ["kept"] * 3
    assert not (windows.folder / "x").exists()
