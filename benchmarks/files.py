"""Uploads to the server on loopback: how fast, and how much more memory the server takes meanwhile."""

from __future__ import annotations

import http.client
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.server import server

ROUNDS = 3
FILE_BYTES = 512 << 20
WATCH_S = 0.005
MIB = 1 << 20
HEAD = (
    b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
)
TAIL = b"\r\n--B--\r\n"


def memory_bytes(pid: int) -> int:
    """What the process has in memory of its own and of files that it maps."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


@contextmanager
def watched(pid: int, most: list[int]) -> Iterator[None]:
    """Append how much more memory the process had at most while the block ran."""
    done = threading.Event()
    before = memory_bytes(pid)
    peak = [before]

    def watch() -> None:
        while not done.wait(WATCH_S):
            peak[0] = max(peak[0], memory_bytes(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
        most.append(peak[0] - before)


def upload(port: int, chunk: bytes, count: int) -> str:
    """Send a file of so many chunks; the answer's body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("content-type", "multipart/form-data; boundary=B")
    connection.putheader("content-length", str(len(HEAD) + len(chunk) * count + len(TAIL)))
    connection.endheaders()
    for piece in (HEAD, *[chunk] * count, TAIL):
        connection.send(piece)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    return body


def download(port: int, file_id: str) -> int:
    """Read a content; its length."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", f"/v1/files/{file_id}/content")
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(MIB):
        size += len(piece)
    connection.close()
    return size


def measurements() -> Iterator[Measurement]:
    lines = (b'{"item": {"question": "1 + 1", "answer": "2"}}\n' * (MIB // 47 + 1))[:MIB]
    speeds: dict[str, list[float]] = {"random bytes": [], "JSON lines": []}
    more: list[int] = []
    downloads: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        server("--jobs", folder) as (port, process),
    ):
        upload(port, b"{}", 1)
        for _ in range(ROUNDS):
            for kind, chunk in (("random bytes", os.urandom(MIB)), ("JSON lines", lines)):
                with watched(process.pid, more):
                    started = time.perf_counter()
                    body = upload(port, chunk, FILE_BYTES // MIB)
                    speeds[kind].append(FILE_BYTES / (time.perf_counter() - started))
            file_id = body.split('"')[3]
            with watched(process.pid, more):
                started = time.perf_counter()
                assert download(port, file_id) == FILE_BYTES
                downloads.append(FILE_BYTES / (time.perf_counter() - started))
        small = []
        for _ in range(200):
            started = time.perf_counter()
            upload(port, b"{}\n", 1)
            small.append(time.perf_counter() - started)
    for kind, found in speeds.items():
        yield Measurement(
            f"upload of 512 MiB, {kind}", statistics.median(found) / 1e6, "MB/s", bar=100,
            at_least=True,
        )  # fmt: skip
    yield Measurement("download of 512 MiB", statistics.median(downloads) / 1e6, "MB/s")
    yield Measurement("memory that these take at most", max(more) / 1e6, "MB", bar=16)
    yield Measurement("upload of a small file", statistics.median(small) * 1e3, "ms")
