"""Where the disk fails, clients get an error without the paths of this machine; the log has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from graders_engine.errors import Mistake
from graders_engine.files import without_paths
from graders_engine.server.responses import error_body
from graders_engine.storage.store import Store
from tests.server.evals_of import ROWS, client_of, ended, eval_body, evals_of, jsonl, new_eval
from tests.server.serving import Answer, Server, serving

OVER_THE_STORE = ("/files", "/evals")
FORM = (
    b"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nevals\r\n"
    b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n"
    b'{"item": {"label": "cat"}, "sample": {"output_text": "cat"}}\n\r\n--b--\r\n'
)  # fmt: skip


def upload(server: Server) -> Answer:
    return server.post("/v1/files", FORM, **{"content-type": "multipart/form-data; boundary=b"})


@contextmanager
def in_its_place(path: Path, *, folder: bool = False) -> Iterator[None]:
    """A file where a folder should be, or the other way round."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    try:
        path.mkdir() if folder else path.write_bytes(b"")
        yield
    finally:
        path.rmdir() if folder else path.unlink()
        away.rename(path)


@contextmanager
def failed_run(store: Path, run_id: str) -> Iterator[None]:
    """A run that has failed with what the disk said."""
    index = f"The index cannot be written: {store}/runs/{run_id}/i.sqlite: disk I/O error."
    errno = f"[Errno 28] No space left on device: '{store}/runs/{run_id}/samples.jsonl'"
    with Store(store) as opened:
        error = {"code": "data_error", "message": f"{index} {errno}"}
        opened.runs.move(run_id, "failed", ("completed",), error=error)
        yield
        opened.runs.move(run_id, "completed", ("failed",), error={})


Fault = Callable[[Path, str, str], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "no folder of runs": (
        lambda store, run, file: in_its_place(store / "runs"),
        "The items of the run cannot be",
    ),
    "no folder of files": (
        lambda store, run, file: in_its_place(store / "files"),
        "The file cannot be stored: Not a directory.",
    ),
    "items that cannot be read": (
        lambda store, run, file: in_its_place(store / "runs" / run / "items.jsonl", folder=True),
        "The items of the run cannot be read: Is a directory.",
    ),
    "a content that cannot be read": (
        lambda store, run, file: in_its_place(store / "files" / file, folder=True),
        "cannot be read",
    ),
    "a run that has failed": (
        lambda store, run, file: failed_run(store, run),
        "i.sqlite: disk I/O error. [Errno 28] No space left on device: 'samples.jsonl'",
    ),
}  # fmt: skip


def asked(server: Server, eval_id: str, run_id: str, file_id: str) -> Iterator[Answer]:
    """What every route over the store answers that ends and deletes nothing, and every creation."""
    ids = {"{eval_id}": eval_id, "{run_id}": run_id, "{file_id}": file_id, "{item_id}": "x"}
    routes = server.ask("GET", "/openapi.json").json["paths"]
    for path in routes:
        if "get" in routes[path] and path.startswith(OVER_THE_STORE):
            for name, value in ids.items():
                path = path.replace(name, value)
            yield server.ask("GET", f"/v1{path}")
    yield server.ask("GET", f"/reports/{run_id}")
    yield upload(server)
    yield server.post("/v1/evals", eval_body(name="another"))
    yield server.post(f"/v1/evals/{eval_id}", {"name": "renamed"})
    runs = f"/v1/evals/{eval_id}/runs"
    yield server.post(runs, {"data_source": jsonl(ROWS)})
    source = {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    yield server.post(runs, {"data_source": source})


def test_no_path_of_this_machine_reaches_a_client(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving(tmp_path, "--jobs", str(store)) as server, client_of(server) as client:
        file_id = upload(server).json["id"]
        eval_id = new_eval(server)
        evals = evals_of(client)
        run = ended(evals, evals.runs.create(eval_id, data_source=jsonl(ROWS)))
        for name, (fault, sentence) in FAULTS.items():
            with fault(store, run.id, file_id):
                answers = [one.body.decode() for one in asked(server, eval_id, run.id, file_id)]
            assert not [one for one in answers if str(tmp_path) in one], name
            assert any(sentence in one for one in answers), (name, answers)
    assert any(str(store) in line.get("path_on_disk", "") for line in server.log)


def test_what_the_programs_of_the_server_say_has_no_paths_either() -> None:
    mistake = Mistake("The report could not be made: ['/opt/venv/bin/python', '-m', 'x'] failed")
    assert b"['python', '-m', 'x']" in error_body(500, mistake)
    assert b"/opt/venv/bin/python" in error_body(400, mistake)  # what a client sent is its own


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("The cache /srv/a/b.sqlite cannot be read.", "The cache b.sqlite cannot be read."),
        ("'/srv/my jobs/x y.jsonl': gone", "'x y.jsonl': gone"),
        ('File "/opt/x/worker.py", line 3', 'File "worker.py", line 3'),
        ("The endpoint answered 404 to /v1/chat/completions", None),
        ("(/srv/jobs/store/runs/)", "(runs)"),
        ("http://127.0.0.1:80/v1/evals answered 1/2/3", None),
        ("See /docs or ./a/b, a/b/c and ~/x/y", None),
    ],
)
def test_a_text_for_clients_has_the_names_of_files_and_no_folders(
    text: str, seen: str | None
) -> None:
    assert without_paths(text) == (text if seen is None else seen)
