"""A real HTTP server on loopback that judges, in both request forms, and misbehaves as it is told."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49}
USED = {"prompt_tokens": 40, "total_tokens": 49, "completion_tokens": 9, "cached_tokens": 0}
"""`USAGE` as the response to a grader call has it."""


@dataclass
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """All that the messages say, as JSON."""
        return json.dumps(self.body.get("messages", self.body.get("input")), ensure_ascii=False)


@dataclass
class JudgeServer:
    """The server: its address, what it was asked, and what it answers.

    Attributes:
        script: what to answer to a request.
        asked: the requests, in their order of arrival.
        most_in_flight: requests that were waiting for an answer at the same time, at most.
    """

    url: str = ""
    script: Callable[[Asked], Reply] = lambda asked: verdict(1.0)
    asked: list[Asked] = field(default_factory=list)
    most_in_flight: int = 0
    in_flight: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, requests: int) -> bool:
        """Whether so many requests came; a client that gives up may be faster than this server reads."""
        until = time.monotonic() + 20
        while len(self.asked) < requests and time.monotonic() < until:
            time.sleep(0.01)
        return len(self.asked) == requests

    def answers(self, *replies: Reply) -> None:
        """Answer with each in turn, and with the last one from there on."""
        turns = list(replies)
        self.script = lambda asked: turns.pop(0) if len(turns) > 1 else turns[0]


class Conversation(BaseHTTPRequestHandler):
    """One connection; replies write to it."""

    protocol_version = "HTTP/1.1"
    state: JudgeServer
    answered = False
    """Whether an earlier request came over this connection, for the replies that ask."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        asked = Asked(
            self.path, {name.lower(): value for name, value in self.headers.items()}, body
        )
        with self.state.lock:
            self.state.asked.append(asked)
            self.state.in_flight += 1
            self.state.most_in_flight = max(self.state.most_in_flight, self.state.in_flight)
            reply = self.state.script(asked)
        try:
            reply(self)
        except OSError:  # the client has gone
            self.close_connection = True
        finally:
            with self.state.lock:
                self.state.in_flight -= 1

    do_GET = do_POST  # noqa: N815 - the standard library's name

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        pass


Reply = Callable[[Conversation], None]


def http(status: int, body: bytes = b"", **headers: str) -> Reply:
    """A whole answer; `_` in a header's name stands for `-`."""
    lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda conversation: conversation.write(whole)


def answer(value: Any) -> Reply:
    """A JSON answer with status 200."""
    return http(200, json.dumps(value).encode(), Content_Type="application/json")


def error(status: int, message: str, **headers: str) -> Reply:
    """An error as OpenAI-compatible endpoints tell them."""
    return http(status, json.dumps({"error": {"message": message}}).encode(), **headers)


def said(text: Any, *, finish: str = "stop", usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    """A chat completion with this text."""
    spoken = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": spoken, "finish_reason": finish}
    return {
        "object": "chat.completion",
        "model": "judge-1-2026",
        "choices": [choice],
        "usage": usage,
    }


def responded(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer in the form of `/v1/responses`, a reasoning entry before its message."""
    message = {"type": "message", "role": "assistant", "content": list(content)}
    usage = {
        "input_tokens": 40, "output_tokens": 9, "total_tokens": 49,
        "input_tokens_details": {"cached_tokens": 30},
    }  # fmt: skip
    output = [{"type": "reasoning", "summary": []}, *([message] if content else [])]
    whole = {"object": "response", "model": "judge-1-2026", "output": output, "usage": usage}
    return {**whole, "status": "completed", **more}


def spoken(text: str) -> dict[str, Any]:
    """A text block of `/v1/responses`."""
    return {"type": "output_text", "text": text, "annotations": []}


def verdict_text(result: Any) -> str:
    return json.dumps({"steps": [{"description": "look", "conclusion": "seen"}], "result": result})


def verdict(result: Any) -> Reply:
    """A proper verdict as a chat completion."""
    return answer(said(verdict_text(result)))


def reset_midway(conversation: Conversation) -> None:
    """Half of a sound answer, then a TCP reset."""
    body = json.dumps(said(verdict_text(1))).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    conversation.write(head + body[: len(body) // 2])
    conversation.reset()


def hang_up(conversation: Conversation) -> None:
    """End the connection without a word."""
    conversation.reset()


def cut_short(conversation: Conversation) -> None:
    """Less than the announced length, then a proper end of the connection."""
    conversation.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    conversation.close_connection = True


def silence(conversation: Conversation) -> None:
    """No answer while the server lives."""
    conversation.state.closing.wait()
    conversation.close_connection = True


def drip(conversation: Conversation) -> None:
    """A byte at a time, without end."""
    conversation.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not conversation.state.closing.wait(0.02):
        conversation.write(b" ")


def then_close(conversation: Conversation) -> None:
    """A sound verdict over a connection that is then closed, although it was to be kept."""
    verdict(1.0)(conversation)
    conversation.close_connection = True


def first_sound(then: Reply) -> Reply:
    """A sound verdict to the first request of a connection, and this reply to the next ones."""

    def reply(conversation: Conversation) -> None:
        turn = then if conversation.answered else verdict(1.0)
        conversation.answered = True
        turn(conversation)

    return reply


def late_hang_up(conversation: Conversation) -> None:
    """The connection ends when the request has been worked on for a while."""
    conversation.state.closing.wait(0.3)
    conversation.reset()


once_per_connection = first_sound(hang_up)
"""The first request of a connection is answered; the next one is reset."""


@contextmanager
def judge_server(tls: ssl.SSLContext | None = None) -> Iterator[JudgeServer]:
    """The server, in threads of its own."""
    state = JudgeServer()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a reset, or a failed handshake: what was wanted

        def finish_request(self, request: Any, client_address: Any) -> None:
            if tls is not None:
                request = tls.wrap_socket(request, server_side=True)
            with request:
                request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().finish_request(request, client_address)

    server = Server(("127.0.0.1", 0), type("Handler", (Conversation,), {"state": state}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    scheme = "http" if tls is None else "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
