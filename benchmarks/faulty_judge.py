"""A judge on loopback with faults in one of five answers: an error, a hang-up, silence, nonsense, a refusal.

`python -m benchmarks.faulty_judge` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import random

from benchmarks.judge_server import REPLY, Count, Judge

FAULTS = ("error", "busy", "hang up", "silence", "nonsense", "refusal", "no number")
SHARE = 0.2
LATENCY_S = 0.02


def reply_with(content: str | None, refusal: str | None = None) -> bytes:
    reply = json.loads(REPLY)
    reply["choices"][0]["message"] |= {"content": content, "refusal": refusal}
    return json.dumps(reply).encode()


class Faulty(Judge):
    def asked(self, head: bytes, body: bytes) -> None:
        fault = random.choice(FAULTS) if random.random() < SHARE else ""  # noqa: S311 - no secret
        asyncio.get_running_loop().call_later(LATENCY_S, self.reply, fault)

    def reply(self, fault: str) -> None:
        if fault == "silence" or self.transport.is_closing():
            return
        if fault == "hang up":
            self.transport.close()
        elif fault == "error":
            self.send(b"500 Internal Server Error", b"{}")
        elif fault == "busy":
            self.send(b"429 Too Many Requests", b"{}")
        else:
            self.send(b"200 OK", ANSWERS[fault])


ANSWERS = {
    "": REPLY,
    "nonsense": b"<html>",
    "refusal": reply_with(None, "I will not."),
    "no number": reply_with('{"steps": [], "result": "good"}'),
}


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Faulty(Count(0.0, 0)), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
