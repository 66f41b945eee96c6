"""`graders conformance` names what a server does otherwise; that ours passes, the guide shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.conformance.cases import Case, all_cases
from graders_engine.conformance.comparing import Answer, differences
from tests.conformance.deviating import PLANTED, deviating
from tests.server.serving import Server, serving

TEXTS = {"message": "What is wrong.", "type": "invalid_request_error"}


def conformance(*args: str) -> Result:
    return CliRunner().invoke(graders, ["conformance", *args])


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def reported(ours: Server) -> dict[str, Any]:
    with deviating(ours.url) as url:
        done = conformance("--base-url", url, "--json")
    assert done.exit_code == 1
    report: dict[str, Any] = json.loads(done.output)
    return report


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_each_planted_difference_is_named(reported: dict[str, Any], planted: Any) -> None:
    found = [
        difference
        for case in reported["differing"]
        if case["topic"] == planted.topic
        for difference in case["differences"]
    ]
    assert any(difference.startswith(planted.difference) for difference in found), found
    counts = reported["topics"][planted.topic]
    assert counts["as_expected"] < counts["cases"]


@pytest.mark.parametrize(
    ("expected", "status", "body", "found"),
    [
        ({"reward": 0.1}, 200, {"reward": 0.1 + 1e-12}, []),
        ({"reward": 1.0}, 200, {"reward": 1}, []),
        ({"reward": 1.0}, 200, {"reward": True}, ["reward is true, not 1.0"]),
        ({"reward": 0.0}, 200, {"reward": None}, ["reward is null, not 0.0"]),
        ({"reward": 0.0}, 200, {}, ["reward is absent, not 0.0"]),
        ({"reward": 0.0}, 200, [], ["the body is no JSON object: []"]),
        ({"reward": 0.0}, 500, "a page", ['HTTP 500, not 200: "a page"']),
        (
            {"sub_rewards": {"a": 0.5}},
            200,
            {"sub_rewards": {"a": 0.6}},
            ["sub_rewards.a is 0.6, not 0.5"],
        ),
        (
            {"flags": []},
            200,
            {"metadata": {"errors": {"other_error": True}}},
            ["metadata.errors.other_error is true"],
        ),
        ({"flags": []}, 200, {}, ["metadata.errors is null, not an object"]),
        ({"flags_among_others": ["a"]}, 200, {"metadata": {"errors": {"a": True, "b": True}}}, []),
        (
            {"response": {"a": {"execution_time": 1.0}}},
            200,
            {"a": {"execution_time": 2}, "b": 1},
            ["b is not expected"],
        ),
        ({"response": {"a": "<details>"}}, 200, {"a": ""}, ['a is "", not a text']),
        ({"grader": {"a": [1]}}, 200, {"grader": {"a": [1, 2]}}, ["grader.a is [1, 2], not [1]"]),
        ({"reward": 0.5}, 200, {"reward": float("inf")}, ["reward is Infinity, not 0.5"]),
        ({"reward": 0.5}, 200, {"reward": float("nan")}, ["reward is NaN, not 0.5"]),
        ({"reward": 0.5}, 200, {"reward": 10**400}, [f"reward is {str(10**400)[:160]}…, not 0.5"]),
        (
            {"response": {"execution_time": 1.0}},
            200,
            {"execution_time": -1},
            ["execution_time is -1, not a number of seconds"],
        ),
        (
            {"error": [{"param": None}]},
            400,
            {"error": {"message": "x"}},
            ["error.type is absent, not a text", "error.param is absent, not null"],
        ),
        ({"error": [{"param": "a"}, {"param": "b"}]}, 400, {"error": {**TEXTS, "param": "b"}}, []),
        (
            {"error": [{"param": "a"}, {"param": "b"}]},
            400,
            {"error": {**TEXTS, "param": "c"}},
            ['error.param is "c", not "a" or "b"'],
        ),
        ({"error": [{"param": "a"}]}, 400, {"detail": "x"}, ["there is no error object, but null"]),
        (
            {"error": [{"param": "a"}]},
            200,
            {"grader": {}},
            ['HTTP 200, not 400: {"grader": {}}'],
        ),
    ],
)
def test_what_differs_is_said_by_its_path(
    expected: dict[str, Any], status: int, body: Any, found: list[str]
) -> None:
    case = Case("topic", "name", "run", {}, expected)
    assert differences(case, Answer(status, body)) == found


def test_mistakes_of_two_fields_are_not_mixed() -> None:
    wanted = [{"param": "a", "code": "x"}, {"param": "b", "code": "y"}]
    case = Case("topic", "name", "validate", {}, {"error": wanted})
    mixed = Answer(400, {"error": {**TEXTS, "param": "a", "code": "y"}})
    assert differences(case, mixed) == [
        'error is of "a" with the code "y", not of "a" with "x" or "b" with "y"'
    ]


def test_the_cases_are_printed_for_those_who_ask_them_otherwise() -> None:
    done = conformance("--write", "--topic", "string_check")
    cases = [json.loads(line) for line in done.output.splitlines()]
    assert len(cases) == 101
    assert set(cases[0]) == {"topic", "name", "call", "request", "expected"}


def test_no_two_cases_of_a_topic_have_one_name() -> None:
    names = [(case.topic, case.name) for case in all_cases()]
    assert len(names) == len(set(names)) > 1200


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    done = conformance("--base-url", "http://127.0.0.1:9/v1")
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "Does the server run?" in done.output


def test_an_address_of_another_path_is_no_conformant_server(ours: Server) -> None:
    done = conformance("--base-url", f"{ours.url}/v2", "--topic", "fuzzy_match")
    assert done.exit_code == 1
    assert "HTTP 404" in done.output
    assert "is /v1 missing" in done.output


def test_a_refused_key_is_said_and_not_repeated(tmp_path: Path) -> None:
    with serving(tmp_path, GRADERS_API_KEY="the-key-of-the-server-7") as server:
        done = conformance("--base-url", f"{server.url}/v1", "--key", "another-key-51fd2")
        assert done.exit_code == 1
        assert "refuses the key" in done.output
        assert "another-key-51fd2" not in done.output
        topic = ("--topic", "fuzzy_match")
        given = conformance(
            "--base-url", f"{server.url}/v1", "--key", "the-key-of-the-server-7", *topic
        )
        assert given.exit_code == 0


def test_without_an_address_the_command_says_what_it_can_do() -> None:
    done = conformance()
    assert done.exit_code == 2
    assert "--base-url" in done.output
    assert "--write" in done.output


class Odd(BaseHTTPRequestHandler):
    """Redirects to the port `elsewhere`; or answers the first request, and hangs up on the others."""

    elsewhere = 0
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.headers.get("api-key", ""))
        if self.elsewhere:
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.elsewhere}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif len(self.seen) == 1:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def odd(elsewhere: int = 0) -> Iterator[tuple[int, list[str]]]:
    """The port of such a server, and the keys that it was sent."""
    seen: list[str] = []
    handler = type("Handler", (Odd,), {"elsewhere": elsewhere, "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port, seen
        finally:
            server.shutdown()
            thread.join()


def test_a_redirect_is_an_answer_and_takes_no_key_with_it() -> None:
    with odd() as (elsewhere, seen_there), odd(elsewhere) as (port, seen):
        url = f"http://127.0.0.1:{port}/openai/deployments/x"
        done = conformance("--base-url", url, "--key", "sk-Secr3tKey9876", "--topic", "fuzzy_match")
    assert done.exit_code == 1
    assert "HTTP 307, not 200" in done.output
    assert set(seen) == {"sk-Secr3tKey9876"}
    assert not seen_there


def test_a_server_that_stops_answering_ends_the_run() -> None:
    with odd() as (port, _):
        done = conformance("--base-url", f"http://127.0.0.1:{port}/v1")
    assert done.exit_code == 1
    assert "stopped answering: no answer (ServerDisconnectedError), 5 times in a row" in done.output


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--base-url", "http://u:p@h/v1"), "must not hold a password: give the key by --key or"),
        (
            ("--base-url", "http://h/v1", "--key", "a\nb"),
            "has characters that a header cannot hold",
        ),
        (("--base-url", "ftp://h"), "--base-url: "),
        (("--base-url", "http://a..b/v1"), "no answer (Unicode"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(given: tuple[str, ...], sentence: str) -> None:
    done = conformance(*given)
    assert done.exit_code in (1, 2)
    assert sentence in done.output
    assert "Traceback" not in done.output
