"""The server of vLLM, as a process of its own: what is left of one that was forgotten is ended first."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from graders_engine.inference.errors import ModelUnavailable
from graders_engine.inference.gpu import end_engine
from graders_engine.inference.place import ENGINE_LOCK

START_S = 900.0
"""How long a large model may take until it answers."""
_POLL_S = 0.1
_END_S = 10.0
_COMMAND = ("-P", "-m", "vllm.entrypoints.cli.main", "serve")


def require_vllm() -> None:
    """Check that it is installed.

    Raises:
        ModelUnavailable: it is not.
    """
    if importlib.util.find_spec("vllm") is None:
        raise ModelUnavailable(
            f"[inference] in graders.toml names vllm, which is not installed in {sys.executable}: install it "
            'there, or leave out `engine = "vllm"`.'
        )


class VLLMProcess:
    """A server of vLLM with one model, on loopback, with a key that nobody else has.

    Args:
        whole: the folder with all weights.
        adapters: the folder with adapters; None without any.
        device: its name.

    Raises:
        ModelUnavailable: it does not start.

    Attributes:
        name: under which it knows the model.
    """

    name = "model"

    def __init__(self, whole: Path, adapters: Path | None, device: str) -> None:
        self._key, self._port = secrets.token_hex(16), _free_port()
        command = [
            sys.executable, *_COMMAND, str(whole), "--host", "127.0.0.1", "--port", str(self._port),
            "--generation-config", "vllm",  # else parameters of the folder would count
            "--served-model-name", self.name if adapters is None else "base",
        ]  # fmt: skip
        if adapters is not None:
            command += ["--enable-lora", "--max-lora-rank", str(_rank_of(adapters))]
            command += ["--lora-modules", f"{self.name}={adapters}"]
        end_engine(Path())  # that of a process that was killed
        self._process = _started(
            command, {**os.environ, "VLLM_API_KEY": self._key, **_visible(device)}
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ModelUnavailable(
                    "vLLM cannot serve the model; the log of the process says why."
                )
            with suppress(OSError, HTTPException):
                connection = self.connection(1.0)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(_POLL_S)
        raise ModelUnavailable(f"vLLM has not begun within {START_S:.0f} s.")

    def connection(self, timeout_s: float | None = None) -> HTTPConnection:
        """A connection to it."""
        return HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)

    @property
    def headers(self) -> dict[str, str]:
        """What each request has."""
        return {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}

    def close(self) -> None:
        """End it, with all that it has started."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _started(command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that has the engine's lock as long as it lives, whatever becomes of this one."""
    lock = os.open(ENGINE_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(  # noqa: S603 - graders.toml names its Python
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=variables, pass_fds=(lock,),
            start_new_session=True,
        )  # fmt: skip
        os.truncate(lock, 0)
        os.write(lock, str(process.pid).encode())
    finally:
        os.close(lock)
    return process


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _visible(device: str) -> dict[str, str]:
    number = device.partition(":")[2]
    return {"CUDA_VISIBLE_DEVICES": number} if number else {}


def _rank_of(adapters: Path) -> int:
    return int(json.loads((adapters / "adapter_config.json").read_text(encoding="utf-8"))["r"])
