"""Results at a URL: all of them or none, and never in place of what others put there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import DataSetError, Engine, InvalidRequest
from graders_engine.cli.main import graders
from graders_engine.dataset.results.upload import Upload
from graders_engine.dataset.rows.remote import RemoteFile
from graders_engine.dataset.scoring.score import score_file
from graders_engine.urls import Url
from tests.conftest import STRING_CHECK
from tests.dataset.files import cats, results, timeless, write_rows
from tests.remote.kept import kept_store

OUT = "kept://out/results.jsonl"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store that keeps what is put there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # for copies
    monkeypatch.setattr(tempfile, "tempdir", None)
    write_rows(tmp_path / "rows.jsonl", cats(200))
    with kept_store() as files:
        yield files


def score(
    *more: str, data: str = "rows.jsonl", out: str = OUT, grader: Any = STRING_CHECK
) -> Result:
    args = ["score", json.dumps(grader), "--data", data, "--out", out, *more]
    return CliRunner().invoke(graders, args)


def test_the_results_and_the_files_beside_them_are_sent_when_all_rows_are_graded(
    store: Any,
) -> None:
    done = score("--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["results"] == OUT
    assert (
        "note: the results are in results.jsonl until all rows are graded; then in" in done.stderr
    )
    assert sorted(store.store) == [
        "/out/results.jsonl", "/out/results.jsonl.index.sqlite", "/out/results.jsonl.meta.json",
    ]  # fmt: skip
    for path in store.store:
        if path.endswith(".jsonl"):
            assert store.cat_file(path) == Path("results.jsonl").read_bytes()
    again = score()
    assert "Already complete: nothing was graded." in again.stdout


def test_a_run_with_other_rows_does_not_replace_the_results_of_the_first(store: Any) -> None:
    assert score().exit_code == 0
    kept = store.cat_file("/out/results.jsonl")
    for file in Path().glob("results.*"):
        file.unlink()
    refused = score()
    assert refused.exit_code == 1
    assert f"{OUT} exists, and it is not what a run put there from results.jsonl." in refused.stderr
    assert store.cat_file("/out/results.jsonl") == kept
    assert score("--overwrite", "--quiet").exit_code == 0


def test_a_run_that_cannot_go_on_sends_nothing(store: Any) -> None:
    write_rows(Path("rows.jsonl"), [{"item": {}, "model_sample": "cat"} for _ in range(50)])
    stopped = score()
    assert stopped.exit_code == 1
    assert "Stopped early" in stopped.stderr
    assert not store.store


def test_a_limit_that_is_not_kept_is_no_reason_to_keep_results_back(store: Any) -> None:
    assert score("--fail-under", "0.99").exit_code == 3
    assert "/out/results.jsonl" in store.store


def test_results_cannot_take_the_place_of_the_rows(store: Any) -> None:
    store.pipe_file("/in/rows.jsonl", Path("rows.jsonl").read_bytes())
    refused = score(data="kept://in/rows.jsonl", out="kept://in/rows.jsonl")
    assert refused.exit_code == 2
    assert "kept://in/rows.jsonl is read by this run: write to another file." in refused.stderr
    assert store.cat_file("/in/rows.jsonl") == Path("rows.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("https://host/results.jsonl", "can be read, but not written"),
        ("s3://bucket/results.jsonl?versionId=7", "the URL of an output has no query"),
        ("kept://bucket", "'kept://bucket': the URL of an output ends with the name of a file"),
        ("kept://out/a/", "ends with the name of a file"),
        ("kept://out/..", "ends with the name of a file"),
        ("kept://out/a\nb.jsonl", r"'kept://out/a\nb.jsonl': the URL of an output ends"),
        ("kept://out/results.xlsx", "results are .jsonl, .csv or .parquet"),
    ],
)
def test_a_place_that_takes_no_results_is_a_wrong_request(
    store: Any, out: str, sentence: str
) -> None:
    if out.startswith("s3:"):
        pytest.importorskip("s3fs")
    refused = score(out=out)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert not store.store


@pytest.mark.parametrize("option", ["--out", "--data"])
def test_what_is_gone_with_the_process_is_no_place_of_results_and_none_of_rows(
    store: Any, option: str
) -> None:
    places = {"--data": "rows.jsonl", "--out": OUT} | {option: "memory://bucket/x.jsonl"}
    refused = score(data=places["--data"], out=places["--out"])
    assert refused.exit_code == 2
    assert (
        "memory://bucket/x.jsonl is in the memory of one process: nothing is there when a command begins, "
        "and what it writes there is gone when it ends." in refused.stderr
    )
    assert not Path("x.jsonl").exists()
    assert not store.store


@pytest.mark.parametrize(
    "scheme",
    ["simplecache", "filecache", "cached", "blockcache", "dir", "generic", "reference", "nowhere"],
)
def test_what_fsspec_puts_around_a_place_is_no_place(store: Any, scheme: str) -> None:
    refused = score(out=f"{scheme}://bucket/results.jsonl")
    assert refused.exit_code == 2
    assert f"there is no way to write to '{scheme}://'. Name a file here" in refused.stderr
    read = score(data=f"{scheme}://bucket/rows.jsonl", out="results.jsonl")
    assert read.exit_code == 2
    assert f"there is no way to read '{scheme}://'. Copy the file" in read.stderr


def test_a_place_that_cannot_be_opened_for_results_cannot_be_written(store: Any) -> None:
    refused = score(out="smb://host/share/results.jsonl")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(
        "smb://host/share/results.jsonl cannot be written: smb:// needs"
    )


def test_what_others_wrote_meanwhile_stays(store: Any) -> None:
    assert score(out="results.jsonl").exit_code == 0
    upload = Upload(Url(OUT))
    upload.require(overwrite=False)
    store.pipe_file("/out/results.jsonl", b"of somebody else")
    with pytest.raises(
        DataSetError, match=r"by somebody else meanwhile\. The results are whole, and kept"
    ):
        upload.send()
    assert store.cat_file("/out/results.jsonl") == b"of somebody else"


def test_a_table_is_sent_with_its_lines(store: Any) -> None:
    assert score(out="kept://out/results.csv").exit_code == 0
    assert sorted(store.store) == [
        "/out/results.csv", "/out/results.csv.jsonl", "/out/results.csv.jsonl.index.sqlite",
        "/out/results.csv.jsonl.meta.json",
    ]  # fmt: skip


def test_an_engine_takes_the_url_of_rows_as_text(store: Any) -> None:
    store.pipe_file("/rows.jsonl", Path("rows.jsonl").read_bytes())
    with Engine() as engine:
        for data, out in (("kept://rows.jsonl", "a.jsonl"), ("rows.jsonl", "b.jsonl")):
            score_file(engine, STRING_CHECK, data, Path(out))
    assert len(results(Path("a.jsonl"))) == 200
    assert timeless(Path("a.jsonl")) == timeless(Path("b.jsonl"))


def test_a_results_url_with_an_unclear_password_is_refused(store: Any) -> None:
    with pytest.raises(InvalidRequest, match="The URL cannot be read"):
        Upload(Url("sftp://me:pa/ss@host/results.jsonl"))
    assert not store.store


OTHER = {**STRING_CHECK, "operation": "ne"}
META = "/out/results.jsonl.meta.json"


def _is_unfinished(store: Any) -> bool:
    """Whether what is at the URL says that it is not whole, and is no base to continue from."""
    return bool(json.loads(store.cat_file(META)) == {"complete": False})


def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on in another folder, with the same rows."""
    rows = Path("rows.jsonl").resolve()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    Path("rows.jsonl").write_bytes(rows.read_bytes())


@pytest.mark.parametrize("failing", range(4))
def test_whichever_file_is_not_sent_no_results_are_at_the_url_with_what_describes_others(
    store: Any, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    assert score().exit_code == 0
    before = {path: store.cat_file(path) for path in store.store}
    _elsewhere(monkeypatch)
    puts, put = [0], RemoteFile.put

    def fail_once(self: RemoteFile, source: Path) -> None:
        puts[0] += 1
        if puts[0] == failing + 1:
            raise DataSetError("The connection was lost.")
        put(self, source)

    monkeypatch.setattr(RemoteFile, "put", fail_once)
    failed = score("--overwrite", grader=OTHER)
    assert failed.exit_code == 1
    assert "run the same command again without --overwrite, which grades nothing" in failed.stderr
    if failing:
        assert _is_unfinished(store)
    else:
        assert {path: store.cat_file(path) for path in store.store} == before
    graded = Path("results.jsonl").read_bytes()
    sent = score(grader=OTHER)
    assert "Already complete: nothing was graded." in sent.stdout
    assert store.cat_file("/out/results.jsonl") == graded == Path("results.jsonl").read_bytes()
    meta = json.loads(store.cat_file(META))
    assert meta["complete"] is True
    assert meta["grader"]["operation"] == "ne"


def _fetched(store: Any, folder: str, *names: str) -> None:
    """Fetch files of the set that is at the URL now."""
    Path(folder).mkdir(exist_ok=True)
    for name in names:
        Path(folder, name).write_bytes(store.cat_file(f"/out/{name}"))


def _mixed(store: Any) -> None:
    """Fetch the lines of a run, and what describes those of another, as if they had as many bytes."""
    assert score().exit_code == 0
    _fetched(store, "mixed", "results.jsonl", "results.jsonl.index.sqlite")
    for file in Path().glob("results.jsonl*"):
        file.unlink()
    assert score("--overwrite", grader=OTHER).exit_code == 0
    meta = json.loads(store.cat_file(META))
    meta["sent"]["bytes"] = Path("mixed/results.jsonl").stat().st_size
    Path("mixed/results.jsonl.meta.json").write_text(json.dumps(meta))


MIXED = "results.jsonl is not the file that results.jsonl.meta.json describes: they are of two runs"


@pytest.mark.parametrize(
    "command",
    [
        ["report", "mixed/results.jsonl", "--no-html"],
        ["explain", "mixed/results.jsonl", "1"],
        ["compare", "mixed/results.jsonl", "results.jsonl"],
        ["compare", "results.jsonl", "mixed/results.jsonl"],
        [
            *("score", json.dumps({**STRING_CHECK, "operation": "ne"}), "--data", "rows.jsonl"),
            *("--out", "mixed/results.jsonl"),
        ],
    ],
    ids=lambda command: command[0],
)
def test_lines_of_one_run_with_the_description_of_another_are_refused(
    store: Any, command: list[str]
) -> None:
    _mixed(store)
    before = Path("mixed/results.jsonl").read_bytes()
    refused = CliRunner().invoke(graders, command)
    assert refused.exit_code == 1
    assert MIXED in refused.stderr
    assert Path("mixed/results.jsonl").read_bytes() == before


def test_lines_that_are_fetched_before_the_end_is_sent_are_refused_with_the_whole_description(
    store: Any,
) -> None:
    assert score().exit_code == 0
    _fetched(store, "half", "results.jsonl", "results.jsonl.meta.json")
    lines = Path("half/results.jsonl")
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:100]))
    refused = CliRunner().invoke(graders, ["report", "half/results.jsonl", "--no-html"])
    assert refused.exit_code == 1
    assert MIXED in refused.stderr


def test_a_whole_set_that_was_fetched_is_read_and_continued(store: Any) -> None:
    assert score().exit_code == 0
    names = [f"results.jsonl{end}" for end in ("", ".meta.json", ".index.sqlite")]
    _fetched(store, "copy", *names)
    assert "sent" not in json.loads(Path("results.jsonl.meta.json").read_text())
    read = CliRunner().invoke(graders, ["report", "copy/results.jsonl", "--no-html"])
    assert read.exit_code == 0, read.stderr
    assert "Already complete: nothing was graded." in score(out="copy/results.jsonl").stdout
    lines = Path("copy/results.jsonl")
    whole = timeless(lines)
    lines.write_bytes(lines.read_bytes()[: lines.stat().st_size // 2])  # as after a kill
    read = CliRunner().invoke(graders, ["report", "copy/results.jsonl", "--no-html"])
    assert read.exit_code == 0, read.stderr
    again = score(out="copy/results.jsonl")
    assert "rows had been graded before" in again.stdout
    assert timeless(lines) == whole


def test_an_object_is_the_runs_own_if_the_connection_ends_right_after_it_was_sent(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts, put, found = [0], RemoteFile.put, RemoteFile.found

    def count(self: RemoteFile, source: Path) -> None:
        put(self, source)
        puts[0] += 1

    def fail_at_the_end(self: RemoteFile) -> Any:
        if puts[0] == 4:
            puts[0] += 1
            raise DataSetError("The connection was lost.")
        return found(self)

    monkeypatch.setattr(RemoteFile, "put", count)
    monkeypatch.setattr(RemoteFile, "found", fail_at_the_end)
    failed = score()
    assert failed.exit_code == 1
    assert "run the same command again, which grades nothing twice" in failed.stderr
    assert "Already complete: nothing was graded." in score().stdout
    assert "Already complete: nothing was graded." in score().stdout
    there = store.cat_file("/out/results.jsonl")
    store.pipe_file("/out/results.jsonl", there.replace(b"1.0", b"0.0"))
    assert "is not what a run put there" in score().stderr


def test_an_object_of_others_is_not_the_runs_own_after_a_send_that_failed(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:

        def fail(self: RemoteFile, source: Path) -> None:
            raise DataSetError("The connection was lost.")

        lost.setattr(RemoteFile, "put", fail)
        assert score().exit_code == 1
    graded = Path("results.jsonl").read_bytes()
    store.pipe_file("/out/results.jsonl", graded.replace(b"1.0", b"0.0"))
    assert "is not what a run put there" in score().stderr


@pytest.mark.parametrize("kind", ["notes", "link", "another run", "table"])
def test_starting_over_at_a_url_replaces_no_file_here_that_is_not_the_runs(
    store: Any, kind: str
) -> None:
    here, out = Path("results.jsonl"), OUT
    if kind == "another run":
        assert score(out="results.jsonl", grader=OTHER).exit_code == 0
    elif kind == "link":
        Path("precious.txt").write_text("precious")
        here.symlink_to("precious.txt")
    else:
        here, out = (here, OUT) if kind == "notes" else (Path("r.csv"), "kept://out/r.csv")
        here.write_text("my notes\n")
    kept = here.read_bytes()
    refused = score("--overwrite", out=out)
    assert refused.exit_code == 1
    assert f"{here} is here already, and no run that sends it to {out} wrote it" in refused.stderr
    assert here.read_bytes() == kept
    assert not store.store


def test_a_run_that_replaces_what_is_at_a_url_is_resumed_after_it_was_stopped(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert score().exit_code == 0
    _elsewhere(monkeypatch)
    upload = Upload(Url(OUT))
    upload.require(overwrite=True)

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        upload.note()
        raise StoppedError

    with Engine() as engine, pytest.raises(StoppedError):
        score_file(
            engine, OTHER, Path("rows.jsonl"), upload.place, overwrite=True, on_progress=stop
        )
    assert results(Path("results.jsonl"))
    Upload(Url(OUT)).require(overwrite=True)
    done = score(grader=OTHER)
    assert "Already complete: nothing was graded." in done.stdout
    assert store.cat_file("/out/results.jsonl") == Path("results.jsonl").read_bytes()
