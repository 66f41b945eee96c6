"""Who may ask the page, and for what: the key, hosts, paths, types, lengths; the policy on all answers."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from graders_engine.errors import InvalidRequest
from graders_engine.view.access import HEADERS, MAX_BODY_BYTES, HostNames, kept_key
from graders_engine.view.context import Request, route
from tests.view.asking import Page

RUN = "runs/sub%2Frun.jsonl"
ASKED = [
    "/view/", "/view/static/main.js", "/view/static/none.js", "/view/api/runs", f"/view/api/{RUN}/rows/999",
    "/view/api/none", "/view/none", "/none", "/",
]  # fmt: skip


def test_the_key_is_made_once_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    key = kept_key(tmp_path / "state")
    file = tmp_path / "state" / "view.key"
    assert len(key) > 40
    assert kept_key(tmp_path / "state") == key == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["view.key"]


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    kept_key(tmp_path)
    (tmp_path / "view.key").chmod(0o644)
    with pytest.raises(InvalidRequest, match="Others can read the key"):
        kept_key(tmp_path)
    (tmp_path / "view.key").chmod(0o600)
    (tmp_path / "view.key").write_text("short")
    with pytest.raises(InvalidRequest, match="does not hold a key"):
        kept_key(tmp_path)


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Basic azpr", "Bearer "])
def test_data_need_the_key_and_the_document_does_not(page: Page, given: str) -> None:
    for path in ("runs", RUN, f"{RUN}/rows", f"{RUN}/rows/1%231", "schema"):
        answer = page.get(path, authorization=given)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"  # a browser asks for no password
    assert page.ask("GET", "/view/", authorization=given).status == 200


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:8470", "127.0.0.1.example.org", "[::2]"]
)
def test_a_foreign_host_is_refused_though_the_key_is_right(page: Page, host: str) -> None:
    for path in ASKED:
        answer = page.ask("GET", path, host=host)
        assert (answer.status, answer.error["code"]) == (403, "unknown_host")


def test_beyond_loopback_addresses_and_own_names_are_hosts_and_others_are_not() -> None:
    names = HostNames(frozenset(("localhost", "machine")))
    assert all(name in names for name in ("machine", "192.168.1.7", "[fe80::1]", "localhost"))
    assert not any(name in names for name in ("example.org", "1.2.3", "machine.example.org", "[x]"))


@pytest.mark.parametrize("path", ASKED)
def test_every_answer_has_the_policy(page: Page, path: str) -> None:
    answer = page.ask("GET", path)
    kept = path in ("/view/", "/view/static/main.js")
    for name, value in HEADERS:
        if name == b"cache-control" and kept:
            assert answer.headers["cache-control"] == "no-cache"
        else:
            assert answer.headers[name.decode()] == value.decode()
    assert ("etag" in answer.headers) is kept


def test_a_browser_keeps_the_files_of_the_page(page: Page) -> None:
    first = page.ask("GET", "/view/static/main.js")
    again = page.ask("GET", "/view/static/main.js", if_none_match=first.headers["etag"])
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert first.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "name",
    [
        "..%2Foutside.jsonl", "sub%2F..%2F..%2Foutside.jsonl", "%2Fetc%2Fpasswd", "..", ".",
        "%2E%2E%2Foutside.jsonl",
        "link.jsonl", "linked%2Foutside.jsonl", ".hidden%2Frun.jsonl", "sub", "none.jsonl", "sub%2F", "a%00b",
        "sub%5C..%5Crun.jsonl", "1:sub%2Frun.jsonl", "%ff",
    ],
)  # fmt: skip
def test_nothing_outside_of_what_was_opened_is_reached(page: Page, folder: Path, name: str) -> None:
    outside = folder.parent / "outside.jsonl"
    if not outside.exists():
        run = folder / "sub" / "run.jsonl"
        for target in (outside, folder / ".hidden" / "run.jsonl"):
            target.parent.mkdir(exist_ok=True)
            for end in ("", ".meta.json"):
                Path(f"{target}{end}").write_bytes(Path(f"{run}{end}").read_bytes())
        (folder / "link.jsonl").symlink_to(outside)
        (folder / "link.jsonl.meta.json").symlink_to(f"{outside}.meta.json")
        (folder / "linked").symlink_to(folder.parent, target_is_directory=True)
    for path in ("", "/rows", "/rows/1%231", "/export"):
        answer = page.get(f"runs/{name}{path}")
        assert answer.status == 404, answer.body
    listed = [run["run"] for run in page.json("runs")["runs"]]
    assert listed == ["sub/run.jsonl"]


def test_of_an_opened_file_nothing_beside_it_is_reached(folder: Path) -> None:
    page = Page(folder / "sub" / "run.jsonl")
    assert [run["run"] for run in page.json("runs")["runs"]] == ["run.jsonl"]
    assert page.get("runs/run.jsonl/rows").status == 200
    for name in ("run.jsonl.meta.json", "..%2Frows.jsonl", "sub%2Frun.jsonl"):
        assert page.get(f"runs/{name}/rows").status == 404


def test_of_several_folders_each_has_its_number(folder: Path) -> None:
    page = Page(folder, folder / "sub")
    assert [run["run"] for run in page.json("runs")["runs"]] == ["1:sub/run.jsonl", "2:run.jsonl"]
    assert page.get("runs/2:run.jsonl/rows").status == 200
    for name in ("3:run.jsonl", "0:run.jsonl", "run.jsonl", "2:..%2Frows.jsonl"):
        assert page.get(f"runs/{name}/rows").status == 404


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no such file or folder"):
        Page(tmp_path, tmp_path / "none")


GRADE = f"{RUN}/rows/1%231/grade"


def test_a_post_needs_json_of_the_same_site_and_not_too_much(page: Page) -> None:
    body = {"costly": True}
    while page.post(GRADE, body).status == 202:
        pass
    assert page.post(GRADE, body).status == 200
    assert page.post(GRADE, body, sec_fetch_site="same-origin").status == 200
    for site in ("cross-site", "same-site", "none"):
        answer = page.post(GRADE, body, sec_fetch_site=site)
        assert (answer.status, answer.error["code"]) == (403, "cross_origin_request")
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert page.post(GRADE, body, content_type=type_).status == 415
    long = page.post(GRADE, b" " * (MAX_BODY_BYTES + 1))
    assert (long.status, long.error["code"]) == (413, "body_too_large")
    for wrong in (b"{", b"[]", b'{"costly": 1}', b"\xff", b"[" * 100_000):
        assert page.post(GRADE, wrong).status == 400


def test_read_only_takes_every_post_away(folder: Path) -> None:
    page = Page(folder, read_only=True)
    assert page.json("runs")["read_only"] is True
    for path in (GRADE, "try", "save"):
        answer = page.post(path, {"costly": True})
        assert (answer.status, answer.error["code"]) == (403, "read_only")


def test_a_path_that_is_no_page_is_answered_to_people_and_programs(page: Page) -> None:
    for path in ("/view/nothing", "/view/runs/a/rows/1/2", "/view/Compare"):
        answer = page.ask("GET", path, authorization="")
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert (
            page.ask("POST", path, authorization="", content_type="application/json").status == 401
        )
    assert page.ask("GET", "/view/compare/", authorization="").status == 307
    answer = page.ask("GET", "/view/api/nothing", authorization="")
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")


def test_other_methods_are_refused(page: Page) -> None:
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        assert page.ask(method, "/view/api/runs", content_type="application/json").status == 405
    assert page.ask("HEAD", "/view/").status == 200


def test_work_ends_when_its_client_goes(folder: Path) -> None:
    page = Page(folder)
    begun, ended = threading.Event(), threading.Event()

    def slow(view: object, request: Request) -> None:
        request.on_gone(ended.set)
        begun.set()
        ended.wait(60)

    page.add(route(page.view, "GET", "slow", slow))
    assert page.ask("GET", "/view/api/slow", leaves=begun).status == 0
    assert ended.wait(60)
    assert page.log[-1]["status"] == 499


def test_at_most_four_requests_are_worked_on_at_a_time(folder: Path) -> None:
    page = Page(folder)
    lock, free = threading.Lock(), threading.Event()
    at_work, most = 0, 0

    def counted(view: object, request: Request) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            if at_work == 4:
                free.set()
        free.wait(60)
        with lock:
            at_work -= 1
        return 1

    page.add(route(page.view, "GET", "counted", counted))
    asked = [threading.Thread(target=page.ask, args=("GET", "/view/api/counted")) for _ in range(9)]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    assert most == 4


def test_no_answer_names_a_folder_of_this_machine_that_was_not_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    page = Page(Path("."))
    paths = ("runs", RUN, f"{RUN}/rows", f"{RUN}/rows/1%231", "runs/none")
    for path in paths:
        assert os.fsencode(folder) not in page.get(path).body
