"""Rows and results in a store of objects; `.ci/remote` installs what these tests need."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.conftest import STRING_CHECK
from tests.dataset.files import cats, timeless
from tests.environment import unmeasured

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("moto", "s3fs", "flask"))),
    reason="moto[server] and s3fs are not installed",
)

ROWS = cats(2500, "x" * 60)
TEXT = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
DIFFERENT = "".join(
    f"{json.dumps({'item': {'label': 'cat0', 'number': n}, 'model_sample': 'cat0'})}\n"
    for n in range(300)
).encode()
"""Rows of which none is graded with another."""
SECRET = "wJalrXUtnFEMIbPxRfiCY"  # noqa: S105 - of the store that a test starts
_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
"""The store looks who asks, and not at the signature."""
_HERE = Path(__file__).parent


class Store:
    """A store of objects, with one bucket, in which everyone may write."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **unmeasured(),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def ask(self, method: str, key: str = "", content: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/octet-stream", "Authorization": _SIGNED}
        asked = urllib.request.Request(f"{self.url}/bucket/{key}", content, headers, method=method)  # noqa: S310 - of this machine
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
        return body

    def make_bucket(self) -> None:
        with suppress(HTTPError):  # it is there
            self.ask("PUT")

    def put(self, key: str, content: bytes) -> str:
        self.ask("PUT", key, content)
        return f"s3://bucket/{key}"

    def get(self, key: str) -> bytes | None:
        try:
            return self.ask("GET", key)
        except HTTPError as error:
            if error.code == 404:
                return None
            raise

    def keys(self) -> list[str]:
        return sorted(part.split(b"<")[0].decode() for part in self.ask("GET").split(b"<Key>")[1:])

    def empty(self) -> None:
        for key in self.keys():
            self.ask("DELETE", key)


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    server = subprocess.Popen(
        [sys.executable, str(_HERE / "moto_server.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdin
    assert server.stdout
    line = next(text for text in iter(server.stdout.readline, "") if text.strip().isdecimal())
    try:
        yield Store(int(line))
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


@pytest.fixture
def store(running: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    running.make_bucket()
    running.empty()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(running.environment, "HOME", str(tmp_path / "home"))
    monkeypatch.setitem(running.environment, "AWS_EC2_METADATA_DISABLED", "true")
    return running


def graders(store: Store, *args: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graders_engine", *args],
        env=store.environment, capture_output=True, text=True, check=False, **how,
    )  # fmt: skip


def score(store: Store, data: str, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return graders(store, "score", json.dumps(STRING_CHECK), "--data", data, "--out", out, *more)


@pytest.fixture
def local(store: Store, tmp_path: Path) -> bytes:
    """The results of the rows as a file here."""
    (tmp_path / "rows.jsonl").write_bytes(TEXT)
    assert score(store, "rows.jsonl", "local.jsonl").returncode == 0
    return timeless(tmp_path / "local.jsonl")


def fetched(store: Store, key: str, tmp_path: Path) -> bytes:
    content = store.get(key)
    assert content is not None
    (tmp_path / "fetched").write_bytes(content)
    return timeless(tmp_path / "fetched")


def test_a_run_from_the_store_into_it_has_the_results_of_one_here(
    store: Store, local: bytes, tmp_path: Path
) -> None:
    data = store.put("in/rows.jsonl", TEXT)
    done = score(store, data, "s3://bucket/out/results.jsonl")
    assert done.returncode == 0
    assert "results in s3://bucket/out/results.jsonl; kept here in results.jsonl" in done.stdout
    assert store.keys() == [
        "in/rows.jsonl", "out/results.jsonl", "out/results.jsonl.index.sqlite",
        "out/results.jsonl.meta.json",
    ]  # fmt: skip
    assert fetched(store, "out/results.jsonl", tmp_path) == local
    meta = json.loads(store.get("out/results.jsonl.meta.json") or b"")
    assert meta["complete"]
    assert meta["data"]["path"] == data
    again = score(store, data, "s3://bucket/out/results.jsonl")
    assert "Already complete: nothing was graded." in again.stdout
    assert SECRET not in f"{done.stdout}{done.stderr}{meta}"
    reported = graders(store, "report", "results.jsonl", "--no-html", "--data", data)
    assert "cat0" in reported.stdout


def test_a_table_goes_up_with_the_lines_that_it_was_made_from(store: Store) -> None:
    data = store.put("rows.jsonl", TEXT)
    assert score(store, data, "s3://bucket/results.csv").returncode == 0
    assert store.keys() == [
        "results.csv", "results.csv.jsonl", "results.csv.jsonl.index.sqlite",
        "results.csv.jsonl.meta.json", "rows.jsonl",
    ]  # fmt: skip
    assert (store.get("results.csv") or b"").startswith(b"line,reward,status")


def test_a_file_of_several_parts_is_read_and_written_whole(store: Store, tmp_path: Path) -> None:
    rows = "".join(f"{json.dumps(row)}\n" for row in cats(140_000, "x" * 60)).encode()
    assert len(rows) > 2 * (8 << 20)
    data = store.put("rows.jsonl", rows)
    (tmp_path / "rows.jsonl").write_bytes(rows)
    assert score(store, "rows.jsonl", "local.jsonl", "--quiet").returncode == 0
    assert score(store, data, "s3://bucket/results.jsonl", "--quiet").returncode == 0
    assert fetched(store, "results.jsonl", tmp_path) == timeless(tmp_path / "local.jsonl")


def killed_in_the_middle(store: Store, data: str, tmp_path: Path) -> None:
    """A run whose process is killed when it has some results and not all."""
    slow = {
        "type": "python",
        "source": "import time\ndef grade(sample, item):\n    time.sleep(0.01)\n    return 1.0",
    }
    (tmp_path / "slow.json").write_text(json.dumps(slow))
    args = ["score", "--grader", "@slow.json", "--data", data, "--out", "s3://bucket/results.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "graders_engine", *args, "--no-cache"], env=store.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None:
        found = tmp_path / "results.jsonl"
        time.sleep(0.01)
        if found.exists() and found.stat().st_size:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def resumed(store: Store, data: str) -> subprocess.CompletedProcess[str]:
    return graders(
        store, "score", "--grader", "@slow.json", "--data", data, "--out", "s3://bucket/results.jsonl",
        "--no-cache",
    )  # fmt: skip


def test_a_killed_run_has_put_nothing_there_and_is_resumed_here(
    store: Store, tmp_path: Path
) -> None:
    data = store.put("rows.jsonl", DIFFERENT)
    killed_in_the_middle(store, data, tmp_path)
    assert store.keys() == ["rows.jsonl"]
    done = resumed(store, data)
    assert done.returncode == 0
    assert "rows had been graded before" in done.stdout
    lines = (store.get("results.jsonl") or b"").splitlines()
    assert [json.loads(line)["line"] for line in lines] == list(range(1, 301))


def test_an_object_that_changed_since_a_killed_run_is_refused(store: Store, tmp_path: Path) -> None:
    data = store.put("rows.jsonl", DIFFERENT)
    killed_in_the_middle(store, data, tmp_path)
    store.put("rows.jsonl", DIFFERENT.replace(b'"cat0"', b'"dog0"'))
    refused = resumed(store, data)
    assert refused.returncode == 1
    assert "results.jsonl holds results of another run: other data" in refused.stderr
    assert store.keys() == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("s3://bucket/none.jsonl", "cannot be read: there is no such object, or no such bucket."),
        (
            "s3://no-bucket/none.jsonl",
            "cannot be read: there is no such object, or no such bucket.",
        ),
        ("s3://bucket/in", "is a folder: name a file in it."),
    ],
)
def test_what_is_not_in_the_store_is_one_sentence(
    store: Store, tmp_path: Path, data: str, sentence: str
) -> None:
    store.put("in/rows.jsonl", TEXT)
    refused = score(store, data, "out.jsonl")
    assert refused.returncode == 1
    assert refused.stderr == f"{data} {sentence}\n"
    assert not os.listdir(tmp_path)


def test_what_is_at_the_place_of_the_results_is_not_replaced(store: Store) -> None:
    data = store.put("rows.jsonl", TEXT)
    out = store.put("results.jsonl", b"of somebody else")
    refused = score(store, data, out)
    assert refused.returncode == 1
    assert f"{out} exists, and it is not what a run put there from results.jsonl." in refused.stderr
    assert store.get("results.jsonl") == b"of somebody else"
    assert score(store, data, out, "--overwrite").returncode == 0
    assert (store.get("results.jsonl") or b"").startswith(b'{"line":1,')
    assert score(store, data, data).returncode == 2
    assert store.get("rows.jsonl") == TEXT


def test_a_place_where_nothing_can_be_written_is_refused_before_the_first_row(
    store: Store, tmp_path: Path
) -> None:
    data = store.put("rows.jsonl", TEXT)
    refused = score(store, data, "s3://no-bucket/results.jsonl")
    assert refused.returncode == 1
    assert (
        "s3://no-bucket/results.jsonl cannot be written: there is no such bucket" in refused.stderr
    )
    refused = score(store, data, "https://127.0.0.1/results.jsonl")
    assert refused.returncode == 2
    assert "can be read, but not written" in refused.stderr
    assert not os.listdir(tmp_path)


_SENT = """
import sys
from pathlib import Path
from graders_engine.dataset.results.upload import Upload
from graders_engine.urls import Url
upload = Upload(Url(sys.argv[1]))
upload.require(overwrite=False)
print("ready", flush=True)
sys.stdin.readline()
upload.send()
"""


def about_to_send(store: Store) -> subprocess.Popen[str]:
    """A process that has looked at the place of the results, and sends them when it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SENT, "s3://bucket/results.jsonl"], env=store.environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_results_that_cannot_be_written_at_the_end_are_kept_here_and_sent_by_the_same_command(
    store: Store, local: bytes, tmp_path: Path
) -> None:
    data = store.put("rows.jsonl", TEXT)
    assert score(store, data, "results.jsonl").returncode == 0
    process = about_to_send(store)
    store.empty()
    store.ask("DELETE")
    _, said = process.communicate("\n")
    assert (
        "The results are whole, and kept here in results.jsonl: run the same command again" in said
    )
    assert timeless(tmp_path / "results.jsonl") == local
    store.make_bucket()
    store.put("rows.jsonl", TEXT)
    sent = score(store, data, "s3://bucket/results.jsonl")
    assert "Already complete: nothing was graded." in sent.stdout
    assert fetched(store, "results.jsonl", tmp_path) == local


def test_a_file_that_others_write_meanwhile_stays_theirs(store: Store) -> None:
    data = store.put("rows.jsonl", TEXT)
    assert score(store, data, "results.jsonl").returncode == 0
    process = about_to_send(store)
    store.put("results.jsonl", b"of somebody else")
    _, said = process.communicate("\n")
    assert "was written by somebody else meanwhile" in said
    assert store.get("results.jsonl") == b"of somebody else"


@pytest.mark.parametrize(("option", "verb"), [("--data", "read"), ("--out", "written")])
def test_without_credentials_it_is_said_where_they_are_looked_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, verb: str
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(TEXT)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delitem(store.environment, name)
    places = {"--data": "rows.jsonl", "--out": "out.jsonl"} | {option: "s3://bucket/x.jsonl"}
    refused = score(store, places["--data"], places["--out"])
    assert refused.returncode == 1
    assert refused.stderr == (
        f"s3://bucket/x.jsonl cannot be {verb}: there are no credentials (Unable to locate credentials). Set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile of ~/.aws/credentials or "
        "~/.aws/config; AWS_ENDPOINT_URL names a store that is not Amazon's.\n"
    )
