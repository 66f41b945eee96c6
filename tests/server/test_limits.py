"""Bounds and manners: keys, names, bodies, queue, deadline, hanging up, the cache, the log, the metrics."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from graders_engine.metrics import core
from tests.server.serving import (
    BATCH,
    CHECK,
    GOOD,
    RUN,
    SLEEPER,
    VALIDATE,
    Server,
    command,
    eventually,
    python,
    raw_request,
    read_answer,
    serving,
)

ONLINE = "GRADERS_TESTS_ONLINE"
"""Lets a server of a test take an address that is not loopback's; nothing is sent there."""
OTHERS = {**os.environ, ONLINE: "1"}


@pytest.mark.parametrize("path", [RUN, VALIDATE, BATCH])
def test_the_routes_are_served_with_and_without_v1(server: Server, path: str) -> None:
    body: dict[str, Any] = {"grader": CHECK}
    body |= {RUN: GOOD, BATCH: {"rows": []}}.get(path, {})
    with_v1, without = server.post(path, body), server.post(path.removeprefix("/v1"), body)
    assert with_v1.status == without.status == 200


def test_a_browser_page_from_elsewhere_gets_nothing_done(server: Server) -> None:
    assert server.post(RUN, GOOD, host="evil.example:80").status == 403
    assert server.ask("GET", "/metrics", headers={"host": "evil.example"}).status == 403
    for named in (f"localhost:{server.port}", "127.0.0.1", "[::1]:80"):
        assert server.post(RUN, GOOD, host=named).status == 200
    # What a form or a script may send without asking first: none of these types is JSON.
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"):
        refused = server.post(RUN, GOOD, **{"content-type": type_})
        assert (refused.status, refused.error["code"]) == (415, "unsupported_media_type")
    asked = server.ask("OPTIONS", RUN, headers={"origin": "http://evil.example"})
    assert asked.status == 405
    assert not [name for name in asked.headers if name.startswith("access-control")]
    assert (
        server.post(RUN, GOOD, **{"content-type": "application/json; charset=utf-8"}).status == 200
    )


def test_with_a_key_everything_but_the_open_pages_wants_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--api-key", "sk-secret") as server:
        for header in ({}, {"authorization": "Bearer sk-wrong"}, {"authorization": "sk-secret"}):
            refused = server.ask("POST", RUN, GOOD, header)
            assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
            assert server.ask("GET", "/metrics", headers=header).status == 401
            assert server.ask("GET", "/healthz", headers=header).status == 200
            assert server.ask("GET", "/openapi.json", headers=header).status == 200
        let_in = {"authorization": "Bearer sk-secret", "host": "any.example"}
        assert server.ask("POST", RUN, GOOD, let_in).status == 200
        assert server.ask("GET", "/metrics", headers=let_in).status == 200
    assert "sk-" not in server.log_file.read_text()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--host", "0.0.0.0"), "--no-auth"),  # noqa: S104 - it must be refused
        (("--host", "no such host"), "Cannot listen on"),
        (("--api-key", ""), "The API key is empty"),
        (("--variant", "bleu=bogus"), "--variant"),
    ],
    ids=str,
)
def test_a_server_that_cannot_or_must_not_start_says_why(flags: tuple[str, str], says: str) -> None:
    done = subprocess.run(
        command(*flags), capture_output=True, text=True, timeout=60, check=False, env=OTHERS
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["--no-auth", "--api-key=sk-secret"])
def test_other_machines_are_served_when_that_is_said(tmp_path: Path, flag: str) -> None:
    host = "0.0.0.0"  # noqa: S104 - what is tried here
    with serving(tmp_path, "--host", host, flag, **{ONLINE: "1"}) as server:
        answer = server.post(RUN, GOOD, host="box.example", authorization="Bearer sk-secret")
        assert answer.status == 200


def test_a_taken_port_is_a_sentence(server: Server) -> None:
    flags = command("--port", str(server.port))
    done = subprocess.run(flags, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"port {server.port}: Address already in use" in done.stderr


def test_long_bodies_long_rows_and_long_graders_are_refused(tmp_path: Path) -> None:
    flags = ("--max-body-bytes", "6000000", "--max-row-bytes", "2000")
    long = {**GOOD, "item": {"label": "x" * 3000}}
    with serving(tmp_path, *flags) as server:
        assert server.post(RUN, b" " * 6_000_001).error["code"] == "body_too_large"
        row = server.post(RUN, long)
        assert (row.status, row.error["param"]) == (413, "item")
        padded = {**GOOD, "grader": {**CHECK, "name": "n" * 3000}}
        assert server.post(RUN, padded).status == 200  # the grader is not the row
        huge = {**GOOD, "grader": {**CHECK, "name": "n" * 5_000_000}}
        assert server.post(RUN, huge).error["code"] == "grader_too_large"
        rows = [{k: body[k] for k in ("item", "model_sample")} for body in (GOOD, long)]
        results = server.post(BATCH, {"grader": CHECK, "rows": rows}).json["results"]
        assert results[0]["reward"] == 1.0
        assert results[1]["error"]["code"] == "row_too_large"
        assert results[1]["error"]["param"] == "rows[1].item"


def test_templates_that_would_fill_the_memory_are_refused(server: Server) -> None:
    bomb = {**CHECK, "input": "{{item.label}}" * 20_000}
    body = json.dumps({**GOOD, "grader": bomb, "item": {"label": "x" * 100_000}})
    for written in (body, body.replace("{{", "\\u007b\\u007b")):
        answer = server.post(RUN, written.encode())
        assert (answer.status, answer.error["code"]) == (413, "row_too_large")


def test_a_busy_server_refuses_what_must_wait_and_serves_what_need_not(tmp_path: Path) -> None:
    with serving(tmp_path, "--concurrency", "1", "--max-queue", "1") as server:
        body = json.dumps({"grader": SLEEPER, "item": {"seconds": 60}, "model_sample": ""}).encode()
        waiting = [server.connect() for _ in range(2)]
        for connection in waiting:
            connection.sendall(raw_request(RUN, body))
        assert eventually(lambda: server.metric("graders_queue_depth") == 1)
        refused = server.post(RUN, {"grader": python("return 1"), "model_sample": ""})
        assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
        assert refused.headers["retry-after"] == "1"
        assert server.post(BATCH, {"grader": CHECK, "rows": []}).status == 429
        assert server.is_well()
        for connection in waiting:  # hanging up gives the places back
            connection.close()
        assert eventually(lambda: server.metric("graders_queue_depth") == 0)
        again = server.post(RUN, {"grader": python("return 1"), "model_sample": ""})
        assert again.json["reward"] == 1.0


def test_work_past_the_deadline_is_given_up_and_not_to_be_tried_again(tmp_path: Path) -> None:
    with serving(tmp_path, "--deadline-s", "1") as server:
        body = {"grader": SLEEPER, "item": {"seconds": 60}, "model_sample": ""}
        answer = server.post(RUN, body)
        assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
        assert answer.headers["x-should-retry"] == "false"
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 0)


def test_one_grader_sent_many_times_is_compiled_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for _ in range(20):
            assert server.is_well()
        assert server.post(VALIDATE, {"grader": CHECK}).status == 200
        assert server.metric("graders_compiled_total") == 2  # one to run, one to validate
        assert server.metric("graders_cached_graders") == 2


def test_many_graders_do_not_fill_the_memory(server: Server) -> None:
    for number in range(40):  # 40 MB of graders where 16 MiB are kept
        grader = {**CHECK, "name": f"{number}" + "n" * 1_000_000}
        assert server.post(VALIDATE, {"grader": grader}).status == 200
    assert server.metric("graders_cached_graders") < 20


def test_a_long_comparison_leaves_the_server_to_the_others(tmp_path: Path) -> None:
    words = " ".join(f"word{number % 997}" for number in range(40_000))
    grader = {
        "type": "text_similarity",
        "name": "long",
        "input": "{{sample.output_text}}",
        "reference": "{{item.text}}",
        "evaluation_metric": "meteor",
    }
    body = {"grader": grader, "model_sample": words, "item": {"text": words[::-1]}}
    answers: list[float] = []
    seen = threading.Event()

    def compare() -> None:
        while not answers or not seen.is_set():
            answers.append(server.post(RUN, body).json["reward"])

    with serving(tmp_path, "--concurrency", "1") as server:
        clients = [threading.Thread(target=compare) for _ in range(2)]
        for client in clients:
            client.start()
        # Seen only if `/metrics` is answered while both comparisons run; one is counted as waiting.
        waiting = eventually(lambda: server.metric("graders_queue_depth") == 1)
        assert server.is_well()
        seen.set()
        for client in clients:
            client.join()
    assert waiting
    assert len(answers) > 1


def large_body() -> bytes:
    """A good request of 900 kB: the row, and blanks that are no part of it."""
    return json.dumps(GOOD).encode().ljust(900_000)


def test_large_bodies_beyond_the_bound_on_all_are_refused_until_others_are_answered(
    tmp_path: Path,
) -> None:
    """Eight of the longest bodies may be in memory; nine of 900 kB without their ends are more."""
    body = large_body()
    request = raw_request(RUN, body)
    with serving(tmp_path, "--max-body-bytes", "1000000") as server:
        for _ in range(
            3
        ):  # a server that did not free the memory would refuse all in the next round
            connections = [server.connect() for _ in range(9)]
            for connection in connections:
                connection.sendall(request[:-1000])
            ready, _, _ = select.select(connections, [], [], 60)
            (refused,) = ready
            answer = read_answer(refused)
            assert (answer.status, answer.error["code"]) == (429, "busy")
            assert answer.error["message"] == (
                "Too many large request bodies in memory; retry later."
            )
            assert answer.headers["retry-after"] == "1"
            assert server.is_well()  # its body is short
            for connection in connections:
                if connection is not refused:
                    connection.sendall(request[-1000:])
                    assert read_answer(connection).json["reward"] == 1.0
                connection.close()


def test_endpoint_graders_do_not_run_unless_that_is_said(server: Server, tmp_path: Path) -> None:
    grader = {"type": "endpoint", "name": "e", "url": "http://127.0.0.1:9/none"}
    refused = server.post(RUN, {"grader": grader, "model_sample": "x"})
    assert refused.status == 400
    with serving(tmp_path, "--allow-endpoints") as open_one:
        answer = open_one.post(RUN, {"grader": grader, "model_sample": "x"})
        assert answer.status == 200
        assert answer.json["metadata"]["errors"]["endpoint_grader_server_error"] is True


SECRET = "in-the-item"  # noqa: S105 - nobody's


def test_the_log_tells_of_every_request_and_nothing_of_what_was_in_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        body = {**GOOD, "item": {"label": SECRET}, "model_sample": SECRET}

        def post(path: str, body: Any, **headers: str) -> None:
            """A line is written after its response was sent: it is waited for, to know the order."""
            lines = len(server.log)
            server.post(path, body, **headers)
            assert eventually(lambda: len(server.log) == lines + 1)

        post(RUN, body, authorization=f"Bearer {SECRET}")
        post(RUN, {**body, "sample": SECRET})
        post(RUN, {"grader": CHECK, "model_sample": SECRET})
        post(BATCH, {"grader": CHECK, "rows": [body, 3]})
        post(f"/nowhere?key={SECRET}", body)
    assert SECRET not in server.log_file.read_text()
    first, wrong, flagged, batch, lost = server.log
    assert first["method"] == "POST"
    assert first["path"] == RUN
    assert first["status"] == 200
    assert first["grader_type"] == "string_check"
    assert first["reward"] == 1.0
    assert first["request_id"].startswith("req_")
    assert wrong["status"] == 400
    assert flagged["flags"] == ["invalid_variable_error"]
    assert (batch["rows"], batch["scored"]) == (2, 1)
    assert lost["status"] == 404
    assert len({line["request_id"] for line in server.log}) == 5


def test_bodies_are_logged_when_that_is_said(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-bodies") as server:
        server.post(RUN, {**GOOD, "model_sample": SECRET}, authorization="Bearer sk-key")
        assert eventually(lambda: server.log)
        (line,) = server.log
    assert SECRET in line["request"]
    assert json.loads(line["response"])["reward"] == 0.0
    assert "sk-key" not in server.log_file.read_text()


def test_the_metrics_count_requests_rows_rewards_flags_and_calls(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.post(RUN, GOOD)
        server.post(RUN, {**GOOD, "model_sample": "dog"})
        server.post(RUN, {"grader": CHECK, "model_sample": "cat"})
        server.post(RUN, {"grader": python("return 0.5"), "model_sample": "x"})
        server.post(BATCH, {"grader": CHECK, "rows": [GOOD, GOOD, 1]})
        server.post(RUN, b"{")
        short = RUN.removeprefix("/v1")
        for name, due in {
            f'graders_requests_total{{route="{short}",status="200"}}': 4,
            f'graders_requests_total{{route="{short}",status="400"}}': 1,
            f'graders_http_request_duration_seconds_count{{route="{short}"}}': 5,
            'graders_rows_total{blame="none",grader_type="string_check",status="scored"}': 4,
            'graders_rows_total{blame="row",grader_type="string_check",status="invalid"}': 1,
            'graders_flags_total{flag="invalid_variable_error",grader_type="string_check"}': 1,
            'graders_reward_sum{grader_type="string_check"}': 3,
            'graders_reward_count{grader_type="string_check"}': 4,
            'graders_reward_sum{grader_type="python"}': 0.5,
            'graders_sandbox_calls_total{outcome="value"}': 1,
            "graders_sandbox_seconds_count": 1,
            "graders_queue_depth": 0,
        }.items():
            assert server.metric(name) == due, name


def test_the_pages_are_there_and_ask_nobody_else(server: Server) -> None:
    assert server.ask("GET", "/healthz").body == f"ok\nmetrics: {core.ACTIVE}\n".encode()
    docs = server.ask("GET", "/docs")
    assert docs.headers["content-type"].startswith("text/html")
    assert b"https://" not in docs.body
    assert "default-src 'none'" in docs.headers["content-security-policy"]
    assert server.ask("POST", "/healthz", {}).headers["allow"] in ("GET, HEAD", "HEAD, GET")
