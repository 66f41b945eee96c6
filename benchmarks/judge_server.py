"""A judge on loopback, as cheap as a server can be: a fixed verdict after a fixed latency.

`python -m benchmarks.judge_server --latency 0.1 --per-second 20` prints its port and answers 429 above that
rate. GET answers with what it counted.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import time
from collections import deque

VERDICT = json.dumps({"steps": [{"description": "read", "conclusion": "fine"}], "result": 0.5})
REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "loopback-judge",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": VERDICT, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70},
    }
).encode()
REFUSAL = b'{"error": {"message": "too many requests", "type": "rate_limit", "code": null}}'


class Count:
    """What was answered, refused, and asked twice."""

    def __init__(self, latency_s: float, per_second: int) -> None:
        self.latency_s, self.per_second = latency_s, per_second
        self.answered = 0
        self.refused: list[float] = []
        self.asked: list[float] = []
        self.bodies: dict[bytes, int] = {}
        self.recent: deque[float] = deque()

    def admits(self, now: float) -> bool:
        """Whether fewer than the limit were admitted in the last second."""
        while self.recent and self.recent[0] <= now - 1.0:
            self.recent.popleft()
        if self.per_second and len(self.recent) >= self.per_second:
            return False
        self.recent.append(now)
        return True

    def counts(self) -> bytes:
        began = self.asked[0] if self.asked else 0.0
        late = [at for at in self.asked if at - began > 5.0]
        refused_late = [at for at in self.refused if at - began > 5.0]
        numbers = {
            "answered": self.answered,
            "asked": len(self.asked),
            "refused": len(self.refused),
            "asked_after_5_s": len(late),
            "refused_after_5_s": len(refused_late),
            "distinct": len(self.bodies),
            "answered_twice": sum(count > 1 for count in self.bodies.values()),
        }
        return json.dumps(numbers).encode()


class Judge(asyncio.Protocol):
    def __init__(self, count: Count) -> None:
        self.count = count
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head = self.held[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.held) < end + 4 + length:
                return
            body, self.held = self.held[end + 4 : end + 4 + length], self.held[end + 4 + length :]
            self.asked(head, body)

    def asked(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get"):
            self.send(b"200 OK", self.count.counts())
            return
        now = time.monotonic()
        self.count.asked.append(now)
        if not self.count.admits(now):
            self.count.refused.append(now)
            self.send(b"429 Too Many Requests", REFUSAL)
            return
        asyncio.get_running_loop().call_later(self.count.latency_s, self.answer, body)

    def answer(self, body: bytes) -> None:
        key = hashlib.blake2b(body, digest_size=16).digest()
        self.count.bodies[key] = self.count.bodies.get(key, 0) + 1
        self.count.answered += 1
        self.send(b"200 OK", REPLY)

    def send(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)


async def serve(latency_s: float, per_second: int) -> None:
    count = Count(latency_s, per_second)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Judge(count), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--per-second", type=int, default=0)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.latency, arguments.per_second))


if __name__ == "__main__":
    main()
