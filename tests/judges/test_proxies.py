"""Judges behind the proxies that the environment names."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from graders_engine.models.network.proxies import proxy_for
from tests.judges import judge_server as judge
from tests.judges.rows import scored

SERVER = "model_grader_server_error"
PASSWORD = "pw-Zq81xk40"  # noqa: S105 - nobody's
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass
class ProxyServer:
    """A proxy that answers as a judge in place of any host.

    Attributes:
        url: its address.
        port: its port.
        status: what it answers.
        targets: what it was asked for: the method, the address and the password.
    """

    url: str = ""
    port: int = 0
    status: int = 200
    targets: list[tuple[str, str, str | None]] = field(default_factory=list)


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def proxy_server() -> Iterator[ProxyServer]:
    state = ProxyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.targets.append((self.command, self.path, self.headers["Proxy-Authorization"]))
            body = json.dumps(judge.said(judge.verdict_text(1.0))).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_CONNECT = do_POST  # noqa: N815 - the standard library's name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - likewise
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.port = server.server_port
    state.url = f"http://127.0.0.1:{state.port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    with proxy_server() as opened:
        yield opened


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_judge_is_asked_through_the_proxy_with_its_password(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url.replace("//", f"//me:{PASSWORD}@"))
    graded = scored("http://judge.invalid/v1")
    assert graded.status == "scored"
    password = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert proxy.targets == [("POST", "http://judge.invalid/v1/chat/completions", password)]


def test_a_proxy_without_a_scheme_is_asked_by_http(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    assert scored("http://judge.invalid/v1").status == "scored"


def test_a_judge_on_this_machine_is_asked_without_the_proxy(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with judge.judge_server() as server:
        assert scored(server.url).status == "scored"
        assert server.asked
    assert not proxy.targets


@pytest.mark.parametrize("status", [403, 407])
def test_a_proxy_that_refuses_is_named_without_its_password_and_asked_once(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    proxy.status = status
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//me:{PASSWORD}@"))
    graded = scored("https://judge.invalid/v1")
    said = graded.flags[SERVER]
    assert f"the proxy {proxy.url} (from HTTPS_PROXY) answered HTTP {status}" in said
    assert PASSWORD not in repr(graded)
    assert [target[:2] for target in proxy.targets] == [("CONNECT", "judge.invalid:443")]


def test_a_proxy_that_is_not_there_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with proxy_server() as gone:
        pass
    monkeypatch.setenv("HTTP_PROXY", gone.url.replace("//", f"//me:{PASSWORD}@"))
    graded = scored("http://judge.invalid/v1")
    assert f"no connection to the proxy {gone.url} (from HTTP_PROXY)" in graded.flags[SERVER]
    assert PASSWORD not in repr(graded)


@pytest.mark.parametrize("scheme", ["socks5", "ftp"])
def test_a_proxy_of_another_kind_is_refused_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:{PASSWORD}@proxy.invalid:1080")
    graded = scored("http://judge.invalid/v1")
    said = graded.flags[SERVER]
    assert "the proxy in ALL_PROXY must start with http://" in said
    assert "NO_PROXY" in said
    assert "tries" not in said
    assert PASSWORD not in repr(graded)


@pytest.mark.parametrize(
    ("excluded", "url", "is_used"),
    [
        ("", "http://judge.example/v1", True),
        ("*", "http://judge.example/v1", False),
        ("judge.example", "http://judge.example/v1", False),
        ("a, .example ", "http://judge.example/v1", False),
        ("*.example", "http://judge.example/v1", False),
        ("EXAMPLE", "http://Judge.Example/v1", False),
        ("judge.example:80", "http://judge.example/v1", False),
        ("judge.example:8080", "http://judge.example/v1", True),
        ("judge.example:8080", "http://judge.example:8080/v1", False),
        ("udge.example", "http://judge.example/v1", True),
        ("10.1.2.3", "http://10.1.2.3:8000/v1", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1", False),
        ("10.0.0.0/8", "http://11.1.2.3:8000/v1", True),
        ("fd00::/8", "http://[fd00::1]:8000/v1", False),
        ("[fd00::1]:8000", "http://[fd00::1]:8000/v1", False),
        ("10.0.0.0/8", "http://judge.example/v1", True),
        ("", "http://localhost:1/v1", False),
        ("", "http://127.0.0.9:1/v1", False),
        ("", "http://[::1]:1/v1", False),
        ("", "https://judge.example/v1", False),
    ],
)
def test_hosts_that_are_excluded_or_on_this_machine_are_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, excluded: str, url: str, is_used: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", excluded)
    assert (proxy_for(url) is not None) == is_used
