"""A key that must not come out, the forms in which it may be repeated, and an endpoint that repeats it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.judges.judge_server import Asked, Conversation, Reply, said

KEY = "sk-CANARY/7+f0\"o&'1\\x"
"""With characters that JSON, HTML and addresses escape."""


def escaped(text: str) -> str:
    """Each character as a JSON escape."""
    return "".join(f"\\u{ord(char):04x}" for char in text)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "as a JSON string": json.dumps,
    "as a JSON string in a JSON string": lambda key: json.dumps(json.dumps(key)),
    "in JSON escapes": escaped,
    "with a first character in a JSON escape": lambda key: escaped(key[0]) + key[1:],
    "in the escapes of an address": lambda key: quote(key, safe=""),
    "twice in the escapes of an address": lambda key: quote(quote(key, safe=""), safe=""),
    "with all its characters in the escapes of an address": lambda key: "".join(
        f"%{ord(char):02X}" for char in key
    ),
    "in the escapes of HTML": html.escape,
    "with all its characters in the escapes of HTML": lambda key: "".join(
        f"&#{ord(char)};" for char in key
    ),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 after one character": lambda key: base64.b64encode(f"x{key}".encode()).decode(),
    "in base64 after two characters": lambda key: base64.b64encode(f"xx{key}y".encode()).decode(),
    "in the base64 of addresses": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "in hexadecimal": lambda key: key.encode().hex(),
    "in pieces": lambda key: f"{key[:5]} {key[5:9]}\n\t{key[9:]}",
    "in pieces with escaped blanks": lambda key: f"{key[:5]}\\n{key[5:9]}\\t\\r {key[9:]}",
}


def mixed(key: str) -> str:
    """A form that is found, but cannot be replaced."""
    return escaped(quote(key, safe=""))


def traces(key: str) -> list[bytes]:
    """What is searched in files: the key in each encoding, and enough of it to know the rest."""
    texts = [form(key) for form in (*FORMS.values(), mixed)]
    texts += [json.dumps(text)[1:-1] for text in texts]
    cores = [base64.b64encode(b"x" * shift + key.encode())[4:-4].decode() for shift in range(3)]
    return [text.encode() for text in {*texts, *cores}]


def left_in(data: bytes, key: str = KEY) -> list[bytes]:
    return [trace for trace in traces(key) if trace in data]


def files_with(folder: Path, key: str = KEY) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if left_in(path.read_bytes(), key)]


def all_forms(key: str) -> str:
    return " | ".join(f"{name}: {form(key)}" for name, form in FORMS.items())


def echo(status: int, body: Any, key: str = KEY) -> Reply:
    """An answer whose headers and reason repeat the key, besides what the body does."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    plain = key.encode("latin-1").decode("latin-1")
    head = (
        f"HTTP/1.1 {status} {plain}\r\nContent-Length: {len(text)}\r\nRetry-After: 0\r\n"
        f"X-Echo: {plain}\r\nSet-Cookie: {plain}@=1; {plain}\r\nLocation: http://{quote(key)}/\r\n"
        f"Content-Type: application/json; charset={quote(key, safe='')}\r\n\r\n"
    )

    def reply(conversation: Conversation) -> None:
        conversation.write(head.encode("latin-1") + text)

    return reply


def verdict_with(text: str, result: Any) -> dict[str, Any]:
    """A chat completion whose verdict and other parts hold a text."""
    steps = [{"description": text, "conclusion": text}]
    answer = said(json.dumps({"steps": steps, "result": result}), name=text)
    return {**answer, "model": f"judge {text}", "system_fingerprint": text, "id": text}


def error_with(text: str) -> dict[str, Any]:
    return {"error": {"message": f"No such key: {text}", "code": text, "param": text, "type": text}}


class Echoing:
    """The script of an endpoint that repeats the key in whatever it answers."""

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.text = all_forms(key)
        self._count = 0

    def __call__(self, asked: Asked) -> Reply:
        self._count += 1
        turn = self._count
        if "/evals" in asked.path:
            return self._evals(asked, turn)
        if asked.path.endswith("/embeddings") or "/embeddings?" in asked.path:
            return self._vectors(asked, turn)
        if turn % 7 == 1:
            return echo(429, error_with(self.text), self.key)
        if turn % 7 == 2:
            return echo(400, error_with(self.text + json.dumps(asked.headers)), self.key)
        if turn % 7 == 3:
            return echo(500, self.text.encode(), self.key)
        if turn % 7 == 4:
            return echo(302, error_with(self.text), self.key)
        if "/grade" in asked.path:
            return echo(200, {"score": 1.0 if turn % 7 == 5 else self.text, self.key: self.text})
        result = {5: 0.5, 6: self.text}.get(turn % 7, 1.0)
        return echo(200, verdict_with(self.text, result), self.key)

    def _vectors(self, asked: Asked, turn: int) -> Reply:
        if turn % 4 == 1:
            return echo(503, error_with(self.text), self.key)
        if turn % 4 == 2:
            return echo(401, self.text.encode(), self.key)
        if turn % 4 == 3:
            return echo(200, {"data": self.text}, self.key)
        rows = [{"index": n, "embedding": [1.0, 0.0]} for n in range(len(asked.body["input"]))]
        return echo(200, {"data": rows, "model": self.text, self.key: 1}, self.key)

    def _evals(self, asked: Asked, turn: int) -> Reply:
        if turn == 1:
            return echo(429, error_with(self.text), self.key)
        if asked.path.partition("?")[0].endswith("/evals"):
            eval_ = {"object": "eval", "id": "eval_1", "name": self.text, "testing_criteria": []}
            return echo(200, {"data": [eval_], "has_more": False}, self.key)
        return echo(200, {"data": [], "has_more": False, "note": self.text}, self.key)
