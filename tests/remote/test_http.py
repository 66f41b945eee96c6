"""Rows from a server of files: the same results as from a file here, or one sentence that says why not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import DataSetError, Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.rows import copies as copies_module
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.scoring.score import score_file
from tests.conftest import STRING_CHECK
from tests.dataset.files import cats, results, timeless, write_rows
from tests.environment import unmeasured
from tests.remote.http_files import Served, serving_files

ROWS = cats(2500, "x" * 60)
TEXT = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
PASSWORD, SIGNATURE = "Tr0ub4dor", "4f2a9cSIG77"
_FLAT = [{"label": row["item"]["label"], "output": row["model_sample"]} for row in ROWS]


@pytest.fixture
def served() -> Iterator[Served]:
    with serving_files(Served({"/rows.jsonl": TEXT})) as running:
        yield running


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a folder for temporary files of its own, so that what is left in it is this test's."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path / "work")


def score(data: object, out: object = "out.jsonl", *more: str) -> Result:
    grader = json.dumps(STRING_CHECK)
    args = ["score", "--grader", grader, "--data", str(data), "--out", str(out), *more]
    return CliRunner().invoke(graders, args)


def as_csv() -> bytes:
    text = io.StringIO()
    table = csv.DictWriter(text, ["label", "output"])
    table.writeheader()
    table.writerows(_FLAT)
    return text.getvalue().encode()


def as_parquet() -> bytes:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(_FLAT), file, row_group_size=700)
    return file.getvalue()


FORMS: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "rows.jsonl": (lambda: TEXT, []),
    "rows.jsonl.gz": (lambda: gzip.compress(TEXT), []),
    "rows.json": (lambda: json.dumps(ROWS).encode(), []),
    "rows.csv": (as_csv, ["--sample-field", "output"]),
    "rows.parquet": (as_parquet, ["--sample-field", "output"]),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "server", [{}, {"heads": False}, {"tagged": False}, {"tagged": False, "length": False}]
)
def test_the_results_are_those_of_the_same_file_here(
    served: Served, name: str, server: dict[str, bool]
) -> None:
    make, how = FORMS[name]
    content = make()
    Path(name).write_bytes(content)
    served.files[f"/{name}"] = content
    for key, value in server.items():
        setattr(served, key, value)
    assert score(name, "local.jsonl", *how).exit_code == 0
    assert score(served.url(f"/{name}"), "remote.jsonl", *how).exit_code == 0
    assert timeless(Path("remote.jsonl")) == timeless(Path("local.jsonl"))
    one, other = (
        json.loads(Path(f"{of}.jsonl.meta.json").read_text()) for of in ("local", "remote")
    )
    assert other["data"].pop("path") == served.url(f"/{name}")
    assert one["data"].pop("path").endswith(name)
    assert one["data"] == other["data"]


def test_rows_and_outputs_may_both_come_from_a_server(served: Served) -> None:
    items = [{"id": n, **row["item"]} for n, row in enumerate(ROWS)]
    outputs = [{"id": n, "output": row["model_sample"]} for n, row in enumerate(ROWS)]
    for name, rows in (("items", items), ("outputs", outputs)):
        served.files[f"/{name}.jsonl"] = write_rows(Path(f"{name}.jsonl"), rows).read_bytes()
    how = ("--join-on", "id", "--sample-field", "output")
    assert score("items.jsonl", "local.jsonl", "--outputs", "outputs.jsonl", *how).exit_code == 0
    at = served.url("/outputs.jsonl")
    assert score(served.url("/items.jsonl"), "remote.jsonl", "--outputs", at, *how).exit_code == 0
    assert timeless(Path("remote.jsonl")) == timeless(Path("local.jsonl"))


def test_a_lost_connection_is_said_and_nothing_is_graded(served: Served) -> None:
    served.cut = len(TEXT) // 2
    found = score(served.url("/rows.jsonl"))
    assert found.exit_code == 1
    assert found.stderr.startswith(f"{served.url('/rows.jsonl')} cannot be read: ")
    assert len(found.stderr.splitlines()) == 1
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"files": {}}, "there is no such file."),
        (
            {"status": 403},
            "access is denied (403 Forbidden). Name them in the URL, as USER:PASSWORD@HOST, or in ~/.netrc.",
        ),
        ({"status": 401}, "access is denied (401 Unauthorized)."),
        ({"status": 410}, "there is no such file."),
        ({"status": 500}, "500 Internal Server Error."),
    ],
)
def test_what_a_server_does_not_give_is_one_sentence(
    served: Served, change: dict[str, Any], sentence: str
) -> None:
    for key, value in change.items():
        setattr(served, key, value)
    found = score(served.url("/rows.jsonl"))
    assert found.exit_code == 1
    assert found.stderr.startswith(f"{served.url('/rows.jsonl')} cannot be read: {sentence}")
    assert len(found.stderr.splitlines()) == 1
    assert not Path("out.jsonl").exists()


def test_a_file_for_which_there_is_no_room_is_not_begun(served: Served, tmp_path: Path) -> None:
    served.claimed = 10**18
    found = score(served.url("/rows.jsonl"))
    assert found.exit_code == 1
    assert "has 1,000,000,000,000,000,000 bytes, and " in found.stderr
    assert (
        ": set TMPDIR to a folder with more, or pass - and write the data to standard"
        in found.stderr
    )
    assert "GET /rows.jsonl" not in served.asked


def test_it_is_said_that_a_large_file_is_copied(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies_module, "LARGE_BYTES", 1000)
    found = score(served.url("/rows.jsonl"))
    assert f"{served.url('/rows.jsonl')}: 0 MB are copied to " in found.stderr
    assert "first, and removed when this ends." in found.stderr


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with serving_files(Served()) as gone:
        at = gone.url("/rows.jsonl")
    found = score(at)
    assert found.exit_code == 1
    assert re.fullmatch(
        rf"{re.escape(at)} cannot be read: .*(refused|[Cc]onnect).*\.\n", found.stderr
    )


def test_a_password_and_a_signature_are_used_and_nowhere_kept(
    served: Served, tmp_path: Path
) -> None:
    served.user, served.query = f"me:{PASSWORD}", f"X-Sig={SIGNATURE}"
    at = served.url(f"/rows.jsonl?X-Sig={SIGNATURE}").replace("//", f"//me:{PASSWORD}@")
    shown = served.url("/rows.jsonl?X-Sig=***").replace("//", "//***@")
    done = score(at, "out.jsonl", "--explain", "7")
    assert done.exit_code == 0
    report = CliRunner().invoke(
        graders, ["report", "out.jsonl", "--data", at, "--out", "page.html"]
    )
    assert report.exit_code == 0
    assert "cat0" in Path("page.html").read_text()
    moved = CliRunner().invoke(graders, ["report", "out.jsonl"])
    assert f"scored from {shown}, which is fetched only where you name the data set" in moved.stdout
    served.status = 403
    refused = score(at, "other.jsonl")
    assert refused.stderr.startswith(f"{shown} cannot be read: access is denied")
    twice = score(at, "other.jsonl", "--data", "rows.jsonl")
    texts = [done.output, report.output, moved.output, refused.output, twice.output]
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for secret in (PASSWORD, SIGNATURE):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in kept)
    assert json.loads(Path("out.jsonl.meta.json").read_text())["data"]["path"] == shown


def first_half(out: Path) -> None:
    """Leave of a run what a kill in its middle leaves."""
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"line": 13')


def test_a_run_that_was_ended_is_resumed_with_the_data_read_again(served: Served) -> None:
    assert score(served.url("/rows.jsonl"), "whole.jsonl").exit_code == 0
    assert score(served.url("/rows.jsonl")).exit_code == 0
    first_half(Path("out.jsonl"))
    found = score(served.url("/rows.jsonl"))
    assert "1,250 rows had been graded before; 1,250 were left." in found.stdout
    assert timeless(Path("out.jsonl")) == timeless(Path("whole.jsonl"))


@pytest.mark.parametrize("tagged", [True, False])
def test_data_that_changed_between_two_runs_is_refused(served: Served, tagged: bool) -> None:
    served.tagged = tagged
    assert score(served.url("/rows.jsonl")).exit_code == 0
    first_half(Path("out.jsonl"))
    kept = Path("out.jsonl").read_bytes()
    served.files["/rows.jsonl"] = TEXT.replace(b'"cat0"', b'"dog0"')
    found = score(served.url("/rows.jsonl"))
    assert found.exit_code == 1
    assert "holds results of another run: other data" in found.stderr
    assert Path("out.jsonl").read_bytes()[: kept.rfind(b"\n")] == kept[: kept.rfind(b"\n")]


def test_the_same_url_with_another_query_and_other_rows_is_refused(served: Served) -> None:
    served.query = "sig=11112222"
    assert score(served.url("/rows.jsonl?sig=11112222")).exit_code == 0
    served.query = "sig=33334444"
    assert (
        score(served.url("/rows.jsonl?sig=33334444")).exit_code == 0
    )  # the same rows, signed anew
    served.query = "sig=55556666"
    served.files["/rows.jsonl"] = TEXT[:70000] + TEXT[70000:].replace(b'"cat0"', b'"dog0"')
    assert "other data" in score(served.url("/rows.jsonl?sig=55556666")).stderr


class Once:
    """An `on_progress` that does something at the first call."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do: Callable[[], None] | None = do

    def __call__(self, *_: object) -> None:
        if self._do:
            do, self._do = self._do, None
            do()


def scored(served: Served, do: Callable[[], None]) -> int:
    with Engine() as engine:
        tally = score_file(
            engine,
            STRING_CHECK,
            served.url("/rows.jsonl"),
            Path("out.jsonl"),
            workers=1,
            on_progress=Once(do),
        )
    return tally.rows


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (TEXT + TEXT, "bytes more than at the beginning"),
        (TEXT[:-100], "100 bytes less than at the beginning"),
        (TEXT.replace(b'"cat0"', b'"dog0"'), "has other content"),
        (None, "was removed"),
    ],
)
def test_data_that_changes_during_a_run_ends_it(
    served: Served, now: bytes | None, sentence: str
) -> None:
    def change() -> None:
        served.files = {} if now is None else {"/rows.jsonl": now}

    with pytest.raises(DataSetError, match=sentence):
        scored(served, change)
    meta = json.loads(Path("out.jsonl.meta.json").read_text())
    assert sentence in meta["data_changed"]
    assert not meta["complete"]


def test_data_that_is_written_again_as_it_was_has_not_changed(served: Served) -> None:
    def retag() -> None:
        served.tagged = False

    assert scored(served, retag) == len(ROWS)


def test_who_may_not_look_again_is_told_and_has_the_results(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def expire() -> None:
        served.status = 403

    assert scored(served, expire) == len(ROWS)
    assert "Whether it changed meanwhile is not known" in caplog.text


def test_a_file_that_is_opened_twice_is_copied_once(served: Served) -> None:
    at = served.url("/rows.jsonl")
    assert open_data(at).records.file == open_data(at).records.file
    assert served.asked.count("GET /rows.jsonl") == 1
    served.files["/rows.jsonl"] = TEXT[: len(TEXT) // 2]
    assert open_data(at).records.size == len(TEXT) // 2


def test_text_that_cannot_be_read_is_named_by_its_url(served: Served) -> None:
    served.files = {"/rows.jsonl": TEXT.decode().encode("utf-16"), "/x": b"label,output\n"}
    assert (
        f"The data set {served.url('/rows.jsonl')} is UTF-16 text."
        in score(served.url("/rows.jsonl")).stderr
    )
    assert f"The format of {served.url('/x')} cannot be detected" in score(served.url("/x")).stderr


def started(served: Served, *more: str) -> subprocess.Popen[bytes]:
    grader = json.dumps(STRING_CHECK)
    args = ["score", grader, "--data", served.url("/rows.jsonl"), "--out", "out.jsonl", *more]
    return subprocess.Popen([sys.executable, "-m", "graders_engine", *args], env=unmeasured())


def copies(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "temporary")


def test_the_copy_is_removed_when_a_command_ends(served: Served, tmp_path: Path) -> None:
    assert started(served).wait() == 0
    served.cut = 1000
    assert started(served, "--overwrite").wait() == 1
    assert not copies(tmp_path)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_half_of_a_copy_is_removed_when_a_command_is_interrupted(
    served: Served, tmp_path: Path, ended_by: signal.Signals
) -> None:
    served.stalled = threading.Event()
    process = started(served)
    while "half" not in served.asked:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(ended_by)
    assert process.wait() == 128 + ended_by
    served.stalled.set()
    assert not copies(tmp_path)
    assert not Path("out.jsonl").exists()


def test_the_copy_of_a_killed_process_is_removed_by_the_next(
    served: Served, tmp_path: Path
) -> None:
    code = (
        "import sys, os, signal; from graders_engine.dataset.rows.read import open_data; "
        "open_data(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, served.url("/rows.jsonl")], check=False)
    (left,) = copies(tmp_path)
    long_ago = time.time() - 3600
    os.utime(tmp_path / "temporary" / left, (long_ago, long_ago))
    assert started(served).wait() == 0
    assert not copies(tmp_path)


def test_the_copy_of_a_living_process_stays(served: Served, tmp_path: Path) -> None:
    code = (
        "import sys; from graders_engine.dataset.rows.read import open_data; "
        "print(open_data(sys.argv[1]).records.file, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, served.url("/rows.jsonl")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout
    file = Path(other.stdout.readline().strip())
    long_ago = time.time() - 3600
    os.utime(file.parent, (long_ago, long_ago))
    assert started(served).wait() == 0
    assert file.exists()
    other.communicate()
    assert not copies(tmp_path)


def test_without_fsspec_it_is_said_how_to_install_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    found = score(served.url("/rows.jsonl"))
    assert found.exit_code == 1
    assert "is not a file of this machine: to read it, pip install '.[remote]'" in found.stderr


@pytest.mark.parametrize(
    ("at", "code", "sentence"),
    [
        ("nowhere://bucket/rows.jsonl", 2, "there is no way to read 'nowhere://'."),
        ("https://me:pa/ss@host/rows.jsonl", 2, "The URL cannot be read"),
    ],
)
def test_a_url_that_nobody_reads_is_a_wrong_request(at: str, code: int, sentence: str) -> None:
    found = score(at)
    assert (found.exit_code, sentence in found.stderr) == (code, True)


@pytest.mark.parametrize("command", [["report"], ["explain", "--row", "1"], ["compare", "x.jsonl"]])
def test_results_at_a_url_are_refused_by_name(command: list[str]) -> None:
    found = CliRunner().invoke(graders, [command[0], "s3://bucket/out.jsonl", *command[1:]])
    assert found.exit_code == 2
    assert (
        "s3://bucket/out.jsonl is a URL, and this must be a file of this machine: copy it here first, with "
        "the files beside it: out.jsonl.meta.json, out.jsonl.index.sqlite." in found.stderr
    )


def test_results_in_a_table_at_a_url_are_copied_with_the_lines_that_it_was_made_from() -> None:
    found = CliRunner().invoke(graders, ["report", "s3://bucket/out.csv"])
    assert (
        "beside it: out.csv.jsonl, out.csv.jsonl.meta.json, out.csv.jsonl.index.sqlite."
        in found.stderr
    )


def test_the_place_of_a_page_is_a_file_here() -> None:
    found = CliRunner().invoke(graders, ["report", "out.jsonl", "--out", "s3://bucket/page.html"])
    assert found.exit_code == 2
    assert (
        "s3://bucket/page.html is a URL, and this must be a file of this machine." in found.stderr
    )


_PAGES = [
    b"<!DOCTYPE html>\n<title>Log in</title>",
    b"\xef\xbb\xbf\n <html lang=en><body>Sign in</body></html>",
    b'<?xml version="1.0"?>\n<!doctype HTML PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">',
]


@pytest.mark.parametrize("page", _PAGES)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "rows"])
def test_a_page_in_place_of_rows_is_called_one(served: Served, page: bytes, name: str) -> None:
    served.files[f"/{name}"] = page
    refused = score(served.url(f"/{name}"))
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"{served.url(f'/{name}')} is an HTML page, and no rows: a page to log in perhaps, or one that shows "
        "the file in a browser. Name the URL of the file itself.\n"
    )
    Path(name).write_bytes(page)
    refused = score(name)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(
        f"{name} is an HTML page, and no rows: perhaps a page to log in "
    )


def test_a_file_whose_name_looks_like_a_url_is_read_by_its_path() -> None:
    Path("s3:/bucket").mkdir(parents=True)
    write_rows(Path("s3:/bucket/rows.jsonl"), ROWS)
    assert score("./s3://bucket/rows.jsonl").exit_code == 0
    assert len(results(Path("out.jsonl"))) == len(ROWS)


def test_other_commands_read_rows_of_a_server_too(served: Served) -> None:
    grader, at = json.dumps(STRING_CHECK), served.url("/rows.jsonl")
    valid = CliRunner().invoke(graders, ["validate", "--grader", grader, "--data", at, "--json"])
    assert json.loads(valid.stdout)["data"]["rows"] == len(ROWS)
    assert json.loads(valid.stdout)["data"]["data"] == at
    asked = ["--select", "files", "--json", "--quiet"]
    looked = CliRunner().invoke(graders, ["preflight", "--grader", grader, "--train", at, *asked])
    assert looked.exit_code in (0, 3)
    assert at in looked.stdout
    assert score(at).exit_code == 0
    explained = CliRunner().invoke(graders, ["explain", "out.jsonl", "7", "--data", at])
    assert "cat0" in explained.stdout
    other = score(at, "other.jsonl")
    named = ["--data-a", at, "--data-b", at]
    compared = CliRunner().invoke(
        graders, ["compare", "out.jsonl", "other.jsonl", "--by", "item", *named]
    )
    assert (other.exit_code, compared.exit_code) == (0, 0)


def test_a_url_that_only_a_results_file_names_is_not_fetched(served: Served) -> None:
    assert score(served.url("/rows.jsonl")).exit_code == 0
    served.asked.clear()
    explained = CliRunner().invoke(graders, ["explain", "out.jsonl", "7"])
    assert (
        "fetched only where you name the data set: pass the whole URL with --data."
        in explained.output
    )
    assert not served.asked


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("s3://key:Zq9SECRET@bucket/x?sig=Zq9SECRET", "it is redirected to what is not at http://"),
        ("http://[::bad/x?sig=Zq9SECRET", "it is redirected to what is no URL"),
        ("/rows.jsonl?sig=Zq9SECRET", "it is redirected again and again"),
        ("http://key:Zq9SECRET@127.0.0.1:1/x?sig=Zq9SECRET", "cannot be read: "),
    ],
)
def test_where_a_server_redirects_to_is_not_repeated(
    served: Served, target: str, reason: str
) -> None:
    served.moved = target
    failed = score(served.url("/rows.jsonl"))
    assert failed.exit_code == 1
    assert reason in failed.stderr
    assert "Zq9SECRET" not in f"{failed.stdout}{failed.stderr}"
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("status", [202, 204, 206])
def test_an_answer_without_the_file_is_not_taken_for_an_empty_one(
    served: Served, status: int
) -> None:
    served.status = status
    served.files["/rows.jsonl"] = b""
    failed = score(served.url("/rows.jsonl"))
    assert failed.exit_code == 1
    assert f"the server answers {status}, which is not the whole file" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_the_data_of_a_viewed_run_is_a_file_here_and_no_secret_is_repeated() -> None:
    at = "s3://me:secret-9f2c@bucket/rows.jsonl?token=secret-51ab"
    found = CliRunner().invoke(graders, ["view", "--data", at])
    assert found.exit_code == 2
    assert "this must be a file of this machine." in found.stderr
    assert "secret-" not in found.stderr
