"""Clusters that are started as people start them, whose nodes have other packages than this process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import graders_engine
from tests.environment import unmeasured

START_S = 180
OPEN = {"RAY_AUTH_MODE": "disabled"}
"""Else a token in the home of who runs the tests is asked for."""
PACKAGE = Path(graders_engine.__file__).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def bare() -> dict[str, str]:
    """The environment of a node: nothing of the driver's."""
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**own, **OPEN}


def without_this_package(folder: Path) -> Path:
    """An interpreter with the same packages, but without this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "graders_engine" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (interpreter,) = folder.glob("lib/python*/site-packages")
    (interpreter / "packages.pth").write_text(f"{packages}\n")
    return folder / "bin" / "python"


def of_another_version(folder: Path) -> Path:
    """A folder for PYTHONPATH with this package in another version."""
    package = folder / "graders_engine"
    package.mkdir(parents=True)
    for entry in PACKAGE.iterdir():
        if entry.name not in ("version.py", "__pycache__"):
            (package / entry.name).symlink_to(entry)
    version = (PACKAGE / "version.py").read_text()
    (package / "version.py").write_text(version.replace('__version__ = "', '__version__ = "0.0.'))
    return folder


@dataclass
class Started:
    """A cluster that runs."""

    address: str
    client_address: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, *options: str, python: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a node."""
        ports = ("--min-worker-port=0", "--max-worker-port=0")
        command = [
            python or sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            "--block",
            *ports,
        ]
        with (self.folder / f"node{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--disable-usage-stats", *options],
                cwd=self.folder, env={**bare(), **environment}, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def add(
        self, *options: str, python: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Add a node, and wait until the head knows it."""
        before = self.nodes()
        node = self.start(f"--address={self.address}", *options, python=python, **environment)
        self.wait(lambda: self.nodes() > before, node)
        return node

    def nodes(self) -> int:
        """How many nodes live."""
        listing = (
            "import ray, logging; ray.init({!r}, log_to_driver=False, logging_level=logging.ERROR);"
            "print(sum(node['Alive'] for node in ray.nodes()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", listing.format(self.address)],
            capture_output=True, cwd=self.folder, env=bare(), check=False, timeout=START_S,
        )  # fmt: skip
        return int(done.stdout.split()[-1]) if done.returncode == 0 else 0

    def wait(self, is_so: Callable[[], object], node: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_S
        while not is_so():
            logs = "".join(log.read_text() for log in sorted(self.folder.glob("node*.log")))
            assert node.poll() is None, logs
            assert time.monotonic() < until, logs
            time.sleep(0.2)

    def end(self, node: subprocess.Popen[bytes]) -> None:
        """End a node with all of its processes."""
        node.terminate()
        node.wait(60)
        self.processes.remove(node)

    def kill(self) -> None:
        """End the whole cluster at once, as where its machines are taken away."""
        _kill(_found(str(self.folder)))

    def kill_head(self) -> None:
        """End the head alone, and leave the processes of the node, as where the head is another machine."""
        _kill([process.pid for process in self.processes])  # which end all if one ends
        _kill(_found(f"gcs_server .*{self.folder}"))


def _found(pattern: str) -> list[int]:
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]


def _kill(processes: Iterable[int]) -> None:
    for number in processes:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def cluster(*options: str, **environment: str) -> Iterator[Started]:
    """A head with one core, and its port for clients."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # short: the names of its sockets are limited
    port, client_port = free_port(), free_port()
    started = Started(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", folder)
    try:
        head = started.start(
            "--head", f"--port={port}", f"--ray-client-server-port={client_port}", "--num-cpus=1",
            "--include-dashboard=false", f"--temp-dir={folder}/r", *options, python=None, **environment,
        )  # fmt: skip
        started.wait(lambda: answers(port) and answers(client_port) and started.nodes(), head)
        yield started
    finally:
        for node in reversed(started.processes):
            node.terminate()
        for node in started.processes:
            node.wait(60)
        started.kill()  # what a test left of it
        shutil.rmtree(folder, ignore_errors=True)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-P", "-m", "graders_engine", *map(str, arguments)]


def run(
    folder: Path, arguments: Sequence[object], **environment: str
) -> subprocess.CompletedProcess[str]:
    """`graders` in a folder, from which no node can import this package."""
    return subprocess.run(
        command(*arguments), cwd=folder, env={**unmeasured(), **OPEN, **environment},
        capture_output=True, text=True, check=False, timeout=START_S,
    )  # fmt: skip
