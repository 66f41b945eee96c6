"""A judge that a case describes: it answers chat completions on loopback by rules.

`{"rules": [{"contains": regex, "verdict": …}, …], "default": …, "noise": seed, "spread": 0.4}`: the first
rule whose regex is found in the messages' texts decides, else the default. The pattern sees the texts
joined by newlines, `.` does not cross lines, and `^` and `$` fit at each line. A verdict is a number or a
label, which is given in the wanted form, or `{"text": …}`, which is the whole answer. With `noise` each
further request for the same text gets another number: a normal error of that spread, cut to 0..1 or to
`"range"`. The n-th answer to a text depends on the seed and on n alone.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def said_in(messages: list[dict[str, Any]]) -> str:
    """All texts of the messages, joined by newlines."""
    texts: list[str] = []
    for message in messages:
        content = message.get("content") or ""
        blocks = [content] if isinstance(content, str | dict) else content
        texts += [block if isinstance(block, str) else block.get("text", "") for block in blocks]
    return "\n".join(texts)


class Judge:
    """What a case's judge answers."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.asked = 0

    def verdict(self, text: str) -> Any:
        """The verdict on a text, with its noise."""
        with self.lock:
            self.asked += 1
            turn = self.seen[text]
            self.seen[text] += 1
        result = self.script.get("default")
        for rule in self.script.get("rules", []):
            if re.search(rule["contains"], text, re.MULTILINE):
                result = rule["verdict"]
                break
        if self.script.get("noise") is None or not isinstance(result, int | float):
            return result
        dice = random.Random(f"{self.script['noise']}:{turn}:{text}")  # noqa: S311 - a test's dice
        low, high = self.script.get("range", [0, 1])
        return round(min(high, max(low, result + dice.gauss(0, self.script.get("spread", 0.4)))), 3)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """A chat completion for a request."""
        text = said_in(request.get("messages", []))
        result = self.verdict(text)
        if isinstance(result, dict):
            content = result["text"]
        else:
            steps = [{"description": "compare", "conclusion": "done"}]
            content = json.dumps({"steps": steps, "result": result})
        message = {"role": "assistant", "content": content, "refusal": None}
        prompt, completion = len(text) // 4 + 1, len(content) // 4 + 1
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": request.get("model", "judge"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }


class Conversation(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    judge: Judge

    def do_POST(self) -> None:
        """Answer a request."""
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.reply(self.judge.answer(request))

    def do_GET(self) -> None:
        """Say which models there are."""
        self.reply({"object": "list", "data": [{"id": "judge", "object": "model"}]})

    def reply(self, value: dict[str, Any]) -> None:
        """Write a JSON answer."""
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; those that are left open end with the process."""

    daemon_threads = True
    request_queue_size = 256


@contextmanager
def judging(script: dict[str, Any]) -> Iterator[tuple[str, Judge]]:
    """A server for a script: its base URL, and the judge that counts what it is asked."""
    judge = Judge(script)
    handler = type("Bound", (Conversation,), {"judge": judge})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", judge
        finally:
            server.shutdown()
            thread.join()
