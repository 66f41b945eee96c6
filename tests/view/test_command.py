"""`graders view` and `graders serve --jobs` as processes: what they print, serve and refuse; their end."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from graders_engine.cli.main import graders
from graders_engine.cli.view.command import PORT, has_display
from tests.server.serving import Answer, serving

START = [sys.executable, "-m", "graders_engine", "view", "--no-open"]


@contextmanager
def viewing(*arguments: str) -> Iterator[str]:
    """The address that the command prints; it must end well on a signal, and log nothing."""
    with subprocess.Popen(
        [*START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line.startswith("Runs in a browser: http://"), process.stderr.read()
            yield line.rpartition(" ")[2].strip()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def get(address: str, path: str, **headers: str) -> Answer:
    port = urlsplit(address).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def test_the_address_has_the_key_and_the_page_is_all_there_is(folder: Path) -> None:
    with viewing(str(folder), "--port", "0") as address:
        base, _, key = address.partition("#key=")
        assert urlsplit(base).hostname == "127.0.0.1"
        assert urlsplit(base).path == "/view/"
        bearer = {"Authorization": f"Bearer {key}"}
        assert get(address, "/view/").body.startswith(b"<!doctype html>")
        assert get(address, "/view/api/runs").status == 401
        (run,) = get(address, "/view/api/runs", **bearer).json["runs"]
        assert run["run"] == "sub/run.jsonl"
        assert get(address, "/view/", Host="example.org").status == 403
        home = get(address, "/", Accept="text/html")
        assert (home.status, home.headers["location"]) == (307, "view/")
        for path in ("/docs", "/metrics", "/openapi.json", "/v1/files"):
            assert get(address, path, **bearer).status == 404


def test_the_next_free_port_is_taken(folder: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it
        with viewing(str(folder)) as address:
            assert PORT < (urlsplit(address).port or 0) < PORT + 20


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        graders, ["view", str(tmp_path / "a"), str(tmp_path / "b"), "--no-open"]
    )
    assert ended.exit_code == 2
    assert all(
        f"{tmp_path / name}: there is no such file or folder" in ended.stderr for name in "ab"
    )


def test_a_browser_is_opened_only_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()


def test_a_server_of_evals_serves_the_page_beside_them(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store", GRADERS_API_KEY="sk-view") as server:
        bearer = {"authorization": "Bearer sk-view"}
        page = server.ask("GET", "/view/")
        assert (page.status, page.headers["cross-origin-opener-policy"]) == (200, "same-origin")
        assert server.ask("GET", "/view/api/runs").status == 401
        assert server.ask("GET", "/view/api/runs", headers=bearer).json == {
            "read_only": True, "runs": [], "preflight": [], "others": [], "folders": [], "more": False,
            "jobs": [], "more_jobs": False,
        }  # fmt: skip
        assert (
            server.ask("GET", "/", headers={"accept": "text/html"}).headers["location"] == "view/"
        )
        assert (
            "content-security-policy" not in server.ask("GET", "/v1/evals", headers=bearer).headers
        )
        assert server.is_well() is False  # it asks for the key
        assert server.ask("GET", "/docs").status == 200


def test_a_server_without_evals_leads_to_its_routes(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.ask("GET", "/", headers={"accept": "text/html"}).headers["location"] == "docs"
        assert server.ask("GET", "/view/").status == 404
