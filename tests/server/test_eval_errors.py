"""What the Evals API refuses over HTTP, with the status, the `param` and the code of each refusal."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.evals.test_requests import BASES, CASES, body_of
from tests.server.evals_of import (
    CONFIG,
    MATCH,
    MISSING,
    ROWS,
    SCORE,
    client_of,
    ended,
    eval_body,
    evals_of,
    jsonl,
    new_eval,
    new_run,
)
from tests.server.serving import Server, serving


@dataclass(frozen=True)
class Made:
    """An eval with a run that has ended, and an item of it."""

    server: Server
    eval_id: str
    run_id: str
    item_id: str

    def path(self, text: str) -> str:
        """A path with the ids in place of `EVAL`, `RUN` and `ITEM`, and of `NO…` those of nothing."""
        ids = {
            "NOEVAL": f"eval_{MISSING}",
            "NORUN": f"evalrun_{MISSING}",
            "NOITEM": f"outputitem_{MISSING}_0",
            "EVAL": self.eval_id,
            "RUN": self.run_id,
            "ITEM": self.item_id,
        }
        for name, value in ids.items():
            text = text.replace(name, value)
        return f"/v1/evals{text}"


@pytest.fixture(scope="module")
def made(evals_server: Server) -> Iterator[Made]:
    with client_of(evals_server) as client:
        evals = evals_of(client)
        one = evals.create(**eval_body())
        run = ended(evals, evals.runs.create(one.id, data_source=jsonl(ROWS)))
        item = next(iter(evals.runs.output_items.list(run.id, eval_id=one.id)))
        yield Made(evals_server, one.id, run.id, item.id)


NOT_FOUND = [
    ("GET", "/NOEVAL"),
    ("POST", "/NOEVAL"),
    ("DELETE", "/NOEVAL"),
    ("GET", "/x"),
    ("GET", "/%F0%9F%98%80"),
    ("GET", "/..%2F..%2Fetc"),
    ("GET", "/NOEVAL/runs"),
    ("POST", "/NOEVAL/runs"),
    ("GET", "/EVAL/runs/NORUN"),
    ("GET", "/NOEVAL/runs/RUN"),
    ("POST", "/EVAL/runs/NORUN"),
    ("POST", "/EVAL/runs/NORUN/cancel"),
    ("DELETE", "/EVAL/runs/NORUN"),
    ("GET", "/EVAL/runs/NORUN/output_items"),
    ("GET", "/NOEVAL/runs/RUN/output_items"),
    ("GET", "/EVAL/runs/RUN/output_items/NOITEM"),
    ("GET", "/EVAL/runs/RUN/output_items/x"),
    ("GET", "/EVAL/runs/NORUN/output_items/ITEM"),
]


@pytest.mark.parametrize(("method", "path"), NOT_FOUND)
def test_what_is_not_there_is_not_found(made: Made, method: str, path: str) -> None:
    body = {"data_source": jsonl(ROWS)} if path.endswith("/runs") else {}
    answer = made.server.ask(method, made.path(path), body if method == "POST" else None)
    assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert answer.error["type"] == "invalid_request_error"


QUERIES = [
    ("?limit=0", "limit", "integer_below_min_value"),
    ("?limit=101", "limit", "integer_above_max_value"),
    ("?limit=ten", "limit", "invalid_type"),
    ("?limit=", "limit", "invalid_type"),
    ("?order=up", "order", "invalid_value"),
    ("?order=asc&order=desc", "order", "invalid_value"),
    ("?after=x", "after", "invalid_value"),
    ("?before=x", "before", "unknown_parameter"),
    ("?metadata%5Ba%5D=b", "metadata[a]", "unknown_parameter"),
]
LISTS = ["", "/EVAL/runs", "/EVAL/runs/RUN/output_items"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("query", "param", "code"), QUERIES)
def test_a_query_is_refused_with_the_parameter(
    made: Made, path: str, query: str, param: str, code: str
) -> None:
    answer = made.server.ask("GET", made.path(path) + query)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("", "?order_by=name", "invalid_value"),
        ("", "?status=completed", "unknown_parameter"),
        ("/EVAL/runs", "?status=cancelled", "invalid_value"),
        ("/EVAL/runs", "?order_by=created_at", "unknown_parameter"),
        ("/EVAL/runs/RUN/output_items", "?status=passed", "invalid_value"),
        ("/EVAL", "?limit=3", "unknown_parameter"),
        ("/EVAL/runs/RUN", "?include=x", "unknown_parameter"),
        ("/EVAL/runs/RUN/output_items/ITEM", "?limit=3", "unknown_parameter"),
    ],
)
def test_each_route_takes_parameters_of_its_own(
    made: Made, path: str, query: str, code: str
) -> None:
    answer = made.server.ask("GET", made.path(path) + query)
    param = query[1:].partition("=")[0]
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


def test_a_cursor_of_another_list_is_unknown(made: Made) -> None:
    other = new_eval(made.server)
    for path in (f"/{other}/runs?after=RUN", "?after=RUN", "/EVAL/runs?after=EVAL"):
        answer = made.server.ask("GET", made.path(path))
        assert (answer.status, answer.error["param"]) == (400, "after")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", "POST, GET, HEAD"),
        ("PATCH", "/EVAL", "GET, HEAD, POST, DELETE"),
        ("DELETE", "/EVAL/runs", "POST, GET, HEAD"),
        ("GET", "/EVAL/runs/RUN/cancel", "POST"),
        ("POST", "/EVAL/runs/RUN/output_items", "GET, HEAD"),
    ],
)
def test_other_methods_are_not_allowed(made: Made, method: str, path: str, allowed: str) -> None:
    answer = made.server.ask(method, made.path(path))
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path", ["", "/EVAL", "/EVAL/runs", "/EVAL/runs/RUN", "/EVAL/runs/RUN/cancel"]
)
@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_in_a_browser_can_post_nothing(made: Made, path: str, type_: str) -> None:
    for body in (b"", b"{}"):
        answer = made.server.ask("POST", made.path(path), body, {"content-type": type_})
        assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/EVAL/runs/RUN", "/EVAL/runs/RUN/cancel"])
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "invalid_state"),
        ({"sec-fetch-site": "same-origin"}, 400, "invalid_state"),
        ({"sec-fetch-site": "cross-site"}, 403, "cross_origin_request"),
        ({"origin": "http://evil.example"}, 403, "cross_origin_request"),
        ({"origin": "null"}, 403, "cross_origin_request"),
        ({"content-length": "2"}, 415, "unsupported_media_type"),
    ],
)
def test_a_post_that_has_no_body_needs_no_type_but_a_page_of_another_site_cannot_send_it(
    made: Made, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """As the package of npm sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", made.server.port, timeout=60)
    try:
        connection.request("POST", made.path(path), headers=headers)
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
    finally:
        connection.close()
    assert (response.status, error["code"]) == (status, code)


@pytest.mark.parametrize("path", ["", "/EVAL", "/EVAL/runs"])
@pytest.mark.parametrize("body", [b"", b"{", b"nul", b'{"name": "a"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(made: Made, path: str, body: bytes) -> None:
    answer = made.server.ask("POST", made.path(path), body)
    assert (answer.status, answer.error["param"]) == (400, None)
    assert "JSON" in answer.error["message"]


def test_the_errors_of_bodies_are_those_of_the_cases(made: Made) -> None:
    """A tenth of the cases of tests/evals/test_requests.py, over HTTP."""
    paths = {"eval": "", "update": "/EVAL"}
    refused = [case for case in CASES if "error" in case][::10]
    assert len(refused) > 10
    for case in refused:
        path = made.path(paths.get(case["base"], "/EVAL/runs"))
        answer = made.server.post(path, body_of(case))
        error = case["error"]
        found = (answer.status, answer.error["param"], answer.error["code"])
        assert found == (400, error["param"], error["code"]), case["name"]


def test_a_refused_run_leaves_nothing(made: Made) -> None:
    bad = jsonl([*ROWS, {"item": {}}])
    answer = made.server.post(made.path("/EVAL/runs"), {"data_source": bad})
    assert answer.error["param"] == "data_source.source.content[3].item"
    listed = made.server.ask("GET", made.path("/EVAL/runs")).json["data"]
    assert [run["id"] for run in listed] == [made.run_id]


def test_a_file_that_is_not_there_or_does_not_fit_is_refused(made: Made) -> None:
    source = {"type": "jsonl", "source": {"type": "file_id", "id": "file-0123"}}
    answer = made.server.post(made.path("/EVAL/runs"), {"data_source": source})
    assert (answer.status, answer.error["param"]) == (400, "data_source.source.id")
    with client_of(made.server) as client:
        text = b'{"item": {"label": "a"}}\n{"item": {"lable": "a"}}\n'
        file = client.files.create(file=("rows.jsonl", text), purpose="evals")
        with pytest.raises(openai.BadRequestError, match="line 2") as refused:
            evals_of(client).runs.create(
                made.eval_id,
                data_source={"type": "jsonl", "source": {"type": "file_id", "id": file.id}},
            )
    assert refused.value.param == "data_source.source.id"
    assert refused.value.code == "invalid_value"


def test_what_no_endpoint_answers_for_is_refused_before_the_run(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as server:
        asked = json.loads(json.dumps(BASES["completions"]))
        plain, judged = new_eval(server), new_eval(server, MATCH, SCORE)
        answer = server.post(f"/v1/evals/{plain}/runs", asked)
        assert (answer.status, answer.error["param"]) == (400, "data_source.model")
        assert answer.error["code"] == "model_not_available"
        assert "gpt-4o" in answer.error["message"]
        answer = server.post(f"/v1/evals/{judged}/runs", {"data_source": jsonl(ROWS)})
        assert (answer.status, answer.error["code"]) == (400, "model_not_available")
        assert "'rated'" in answer.error["message"]
        assert server.ask("GET", f"/v1/evals/{judged}/runs").json["data"] == []
        new_run(server, plain, jsonl(ROWS))


def test_a_wrong_key_and_none_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store", GRADERS_API_KEY="sk-right") as server:
        for headers in ({}, {"authorization": "Bearer sk-wrong"}, {"api-key": "sk-wrong"}):
            for path in ("/v1/evals", "/v1/evals/x", "/v1/evals/x/runs", "/reports/x"):
                answer = server.ask("GET", path, headers=headers)
                assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        right = {"authorization": "Bearer sk-right"}
        assert server.ask("GET", "/v1/evals", headers=right).status == 200


def test_a_page_of_another_site_can_upload_nothing_with_a_key_that_a_browser_keeps(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--jobs", "store", GRADERS_API_KEY="sk-right") as server:
        headers = {
            "authorization": f"Basic {base64.b64encode(b'me:sk-right').decode()}",
            "content-type": "multipart/form-data; boundary=b",
            "origin": "http://evil.example",
        }
        answer = server.ask("POST", "/v1/files", b"--b--\r\n", headers)
        assert (answer.status, answer.error["code"]) == (403, "cross_origin_request")
        headers["origin"] = server.url
        assert server.ask("POST", "/v1/files", b"--b--\r\n", headers).status == 400


def test_a_body_beyond_the_servers_bound_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store", "--max-body-bytes", "2000") as server:
        eval_id = new_eval(server)
        answer = server.post(f"/v1/evals/{eval_id}/runs", {"data_source": jsonl(ROWS * 50)})
        assert (answer.status, answer.error["code"]) == (413, "body_too_large")


def test_a_request_of_an_old_client_has_a_report_at_its_address(made: Made) -> None:
    """HTTP/1.0 needs no `Host`."""
    connection = http.client.HTTPConnection("127.0.0.1", made.server.port, timeout=60)
    try:
        connection.putrequest("GET", made.path("/EVAL/runs/RUN"), skip_host=True)
        connection.endheaders()
        response = connection.getresponse()
        status, run = response.status, json.loads(response.read())
    finally:
        connection.close()
    if status == 200:
        assert run["report_url"] == f"{made.server.url}/reports/{made.run_id}"


@pytest.mark.parametrize("name", ["\x00", "x" * 100_000, "é́"])
def test_any_text_is_a_name(made: Made, name: str) -> None:
    body = eval_body(name=name, metadata={"k": name[:512], "half": "\ud800"})
    answer = made.server.ask("POST", made.path(""), json.dumps(body).encode())
    assert (answer.status, answer.json["name"]) == (200, name)
    run = {"name": name, "metadata": body["metadata"], "data_source": jsonl(ROWS)}
    answer = made.server.ask(
        "POST", f"/v1/evals/{answer.json['id']}/runs", json.dumps(run).encode()
    )
    assert (answer.status, answer.json["name"]) == (200, name)
    assert answer.json["data_source"] == run["data_source"]


def test_a_schema_decides_over_the_rows_alone(made: Made) -> None:
    body: dict[str, Any] = eval_body()
    body["data_source_config"] = {**CONFIG, "item_schema": {"additionalProperties": False}}
    eval_id = made.server.post(made.path(""), body).json["id"]
    path = f"/v1/evals/{eval_id}/runs"
    rows = [{"item": {}, "sample": {"output_text": "a", "more": 1}, "note": "kept"}]
    assert made.server.post(path, {"data_source": jsonl(rows)}).status == 200
    answer = made.server.post(path, {"data_source": jsonl(ROWS)})
    assert answer.error["param"] == "data_source.source.content[0].item"
