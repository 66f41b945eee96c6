"""The official command line's requests, replayed byte for byte.

It is on no package index, so `recorded_requests.jsonl` has what it sent when it was run (keys sorted,
numbers and texts as it reads YAML), and what is due. The reference's two examples are among them; the last
line is its example of `validate` in the form in which the command line sends graders.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.serving import Server, read_answer

RECORDED = [
    json.loads(line)
    for line in Path(__file__).with_name("recorded_requests.jsonl").read_text("utf-8").splitlines()
]


def as_sent(recorded: dict[str, Any], port: int, *, key: bool) -> bytes:
    body: bytes = recorded["body"].encode()
    head = [
        f"{recorded['method']} {recorded['path']} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: OpenAI/CLI 1.8.0",
        f"Content-Length: {len(body)}",
        "Accept: application/json",
        *(["Authorization: Bearer sk-anything"] if key else []),
        "Content-Type: application/json",
        "X-Stainless-Retry-Count: 0",
        "Accept-Encoding: gzip",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["body"][:60])
def test_a_recorded_request_gets_its_answer_with_any_key_and_with_none(
    server: Server, recorded: dict[str, Any]
) -> None:
    with server.connect() as connection:
        for key in (
            True,
            False,
        ):  # one after the other on one connection, as the tool keeps it open
            connection.sendall(as_sent(recorded, server.port, key=key))
            answer = read_answer(connection)
            assert answer.status == recorded["status"]
            assert answer.headers["x-request-id"].startswith("req_")
            due = recorded["answer"]
            if "reward" in due:
                assert answer.json["reward"] == due["reward"]
                assert answer.json["metadata"]["name"] == due["name"]
            else:
                assert answer.json == due
