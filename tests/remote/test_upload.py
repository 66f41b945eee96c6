"""Results at a URL: all of them or none, and never in place of what others put there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner, Result

from graders_engine import DataSetError, Engine, InvalidRequest
from graders_engine.cli.main import graders
from graders_engine.dataset.results.upload import Upload
from graders_engine.dataset.scoring.score import score_file
from graders_engine.urls import Url
from tests.conftest import STRING_CHECK
from tests.dataset.files import cats, results, timeless, write_rows

OUT = "memory://out/results.jsonl"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What fsspec keeps in the memory of this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # for copies
    monkeypatch.setattr(tempfile, "tempdir", None)
    write_rows(tmp_path / "rows.jsonl", cats(200))
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def score(*more: str, data: str = "rows.jsonl", out: str = OUT) -> Result:
    args = ["score", json.dumps(STRING_CHECK), "--data", data, "--out", out, *more]
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
    store.pipe_file("/rows.jsonl", Path("rows.jsonl").read_bytes())
    refused = score(data="memory://rows.jsonl", out="memory://rows.jsonl")
    assert refused.exit_code == 2
    assert "memory://rows.jsonl is read by this run: write to another file." in refused.stderr
    assert store.cat_file("/rows.jsonl") == Path("rows.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("https://host/results.jsonl", "can be read, but not written"),
        ("s3://bucket/results.jsonl?versionId=7", "the URL of an output has no query"),
        ("memory://out/results.xlsx", "results are .jsonl, .csv or .parquet"),
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


def test_what_others_wrote_meanwhile_stays(store: Any) -> None:
    assert score(out="results.jsonl").exit_code == 0
    upload = Upload(Url(OUT))
    upload.require(overwrite=True)
    store.pipe_file("/out/results.jsonl", b"of somebody else")
    with pytest.raises(
        DataSetError, match=r"by somebody else meanwhile\. The results are whole, and kept"
    ):
        upload.send()
    assert store.cat_file("/out/results.jsonl") == b"of somebody else"


def test_a_table_is_sent_with_its_lines(store: Any) -> None:
    assert score(out="memory://out/results.csv").exit_code == 0
    assert sorted(store.store) == [
        "/out/results.csv", "/out/results.csv.jsonl", "/out/results.csv.jsonl.index.sqlite",
        "/out/results.csv.jsonl.meta.json",
    ]  # fmt: skip


def test_an_engine_takes_the_url_of_rows_as_text(store: Any) -> None:
    store.pipe_file("/rows.jsonl", Path("rows.jsonl").read_bytes())
    with Engine() as engine:
        for data, out in (("memory://rows.jsonl", "a.jsonl"), ("rows.jsonl", "b.jsonl")):
            score_file(engine, STRING_CHECK, data, Path(out))
    assert len(results(Path("a.jsonl"))) == 200
    assert timeless(Path("a.jsonl")) == timeless(Path("b.jsonl"))


def test_a_results_url_with_an_unclear_password_is_refused(store: Any) -> None:
    with pytest.raises(InvalidRequest, match="The URL cannot be read"):
        Upload(Url("sftp://me:pa/ss@host/results.jsonl"))
    assert not store.store
