"""Requests over kept connections, as cheaply as Python can send them: at full speed, or at a fixed pace.

`python -m benchmarks.load PORT FILE --connections 32 --seconds 4 [--pace 500]` sends the requests in the
file, each a JSON line {"path", "body"}, one after the other and again, and prints the result as JSON.
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
class LoadResult:
    """How a server bore a load.

    Attributes:
        seconds: how long the load lasted.
        statuses: responses by HTTP status, "broken" where a connection ended without one.
        longest_s: the longest time that a response took.
        late: requests that a paced load could not send when they were due.
        wrong: the beginning of some responses that were not 200.
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
        if self.sent_at is None:  # the server closes a connection that is idle for long
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
            self.load.result.statuses["broken"] += 1
        self.load.lost(self)


class _Load:
    def __init__(self, requests: Sequence[bytes], pace: float) -> None:
        self.requests = itertools.cycle(requests)
        self.pace = pace
        self.result = LoadResult()
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
        self.result.longest_s = max(self.result.longest_s, perf_counter() - connection.sent_at)
        connection.sent_at = None
        self.busy -= 1
        status = connection.held[9:12].decode()
        self.result.statuses[status] += 1
        if status != "200" and len(self.result.wrong) < 5:
            self.result.wrong.append(connection.held[:2000].decode("utf-8", "replace"))

    def lost(self, connection: _Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)
        elif connection.sent_at is not None:
            self.busy -= 1

    async def run(self, port: int, connections: int, seconds: float) -> LoadResult:
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
            self.result.late += max(0, due - ready)
            sent += max(due, 0)
            await asyncio.sleep(TICK_S if self.pace else seconds - now)
        self.result.seconds = perf_counter() - began
        counted = Counter(self.result.statuses)
        self.stopped = True
        while self.busy:  # requests in flight are waited for, but not counted in the throughput
            await asyncio.sleep(TICK_S)
        self.result.statuses = self.result.statuses if self.pace else counted
        return self.result


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
) -> LoadResult:
    """Put a server under load from a process of its own.

    Args:
        port: its port on loopback.
        requests: paths and bodies.
        connections: how many are kept open.
        seconds: how long.
        pace: requests a second; 0 for as many as are answered.
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
    fields = json.loads(done.stdout)
    return LoadResult(**{**fields, "statuses": Counter(fields["statuses"])})


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
    result = asyncio.run(
        _Load(requests, given.pace).run(given.port, given.connections, given.seconds)
    )
    print(json.dumps(vars(result)))


if __name__ == "__main__":
    main()
