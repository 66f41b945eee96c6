"""Data whose size and first bytes are those of a run, but not its later rows, is not taken for the run's."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.results.shard_index import read_index
from graders_engine.dataset.rows import shards
from graders_engine.dataset.scoring.index import Index
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import command, write_rows

COUNT = 3_000
KEPT = 1_500
OTHER = "is not the data set of these results: its content is different, somewhere in lines"


def graders(*arguments: object) -> Result:
    return CliRunner().invoke(cli.graders, list(map(str, arguments)))


def rows(count: int = COUNT) -> list[dict[str, Any]]:
    """Rows of one length, of which every third is wrong; four in a row are of one prompt."""
    return [
        {
            "item": {"id": f"{n // 4:05d}", "label": f"{n:05d}"},
            "model_sample": "wrong" if n % 3 == 0 else f"{n:05d}",
        }
        for n in range(count)
    ]


def with_other_tail(given: list[Any]) -> list[Any]:
    tail = random.Random(1).sample(given[KEPT:], len(given) - KEPT)  # noqa: S311 - an order, not a secret
    return [*given[:KEPT], *tail]


def write_csv(path: Path, given: list[Any]) -> Path:
    lines = [f"{row['item']['id']},{row['item']['label']},{row['model_sample']}\n" for row in given]
    path.write_text("".join(["id,label,sample\n", *lines]), encoding="utf-8")
    return path


@pytest.fixture
def run(engine: Engine, string_check: dict[str, Any], tmp_path: Path) -> Path:
    data, out = write_rows(tmp_path / "rows.jsonl", rows()), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out)
    return out


@pytest.mark.parametrize("how", ["named", "replaced after the run"])
def test_groups_are_not_read_from_other_data(how: str, run: Path) -> None:
    own = run.with_name("rows.jsonl")
    other = write_rows(run.with_name("other.jsonl"), with_other_tail(rows()))
    assert own.stat().st_size == other.stat().st_size
    if how != "named":
        other = other.replace(own)
    ended = graders("report", run, "--group-by", "item.id", "--data", other, "--json")
    assert ended.exit_code == 1
    assert f"{other.name} {OTHER}" in ended.stderr
    assert graders("report", run, "--json").exit_code == 0


def test_groups_are_not_read_from_another_table(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    given = rows(6_000)
    data, out = write_csv(tmp_path / "rows.csv", given), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, sample_field="sample")
    grouped = "report", out, "--group-by", "item.id", "--json"
    assert graders(*grouped).exit_code == 0
    write_csv(data, [*given[:-2], given[-1], given[-2]])
    ended = graders(*grouped)
    assert (ended.exit_code, OTHER in ended.stderr) == (1, True)


def test_texts_of_other_data_are_not_shown(run: Path) -> None:
    other = write_rows(run.with_name("other.jsonl"), with_other_tail(rows()))
    shown = graders("report", run, "--data", other, "--no-html")
    assert shown.exit_code == 0
    assert f"Texts are not shown. {other} {OTHER}" in " ".join(shown.stdout.split())
    explained = graders("explain", run, KEPT + 1, "--data", other)
    assert explained.exit_code == 1
    assert OTHER in explained.stderr


def test_a_copy_of_data_from_standard_input_is_that_data(run: Path) -> None:
    data, out = run.with_name("rows.jsonl"), run.with_name("piped.jsonl")
    grader = run.with_name("grader.json")
    grader.write_text(json.dumps(json.loads(meta_of(run).read_text())["grader"]))
    subprocess.run(command(grader, "-", out, "--quiet"), input=data.read_bytes(), check=True)
    assert graders("report", out, "--group-by", "item.id", "--data", data, "--json").exit_code == 0
    other = write_rows(run.with_name("other.jsonl"), with_other_tail(rows()))
    ended = graders("report", out, "--group-by", "item.id", "--data", other, "--json")
    assert (ended.exit_code, OTHER in ended.stderr) == (1, True)


def meta_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.meta.json")


def index_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.index.sqlite")


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


ENDLESS = """
CREATE VIEW batch(first_line, last_line, start_at, end_at, results, digest) AS
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x, x, x, x, x, '' FROM n
"""


def make_endless(index: Path) -> None:
    """The rows of the table come from a query that never ends."""
    with closing(sqlite3.connect(index)) as database:
        database.execute("DROP TABLE batch")
        database.execute(ENDLESS)


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, lambda index: index.write_bytes(b"no database" * 1_000), make_endless],
    ids=["lost", "damaged", "endless"],
)
def test_a_report_needs_no_index_and_changes_none(
    damage: Callable[[Path], object], run: Path
) -> None:
    grouped = "report", run, "--group-by", "item.id", "--json"
    before = files_in(run.parent)
    assert graders(*grouped).exit_code == 0
    assert files_in(run.parent) == before
    damage(index_of(run))
    before = files_in(run.parent)
    assert graders(*grouped).exit_code == 0
    assert files_in(run.parent) == before


def test_the_index_of_a_run_that_has_not_ended_is_read_as_far_as_it_got(run: Path) -> None:
    with Index(index_of(run)) as index:
        first, *_ = graded = index.shards()
        index.forget(first)
        for shard in graded:
            index.add(shard)
        before = {path.name for path in run.parent.iterdir()}
        assert f"{index_of(run).name}-wal" in before
        assert read_index(run) == graded
    assert before >= {path.name for path in run.parent.iterdir()}


def compared(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(graders("compare", *arguments, "--json").stdout)
    return found


@pytest.fixture
def two_runs(run: Path, engine: Engine, string_check: dict[str, Any]) -> tuple[Path, Path]:
    """Runs of the same rows, of which the second half are in another order."""
    other = write_rows(run.with_name("other.rows.jsonl"), with_other_tail(rows()))
    score_file(engine, string_check, other, run.with_name("other.jsonl"))
    return run, run.with_name("other.jsonl")


def test_rows_in_another_order_after_the_first_bytes_are_paired_with_their_like(
    two_runs: tuple[Path, Path],
) -> None:
    found = compared(*two_runs)
    assert (found["pairs"]["by"], found["pairs"]["matched"]) == ("item", COUNT)
    assert (found["difference"]["wins"], found["difference"]["losses"]) == (0, 0)


def test_labels_of_the_same_length_that_were_edited_are_told(
    run: Path, engine: Engine, string_check: dict[str, Any]
) -> None:
    edited = rows()
    for row in edited[-100:]:
        row["item"]["label"] = "other"
    out = run.with_name("edited.jsonl")
    score_file(engine, string_check, write_rows(run.with_name("edited.rows.jsonl"), edited), out)
    assert compared(run, out)["pairs"]["matched"] == COUNT - 100


def test_the_indexes_show_that_two_runs_are_of_one_data_set_that_is_gone(
    two_runs: tuple[Path, Path], engine: Engine, string_check: dict[str, Any]
) -> None:
    run, shuffled = two_runs
    again = run.with_name("again.jsonl")
    score_file(engine, string_check, run.with_name("rows.jsonl"), again)
    run.with_name("rows.jsonl").unlink()
    found = compared(run, again)["pairs"]
    assert (found["by"], found["matched"], found["unchecked"]) == ("line", COUNT, "")
    refused = graders("compare", run, shuffled)
    assert refused.exit_code == 1
    assert "rows cannot be paired" in refused.stderr


def test_without_the_indexes_rows_are_read_and_without_the_rows_nothing_is_shown(
    run: Path, engine: Engine, string_check: dict[str, Any]
) -> None:
    again = run.with_name("again.jsonl")
    score_file(engine, string_check, run.with_name("rows.jsonl"), again)
    index_of(again).unlink()
    found = compared(run, again)
    assert (found["pairs"]["by"], found["pairs"]["other_items"]) == ("item", 0)
    run.with_name("rows.jsonl").unlink()
    assert graders("compare", run, again).exit_code == 1
    forced = compared(run, again, "--force")["pairs"]
    assert (forced["by"], "no such file" in forced["unchecked"]) == ("line", True)


def test_data_that_is_no_longer_than_its_first_bytes_needs_no_index(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(100))
    outs = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for out in outs:
        score_file(engine, string_check, data, out)
        index_of(out).unlink()
    data.unlink()
    assert compared(*outs)["pairs"]["by"] == "line"


def test_one_file_is_one_data_set_however_its_index_is_cut(
    run: Path, engine: Engine, string_check: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "FIRST_SHARD_BYTES", 1_000)
    out = run.with_name("other_cut.jsonl")
    score_file(engine, string_check, run.with_name("rows.jsonl"), out)
    assert compared(run, out)["pairs"]["by"] == "line"
    write_rows(run.with_name("rows.jsonl"), with_other_tail(rows()))
    assert graders("compare", run, out).exit_code == 1


def test_outputs_that_were_written_over_leave_rows_of_one_data_set_paired_by_line_and_unchecked(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "items.jsonl", [row["item"] for row in rows()])
    outs = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for out, wrong in zip(outs, (3, 2), strict=True):
        texts = ["wrong" if n % wrong == 0 else f"{n:05d}" for n in range(COUNT)]
        outputs = write_rows(tmp_path / "outputs.jsonl", [{"output": text} for text in texts])
        score_file(engine, string_check, data, out, outputs=outputs)
    found = compared(*outs)["pairs"]
    assert (found["by"], found["matched"]) == ("line", COUNT)
    assert f"{data}, joined with {tmp_path / 'outputs.jsonl'}, {OTHER}" in found["unchecked"]
