"""Connections that cannot be made, or not be trusted: outages, and never a zero."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders_engine import Engine
from graders_engine.models import http
from graders_engine.models.retry import RetryPolicy
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer
from tests.judges.rows import SCORE, judging, rows, scored

SERVER = "model_grader_server_error"


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge.judge_server() as opened:
        yield opened


@pytest.mark.parametrize("reply", [judge.then_close, judge.once_per_connection])
def test_a_connection_that_the_server_ends_between_requests_costs_no_attempt(
    server: JudgeServer, reply: judge.Reply
) -> None:
    server.answers(reply)
    with Engine(judges=judging(server.url, retry=RetryPolicy(attempts=1))) as engine:
        graded = list(engine.score(SCORE, rows(30)))
    assert [one.status for one in graded] == ["scored"] * 30


@pytest.mark.parametrize("reply", [judge.reset_midway, judge.cut_short, judge.late_hang_up])
def test_a_request_that_may_have_been_paid_for_is_repeated_as_an_attempt_only(
    server: JudgeServer, reply: judge.Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "DROPPED_S", 0.2)
    server.answers(judge.first_sound(reply))
    settings = judging(server.url, retry=RetryPolicy(attempts=1), concurrency=1)
    with Engine(judges=settings) as engine:
        graded = list(engine.score(SCORE, rows(2)))
    assert [one.status for one in graded] == ["scored", "failed"]
    assert server.saw(2)


def test_nobody_listening_is_an_outage() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    graded = scored(f"http://127.0.0.1:{port}/v1")
    assert graded.status == "failed"
    assert "(3 tries" in graded.flags[SERVER]


def test_nobody_taking_the_connection_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_S", 0.1)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # the kernel takes one connection for it, and lets the others wait
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        graded = scored(f"http://127.0.0.1:{full.getsockname()[1]}/v1")
    assert graded.status == "failed"
    assert "no connection within 0.1 s (3 tries" in graded.flags[SERVER]


def test_tls_to_a_plain_port_is_an_outage_that_is_not_tried_again(server: JudgeServer) -> None:
    graded = scored(server.url.replace("http:", "https:"))
    assert graded.status == "failed"
    assert "SSL" in graded.flags[SERVER]
    assert "tries" not in graded.flags[SERVER]


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with judge.judge_server(tls) as server:
        graded = scored(server.url)
        assert graded.status == "failed"
        assert "certificate" in graded.flags[SERVER].lower()
        assert not server.asked
