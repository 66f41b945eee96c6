"""Uploads that are refused, each with its `param` and `code`; nothing of them stays."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import Answer, Server, command, eventually, read_answer, running, serving

LIMITS = "[store]\nmax_file_bytes = 1000000\nmax_bytes = 2750000\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("refused")
    (folder / "graders.toml").write_text(LIMITS)
    with serving(folder, "--jobs", "store", "--read-timeout-s", "2") as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_stays(store: Server) -> Iterator[None]:
    yield
    assert eventually(lambda: not contents(store))
    assert all("level" not in line for line in store.log)  # only requests, each a line of JSON


def contents(store: Server) -> list[str]:
    return os.listdir(store.log_file.parent / "store" / "files")


def part(name: str, value: bytes = b"", *, file: str | None = None, more: str = "") -> bytes:
    filename = "" if file is None else f'; filename="{file}"'
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n{more}\r\n'
    return head.encode() + value + b"\r\n"


FILE, PURPOSE, END = part("file", b"{}", file="a.jsonl"), part("purpose", b"evals"), b"--B--\r\n"
ANCHOR = part("expires_after[anchor]", b"created_at")
FORM = "multipart/form-data; boundary=B"


def seconds(text: str) -> bytes:
    return part("expires_after[seconds]", text.encode())


def post(store: Server, body: bytes, type_: str = FORM, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return store.ask("POST", "/v1/files", body, {"content-type": type_, **sent})


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (PURPOSE + END, "file", "missing_required_parameter"),
        (FILE + END, "purpose", "missing_required_parameter"),
        (END, "file", "missing_required_parameter"),
        (part("file", b"", file="") + PURPOSE + END, "file", "missing_required_parameter"),
        (FILE + FILE + PURPOSE + END, "file", "invalid_value"),
        (FILE + PURPOSE + PURPOSE + END, "purpose", "invalid_value"),
        (FILE + part("purpose", b"fine_tune") + END, "purpose", "invalid_value"),
        (part("purpose", b"fine-tune-results") + FILE + END, "purpose", "invalid_value"),
        (FILE + part("purpose", b"\xff\xfe") + END, "purpose", "invalid_value"),
        (FILE + part("purpose", b"x" * 2000) + END, "purpose", "invalid_value"),
        (part("file", b"{}") + PURPOSE + END, "file", "invalid_type"),
        (part('file"; filename*="x', b"{}") + PURPOSE + END, "file", "invalid_type"),
        (part("file\"; filename*=\"UTF-8''", b"{}") + PURPOSE + END, "file",
         "missing_required_parameter"),
        (part("file\"; filename*=\"UTF-16''a", b"{}") + PURPOSE + END, "file", "invalid_value"),
        (part('file"; filename*0="a"; filename*1="b', b"{}") + PURPOSE + END, "file",
         "invalid_value"),
        (part("file; filename*=UTF-8''a", b"{}") + PURPOSE + END,
         "file; filename*=UTF-8''a", "unknown_parameter"),
        (FILE + part("purpose", b"evals", file="p") + END, "purpose", "invalid_type"),
        (FILE + PURPOSE + part("colour", b"red") + END, "colour", "unknown_parameter"),
        (FILE + PURPOSE + ANCHOR + END, "expires_after[seconds]", "missing_required_parameter"),
        (FILE + PURPOSE + seconds("3600") + END, "expires_after[anchor]",
         "missing_required_parameter"),
        (FILE + PURPOSE + part("expires_after[anchor]", b"now") + seconds("3600") + END,
         "expires_after[anchor]", "invalid_value"),
        (FILE + PURPOSE + ANCHOR + seconds("3599") + END, "expires_after[seconds]",
         "integer_below_min_value"),
        (FILE + PURPOSE + ANCHOR + seconds("2592001") + END, "expires_after[seconds]",
         "integer_above_max_value"),
        (FILE + PURPOSE + ANCHOR + seconds("1h") + END, "expires_after[seconds]", "invalid_type"),
        (FILE + PURPOSE + ANCHOR + seconds("") + END, "expires_after[seconds]", "invalid_type"),
        (FILE + PURPOSE, None, "invalid_multipart"),
        (FILE[:-4], None, "invalid_multipart"),
        (b"", None, "invalid_multipart"),
        (b"{}", None, "invalid_multipart"),
        (b"--C\r\n", None, "invalid_multipart"),
        (b"--B\r\n\r\nx\r\n" + END, None, "invalid_multipart"),
        (b"--B\r\nContent-Disposition: attachment\r\n\r\nx\r\n" + END, None, "invalid_multipart"),
        (b"--B\r\nNo header\r\n\r\nx\r\n" + END, None, "invalid_multipart"),
        (part("purpose", b"evals", more=f"X: {'y' * 20_000}\r\n") + END, None,
         "invalid_multipart"),
        (part("purpose", b"evals", more="X: y\r\n" * 5000) + END, None, "invalid_multipart"),
        (part("file", b"e30=", file="a", more="Content-Transfer-Encoding: base64\r\n") + END,
         None, "invalid_multipart"),
    ],
)  # fmt: skip
def test_a_wrong_form_is_refused(store: Server, body: bytes, param: str | None, code: str) -> None:
    answer = post(store, body)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("type_", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("multipart/mixed; boundary=B", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_multipart"),
        (f"multipart/form-data; boundary={'B' * 1000}", 400, "invalid_multipart"),
    ],
)
def test_another_type_of_body_is_refused(store: Server, type_: str, status: int, code: str) -> None:
    answer = post(store, FILE + PURPOSE + END, type_)
    assert (answer.status, answer.error["code"]) == (status, code)


def test_an_encoded_body_is_refused(store: Server) -> None:
    answer = post(store, FILE + PURPOSE + END, content_encoding="gzip")
    assert (answer.status, answer.error["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize("size", [1_000_001, 1_100_000, 3_000_000])
def test_a_file_that_is_too_long_is_refused(store: Server, size: int) -> None:
    answer = post(store, PURPOSE + part("file", b"x" * size, file="a") + END)
    assert answer.status == 413
    assert (answer.error["param"], answer.error["code"]) == ("file", "file_too_large")
    assert "1000000 bytes" in answer.error["message"]


def test_a_file_that_does_not_say_its_length_is_bounded_as_well(store: Server) -> None:
    body = PURPOSE + part("file", b"x" * 1_500_000, file="a") + END
    with store.connect() as connection:
        head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode())
        connection.sendall(body + b"\r\n0\r\n\r\n")
        answer = read_answer(connection)
    assert (answer.status, answer.error["code"]) == (413, "file_too_large")


def test_all_files_together_are_bounded_and_a_deletion_makes_room(store: Server) -> None:
    body = PURPOSE + part("file", b"x" * 900_000, file="a") + END
    answers = [post(store, body) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 400]
    error = answers[-1].error
    assert (error["param"], error["code"]) == ("file", "storage_limit_exceeded")
    ids = [answer.json["id"] for answer in answers[:3]]
    assert store.ask("DELETE", f"/v1/files/{ids[0]}").status == 200
    again = post(store, body)
    assert again.status == 200
    for each in (ids[1], ids[2], again.json["id"]):
        assert store.ask("DELETE", f"/v1/files/{each}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_upload_nothing(store: Server, headers: dict[str, str]) -> None:
    answer = post(store, FILE + PURPOSE + END, **headers)
    assert (answer.status, answer.error["code"]) == (403, "cross_origin_request")


def test_the_servers_own_pages_and_programs_may_upload(store: Server) -> None:
    for headers in ({"origin": store.url}, {"sec_fetch_site": "same-origin"},
                    {"sec_fetch_site": "none"}):  # fmt: skip
        answer = post(store, FILE + PURPOSE + END, **headers)
        assert answer.status == 200
        store.ask("DELETE", f"/v1/files/{answer.json['id']}")


def begin(store: Server, length: int) -> bytes:
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + PURPOSE + FILE[:-4]


def test_a_client_that_stops_sending_is_answered_408(store: Server) -> None:
    with store.connect() as connection:
        connection.sendall(begin(store, 900_000) + b"x" * 700_000)
        assert eventually(lambda: contents(store))
        answer = read_answer(connection)
    assert answer.status == 408


def test_a_client_may_take_longer_than_that_while_something_comes(store: Server) -> None:
    body = FILE[-4:] + END
    rest = b"x" * 8_000
    with store.connect() as connection:
        connection.sendall(begin(store, len(PURPOSE + FILE) - 4 + len(rest + body)))
        for start in range(0, len(rest), 1000):
            time.sleep(0.5)
            connection.sendall(rest[start : start + 1000])
        connection.sendall(body)
        answer = read_answer(connection)
    assert answer.status == 200
    content = store.ask("GET", f"/v1/files/{answer.json['id']}/content").body
    assert content == rest + b"{}"
    store.ask("DELETE", f"/v1/files/{answer.json['id']}")


def test_more_uploads_at_a_time_than_the_server_takes_are_asked_to_wait(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(serving(tmp_path, "--jobs", "store"))
        connections = [stack.enter_context(busy.connect()) for _ in range(64)]
        for connection in connections:
            connection.sendall(begin(busy, 10_000))
        assert eventually(lambda: busy.metric("graders_uploads_in_progress") == 64)
        answer = post(busy, FILE + PURPOSE + END)
        assert (answer.status, answer.error["code"]) == (429, "busy")
        assert answer.headers["retry-after"] == "1"
        for connection in connections:
            connection.close()
        assert eventually(lambda: busy.metric("graders_uploads_in_progress") == 0)
        assert post(busy, FILE + PURPOSE + END).status == 200


def test_an_upload_that_has_begun_is_stored_although_the_server_is_asked_to_stop(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--jobs", "store") as running, running.connect() as connection:
        body = PURPOSE + FILE + END
        connection.sendall(begin(running, len(body)))
        assert eventually(lambda: running.metric("graders_uploads_in_progress") == 1)
        running.process.terminate()
        time.sleep(0.3)
        connection.sendall(FILE[-4:] + END)
        answer = read_answer(connection)
        assert answer.status == 200
    assert os.listdir(tmp_path / "store" / "files") == [answer.json["id"]]


def test_a_client_that_goes_away_leaves_nothing(store: Server) -> None:
    with store.connect() as connection:
        connection.sendall(begin(store, 900_000) + b"x" * 700_000)
        assert eventually(lambda: contents(store))
    assert eventually(lambda: not contents(store))
    assert eventually(lambda: store.log[-1]["status"] == 499)


def test_a_full_disk_is_an_error_that_no_client_repeats(tmp_path: Path) -> None:
    # A limit on the length of a file's writes is as near to a full disk as a test comes.
    line = shlex.join(command("--jobs", "store"))
    with running(tmp_path, ["sh", "-c", f"ulimit -f 2000; exec {line}"], {}) as store:
        answer = post(store, PURPOSE + part("file", b"x" * 3_000_000, file="a") + END)
        assert (answer.status, answer.error["code"]) == (500, "storage_error")
        assert answer.headers["x-should-retry"] == "false"
        assert eventually(lambda: not contents(store))
        assert post(store, FILE + PURPOSE + END).status == 200
