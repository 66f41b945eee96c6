"""The host as the attacks see it: things to reach for, and sandboxes run by root and by a user."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import pytest

import graders_engine

PACKAGE = Path(graders_engine.__file__).parent
PACKAGES = os.path.realpath(sysconfig.get_path("purelib"))
ORDINARY_ID = 41_414
ROLES = ("root", "user")
TIERS = ("namespaces", "landlock")
MIB = 1 << 20
_NO_BYTECODE = shutil.ignore_patterns("__pycache__")


def interpreter_for(role: str) -> str:
    """A Python that the role may run and that our packages fit; skips without one."""
    mine = os.path.realpath(sys.executable)
    if role == "root" or os.geteuid() or _open_to_all(mine):
        return mine
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if os.path.exists(system):
        return os.path.realpath(system)
    pytest.skip("no Python of this version that an ordinary user can run")


def _open_to_all(path: str) -> bool:
    parents = [Path(path), *Path(path).parents]
    return all(p.stat().st_mode & 0o005 == 0o005 for p in parents)


def packages_for_all(target: Path) -> None:
    """Show the packages at another place, where every user can read them: this one may be private."""
    shutil.copytree(PACKAGES, target, ignore=_NO_BYTECODE, copy_function=_linked)
    for folder in (target, *target.rglob("*/")):
        folder.chmod(0o755)


def _linked(source: str, target: str) -> None:
    """One more name of a file, which takes no time; a copy where others may not read it."""
    with contextlib.suppress(OSError):
        if os.stat(source).st_mode & 0o004:
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)  # noqa: S103 - it is there for everybody to read


def skip_unless_possible(role: str) -> None:
    if role == "root" and os.geteuid():
        pytest.skip("needs root")
    interpreter_for(role)


class World:
    """Files, sockets and a process of the role, for attacks to aim at.

    The engine that runs the sandbox is a copy in the role's own folder, so that neither its place nor
    its permissions depend on where the tests are.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        self.user = ORDINARY_ID if role == "user" and not os.geteuid() else None
        self.base = Path(tempfile.mkdtemp(prefix="world-", dir="/var/tmp"))
        self._shown = Path(tempfile.mkdtemp(prefix="shown-", dir="/var/tmp"))
        self._shown.chmod(0o755)
        self.python = self._make_environment()
        self.engine = str(self.base / "engine")
        shutil.copytree(PACKAGE, self.base / "engine" / PACKAGE.name, ignore=_NO_BYTECODE)
        shutil.copy(Path(__file__).with_name("driver.py"), self.base / "engine")
        self.readable = self.base / "env" / "lib" / "own.txt"
        self.dummy = self.base / "home" / "dummy.txt"
        self.dummy.parent.mkdir()
        for file in (self.readable, self.dummy):
            file.write_text("untouched")
        self._listeners = self._listen()
        if self.user is not None:
            for path in [self.base, *self.base.rglob("*")]:
                os.chown(path, self.user, self.user, follow_symlinks=False)
        self.base.chmod(0o755)
        self.bystander = self.start(["/bin/sleep", "infinity"])

    def _make_environment(self) -> str:
        """A virtual environment that the role owns, with the packages of this one."""
        home = interpreter_for(self.role)
        env = self.base / "env"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (env / "bin").mkdir(parents=True)
        (env / "lib" / version).mkdir(parents=True)
        (env / "bin" / "python").symlink_to(home)
        packages = Path(PACKAGES)
        if self.user is not None and not _open_to_all(PACKAGES):
            packages = self._shown / "packages"
            packages_for_all(packages)
        (env / "lib" / version / "site-packages").symlink_to(packages)
        (env / "pyvenv.cfg").write_text(f"home = {os.path.dirname(home)}\n")
        return str(env / "bin" / "python")

    def _listen(self) -> list[socket.socket]:
        tcp = socket.socket()
        tcp.bind(("127.0.0.1", 0))
        listeners = [tcp]
        for kind, suffix in ((socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "-datagrams")):
            for path in ("host.sock", "env/lib/shown.sock"):
                listeners.append(socket.socket(socket.AF_UNIX, kind))
                listeners[-1].bind(f"{self.base}/{path}{suffix}")
                Path(f"{self.base}/{path}{suffix}").chmod(0o777)
            listeners.append(socket.socket(socket.AF_UNIX, kind))
            listeners[-1].bind(self.abstract + suffix)
        for listener in listeners:
            listener.setblocking(False)
            if listener.type == socket.SOCK_STREAM:
                listener.listen()
        return listeners

    @property
    def abstract(self) -> str:
        return f"\0graders-{self.base.name}"

    def facts(self) -> dict[str, Any]:
        return {
            "PORT": self._listeners[0].getsockname()[1],
            "SOCKET": str(self.base / "host.sock"),
            "SHOWN_SOCKET": str(self.base / "env" / "lib" / "shown.sock"),
            "ABSTRACT": self.abstract,
            "HOST_PID": self.bystander.pid,
            "DUMMY": str(self.dummy),
            "OWN": str(self.readable),
            "HOME": str(self.dummy.parent),
            "ENGINE": self.engine,
            "DISK": 24 * MIB,
        }

    def shown_below_tmp(self) -> list[str]:
        """The entries of /tmp that a sandbox must show: those with the interpreter or the packages."""
        paths = [os.path.realpath(self.python), PACKAGES, sysconfig.get_path("stdlib")]
        parts = [Path(path).parts for path in paths]
        return sorted({p[2] for p in parts if p[:2] == ("/", "tmp")})

    def start(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        who: dict[str, Any] = {}
        if self.user is not None:
            who = {"user": self.user, "group": self.user, "extra_groups": []}
        environment = {
            "PYTHONPATH": self.engine,
            "GRADERS_SECRET": "GRADERS_SECRET",
            "PATH": "/usr/bin:/bin",
        }
        return subprocess.Popen(command, text=True, cwd="/", env=environment, **who, **more)

    def assert_untouched(self) -> None:
        assert self.bystander.poll() is None, "a process of the host was ended"
        with open(f"/proc/{self.bystander.pid}/stat", encoding="ascii") as file:
            assert file.read().rpartition(")")[2].split()[0] == "S", (
                "a process of the host was stopped"
            )
        for file_path in (self.readable, self.dummy):
            assert file_path.read_text() == "untouched"
        status = self.readable.stat()
        assert status.st_mode & 0o777 == 0o644
        assert status.st_mtime > 1e9
        for listener in self._listeners:
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_DGRAM:
                    listener.recv(1)
                else:
                    listener.accept()[0].close()
                raise AssertionError("somebody connected to the host")

    def close(self) -> None:
        self.bystander.kill()
        self.bystander.wait()
        for listener in self._listeners:
            listener.close()
        for folder in (self.base, self._shown):
            shutil.rmtree(folder, ignore_errors=True)


class Driven:
    """A sandbox in a process of the world's role."""

    def __init__(self, world: World, tier: str, *, shared: bool = False, **limits: float) -> None:
        self.world = world
        driver = str(Path(world.engine, "driver.py"))
        setup = json.dumps({"tier": tier, "limits": limits, "shared": shared})
        self._process = world.start(
            [world.python, driver, setup], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self.grade("def grade(s, i): return 1.0")["kind"] == "sandbox_unavailable":
            self.close()
            pytest.skip(f"this machine has no {tier} tier for {world.role}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def grade(self, source: str, sample: Any = None, item: Any = None) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        request = {"source": source, "sample": sample or {}, "item": item or {}}
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=20)
