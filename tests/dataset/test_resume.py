"""A run goes on where another one ended, and never with other data."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.results.shard_index import CompletedShard
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.scoring.index import Index
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import cats, command, timeless, write_rows

CUTS = 40


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 1 << 9)
    monkeypatch.setattr(sizes, "SHARD_BYTES", 1 << 10)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = cats(200)
    rows[20:20] = ["", "{broken", ""]
    return write_rows(tmp_path / "rows.jsonl", [*rows, ""])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def index_of(out: Path) -> Path:
    return out.with_name(out.name + ".index.sqlite")


def sampled(path: Path) -> Path:
    """Rows with two samples each."""
    rows = [{"id": n, "item": {"label": "a"}, "samples": ["a", "b"]} for n in range(120)]
    return write_rows(path, rows)


def cut_results(out: Path, moments: random.Random) -> None:
    with out.open("r+b") as file:
        file.truncate(moments.randrange(out.stat().st_size))


def cut_index(out: Path, moments: random.Random) -> None:
    with index_of(out).open("r+b") as file:
        file.truncate(moments.randrange(index_of(out).stat().st_size))


def lose_index(out: Path, moments: random.Random) -> None:
    index_of(out).unlink()


def spoil_index(out: Path, moments: random.Random) -> None:
    with index_of(out).open("r+b") as file:
        file.seek(4096 * moments.randrange(2))
        file.write(moments.randbytes(4096))


def forget_batches(out: Path, moments: random.Random) -> None:
    """As if results had come to the disk and the index had not."""
    with sqlite3.connect(index_of(out)) as database:
        database.execute("DELETE FROM batch WHERE last_line > ?", (moments.randrange(200),))
    database.close()


DAMAGES: list[Callable[[Path, random.Random], None]] = [
    cut_index,
    lose_index,
    spoil_index,
    forget_batches,
]


@pytest.mark.parametrize("shape", ["rows", "samples"])
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_whatever_was_cut_off_or_lost_the_results_are_those_of_an_undisturbed_run(
    shape: str,
    form: str,
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    out: Path,
    tmp_path: Path,
) -> None:
    if shape == "samples":
        data = sampled(tmp_path / "samples.jsonl")
    if form == "json":
        rows = [line for line in data.read_text().splitlines() if line.startswith('{"')]
        data = tmp_path / "rows.json"
        data.write_text(f"[{', '.join(rows)}]")
    first = score_file(engine, string_check, data, out)
    expected, batches = timeless(out), index_of(out).read_bytes()
    assert b"batch" in batches
    moments = random.Random(11)  # noqa: S311 - moments to cut at, no secrets
    for turn in range(CUTS):
        if turn % 3:
            cut_results(out, moments)
        if turn % 3 != 1:
            moments.choice(DAMAGES)(out, moments)
        again = score_file(engine, string_check, data, out)
        assert timeless(out) == expected
        assert (again.rows, again.flags) == (first.rows, first.flags)
        assert again.reward_sum == pytest.approx(first.reward_sum)


def test_the_same_command_again_reports_the_very_same_numbers(
    engine: Engine, name_email: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    item = {"name": "Jane Roe", "email": "a@b.c"}
    rows = [
        {"item": item, "model_sample": json.dumps({**item, "name": "Jane Roe"[: n % 9]})}
        for n in range(300)
    ]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    first = score_file(engine, name_email, data, out)
    assert score_file(engine, name_email, data, out) == first


@pytest.mark.parametrize("at", [3, 150])
def test_data_of_the_same_size_with_another_row_in_it_is_other_data(
    at: int, engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    before = out.read_bytes()
    lines = data.read_bytes().splitlines(keepends=True)
    lines[at] = lines[at].replace(b"cat", b"dog")
    content = b"".join(lines)
    assert len(content) == data.stat().st_size
    data.write_bytes(content)
    with pytest.raises(DataSetError, match="another run: other data"):
        score_file(engine, string_check, data, out)
    assert out.read_bytes() == before


def test_data_that_was_moved_is_the_same_data(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path, tmp_path: Path
) -> None:
    first = score_file(engine, string_check, data, out)
    assert score_file(engine, string_check, data.rename(tmp_path / "moved.jsonl"), out) == first


def test_results_of_more_rows_than_there_are_belong_to_other_data(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    index_of(out).unlink()
    last = out.read_bytes().splitlines(keepends=True)[-1]
    with out.open("ab") as file:
        file.write(last.replace(b'"line":203', b'"line":999'))
    with pytest.raises(DataSetError, match="other data, up to line 999"):
        score_file(engine, string_check, data, out)


@pytest.mark.parametrize("has_samples", [False, True])
@pytest.mark.parametrize("copied", [0, 30, -1])
def test_results_into_which_a_line_was_copied_are_not_counted(
    copied: int,
    has_samples: bool,
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    out: Path,
) -> None:
    rows = sampled(data) if has_samples else data
    score_file(engine, string_check, rows, out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join([*lines, lines[copied]]))
    with pytest.raises(
        DataSetError, match=rf"line {len(lines) + 1}, is the result of row \d+(#\d)?, which"
    ):
        score_file(engine, string_check, rows, out)
    assert len(out.read_bytes().splitlines()) == len(lines) + 1


def test_settings_that_differ_from_those_of_a_run_are_named(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    with (
        Engine(max_text_chars=1000) as other,
        pytest.raises(DataSetError, match=r"run: other settings \(max_text_chars\)\. Write"),
    ):
        score_file(other, string_check, data, out)


def test_rows_from_standard_input_go_on_when_they_come_again(
    string_check: dict[str, Any], data: Path, out: Path, tmp_path: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))

    def run(content: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command(grader, "-", out), input=content, capture_output=True, check=False, timeout=60
        )

    content = data.read_bytes()
    whole = run(content)
    assert (whole.returncode, whole.stderr) == (0, b"")
    expected, report = timeless(out), whole.stdout
    with out.open("r+b") as file:
        file.truncate(3000)
    assert run(content).stdout.startswith(report)
    assert timeless(out) == expected
    other = run(content.replace(b"cat0", b"dog0"))
    assert other.returncode == 1
    assert b"holds results of another run: other data" in other.stderr
    assert timeless(out) == expected


def test_an_index_keeps_its_batches_in_order_and_forgets_what_follows_one(tmp_path: Path) -> None:
    batches = [
        CompletedShard(1, 9, 0, 90, 8, "a"),
        CompletedShard(10, 12, 90, 120, 3, "b"),
        CompletedShard(13, 13, 120, 130, 1, "c"),
    ]
    path = tmp_path / "index"
    with Index(path) as index:
        for batch in reversed(batches):
            index.add(batch)
    with Index(path) as index:
        assert index.shards() == batches
        index.forget(batches[1])
    with Index(path) as index:
        assert index.shards() == batches[:1]
    with Index(path, overwrite=True) as index:
        assert index.shards() == []


def test_an_index_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.mkdir()
    with pytest.raises(DataSetError, match=r"The index cannot be written: .*index"):
        Index(path)


def test_a_run_that_was_complete_keeps_the_sandbox_that_its_results_come_from(
    tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "one.jsonl", cats(1))
    source = "def grade(sample, item):\n    return 0.5\n"
    grader = {"type": "python", "name": "half", "source": source}

    def sandbox() -> str:
        with Engine() as engine:
            score_file(engine, grader, data=data, out=out)
        meta = json.loads(out.with_name(out.name + ".meta.json").read_text())
        return str(meta["settings"]["sandbox"])

    used = sandbox()
    assert used != "auto"
    assert sandbox() == used
