"""Data whose size and first bytes are those of a run, but not its later rows, is not taken for the run's."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli import main as cli
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


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, lambda index: index.write_bytes(b"no database" * 1_000)],
    ids=["lost", "damaged"],
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
