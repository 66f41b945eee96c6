"""Requests over kept connections, as cheaply as Python can: as many as are answered, or at a fixed pace.

`python -m benchmarks.load PORT FILE --connections 32 --seconds 4 [--pace 500]` sends the requests in the
file, each a JSON line {"path", "body"}, one after the other and again, and prints what came as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

TICK_S = 0.005


@dataclass
class Came:
    """What came of a load.

    Attributes:
        seconds: how long it was.
        statuses: answers by HTTP status, "broken" where a connection ended before its answer.
        longest_s: the longest time that an answer took.
        late: requests that a paced load could not send when they were due.
        wrong: the beginning of some answers that were not 200.
    """

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    late: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.statuses["200"] / self.seconds

    @property
    def errors(self) -> int:
        return sum(self.statuses.values()) - self.statuses["200"]


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self.load, self.held, self.needed = load, bytearray(), 0
        self.sent_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.load.free(self)

    def send(self, request: bytes) -> None:
        self.sent_at = perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.sent_at is None:  # the server ends a connection that asked nothing for long
            self.transport.close()
            return
        self.held += data
        if not self.needed:
            end = self.held.find(b"\r\n\r\n")
            if end < 0:
                return
            at = self.held.find(b"content-length: ") + 16
            self.needed = end + 4 + int(self.held[at : self.held.find(b"\r", at)])
        if len(self.held) >= self.needed:
            self.load.answered(self)
            self.held.clear()
            self.needed = 0
            self.load.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.sent_at is not None:
            self.load.came.statuses["broken"] += 1
        self.load.lost(self)


class _Load:
    def __init__(self, requests: Sequence[bytes], pace: float) -> None:
        self.requests = itertools.cycle(requests)
        self.pace = pace
        self.came = Came()
        self.idle: list[_Connection] = []
        self.busy = 0
        self.stopped = False

    def free(self, connection: _Connection) -> None:
        if self.pace or self.stopped:
            self.idle.append(connection)
        else:
            self.give(connection)

    def give(self, connection: _Connection) -> None:
        self.busy += 1
        connection.send(next(self.requests))

    def answered(self, connection: _Connection) -> None:
        assert connection.sent_at is not None
        self.came.longest_s = max(self.came.longest_s, perf_counter() - connection.sent_at)
        connection.sent_at = None
        self.busy -= 1
        status = connection.held[9:12].decode()
        self.came.statuses[status] += 1
        if status != "200" and len(self.came.wrong) < 5:
            self.came.wrong.append(connection.held[:2000].decode("utf-8", "replace"))

    def lost(self, connection: _Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)
        elif connection.sent_at is not None:
            self.busy -= 1

    async def run(self, port: int, connections: int, seconds: float) -> Came:
        loop = asyncio.get_running_loop()
        began = perf_counter()
        for _ in range(connections):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
        sent = 0
        while (now := perf_counter() - began) < seconds:
            due = int(now * self.pace) - sent
            ready = min(due, len(self.idle)) if self.pace else 0
            for _ in range(ready):
                self.give(self.idle.pop())
            self.came.late += max(0, due - ready)
            sent += max(due, 0)
            await asyncio.sleep(TICK_S if self.pace else seconds - now)
        self.came.seconds = perf_counter() - began
        counted = Counter(self.came.statuses)
        self.stopped = True
        while self.busy:  # what is on its way is waited for, not counted in the throughput
            await asyncio.sleep(TICK_S)
        self.came.statuses = self.came.statuses if self.pace else counted
        return self.came


def request_of(path: str, body: Any) -> bytes:
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"User-Agent: benchmark\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


def load(
    port: int,
    requests: Sequence[tuple[str, Any]],
    *,
    connections: int,
    seconds: float,
    pace: float = 0.0,
) -> Came:
    """Put a server under load from a process of its own.

    Args:
        port: where it listens on loopback.
        requests: paths and bodies.
        connections: kept open.
        seconds: how long.
        pace: requests a second; as many as are answered when it is 0.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for path, body in requests:
            file.write(json.dumps({"path": path, "body": body}) + "\n")
        file.flush()
        command = [
            sys.executable, "-m", "benchmarks.load", str(port), file.name,
            "--connections", str(connections), "--seconds", str(seconds), "--pace", str(pace),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    came = json.loads(done.stdout)
    return Came(**{**came, "statuses": Counter(came["statuses"])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--pace", type=float, default=0.0)
    given = parser.parse_args()
    lines = given.file.read_text(encoding="utf-8").splitlines()
    requests = [request_of(**json.loads(line)) for line in lines]
    came = asyncio.run(
        _Load(requests, given.pace).run(given.port, given.connections, given.seconds)
    )
    print(json.dumps(vars(came)))


if __name__ == "__main__":
    main()
