"""Results files that somebody else has made: each is a sentence or a report, whatever is in it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import DataSetError, Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.histogram import histogram
from tests.dataset.files import cats, write_rows

ESCAPES = "\x1b]0;title\x07\x9b31m\u202e"
ROW: dict[str, Any] = {
    "line": 1, "reward": 1.0, "status": "scored", "sub_rewards": {}, "flags": {}, "seconds": 0.1,
}  # fmt: skip
TOKENS = {
    "prompt_tokens": -1, "total_tokens": 1 << 62, "completion_tokens": 0, "cached_tokens": 0,
}  # fmt: skip


def rows(*changes: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({**ROW, **change}).encode() + b"\n" for change in changes)


RESULTS: dict[str, bytes] = {
    "rewards whose sum is infinite": rows({"reward": 1e308}, {"line": 2, "reward": 1e308}),
    "rewards that are far apart": rows({"reward": -1e308}, {"line": 2, "reward": 1e308}),
    "a line that is no 64-bit number": rows({"line": 1 << 70}),
    "a line below 1": rows({"line": -5}),
    "lines and samples whose product is no 64-bit number": rows(
        {"line": (1 << 63) - 1}, {"sample": (1 << 63) - 1}
    ),
    "scored without a reward": rows({"reward": None}),
    "control characters": rows(
        {"group": ESCAPES, "sub_rewards": {ESCAPES: 1.0}, "usage": {ESCAPES: TOKENS}},
        {"line": 2, "reward": None, "status": "invalid", "flags": {ESCAPES: ESCAPES}},
        {"line": 3, "repeats": {ESCAPES: [0.1, 0.2]}, "labels": {ESCAPES: [ESCAPES]}},
    ),
    "answers that are far apart": rows({"repeats": {"": [1e308, -1e308]}}),
    "endless seconds": rows({"seconds": 1e308}, {"line": 2, "seconds": 1e308}),
    "a sub-reward of its own for each row": rows(
        *({"line": n, "sub_rewards": {f"key{n}": 0.5}} for n in range(1, 3000))
    ),
    "a flag of its own for each row": rows(
        *({"line": n, "flags": {f"key{n}": ""}} for n in range(1, 3000))
    ),
    "a model of its own for each row": rows(
        *({"line": n, "usage": {f"key{n}": TOKENS}} for n in range(1, 3000))
    ),
    "deep": b"[" * 200_000 + b"\n",
    "NUL bytes": b"\0" * 1000 + b"\n",
    "no UTF-8": rows({"group": "x"}).replace(b'"x"', b'"\xff"'),
}
DATA = {"path": "/dev/zero", "form": "jsonl", "size": 1, "head": ""}
META: dict[str, bytes] = {
    "deep": b"[" * 200_000,
    "deep objects": b'{"grader":' * 100_000,
    "too long": b'{"grader": "' + b"x" * (65 << 20) + b'"}',
    "a list": b"[]",
    "no UTF-8": b'"\xff"',
    "data that is a list": b'{"grader": {}, "data": []}',
    "a path that is a list": b'{"grader": {}, "data": {"path": []}}',
    "outputs that are a text": b'{"grader": {}, "data": {"outputs": "x"}}',
    "settings that are a number": b'{"grader": {}, "data": {}, "settings": 1}',
    "judges that are a list": b'{"grader": {}, "data": {}, "settings": {"judges": [1]}}',
    "data on a device": json.dumps({"grader": {}, "data": DATA}).encode(),
    "control characters": json.dumps(
        {"grader": {"name": ESCAPES, "type": ESCAPES}, "data": {"path": ESCAPES}, "engine": ESCAPES,
         "settings": {"sandbox": ESCAPES, "metrics": {ESCAPES: ESCAPES}}}
    ).encode(),
}  # fmt: skip


def refused_or_shown(*arguments: str) -> str:
    """What a command prints; it neither raises nor prints control characters."""
    ended = CliRunner().invoke(graders, arguments)
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    assert not set(ended.output) & set("\x1b\x07\x9b\u202e")
    return ended.output


@pytest.mark.parametrize("content", RESULTS.values(), ids=RESULTS)
def test_hostile_results_are_a_sentence_or_a_report(content: bytes, tmp_path: Path) -> None:
    path, other = tmp_path / "r.jsonl", tmp_path / "other.jsonl"
    path.write_bytes(content)
    other.write_bytes(rows({}))
    for command in (["report"], ["compare", "--force", str(other)], ["explain"]):
        end = ["1"] if command == ["explain"] else []
        assert refused_or_shown(*command, str(path), *end)


def test_numbers_that_json_cannot_express_are_null(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(RESULTS["rewards whose sum is infinite"])

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    shown = refused_or_shown("compare", "--force", "--json", str(path), str(path))
    found = json.loads(shown, parse_constant=refuse)
    assert found["before"]["mean"] == {
        "value": None,
        "low": None,
        "high": None,
        "rows": 2,
        "groups": 2,
    }


@pytest.mark.parametrize("content", META.values(), ids=META)
def test_what_is_recorded_of_a_hostile_run_is_a_sentence_or_a_report(
    content: bytes, string_check: dict[str, Any], tmp_path: Path
) -> None:
    path, data = tmp_path / "r.jsonl", write_rows(tmp_path / "rows.jsonl", cats(2))
    path.write_bytes(rows({}))
    path.with_name("r.jsonl.meta.json").write_bytes(content)
    for command in (
        ["report", str(path)],
        ["compare", str(path), str(path), "--force"],
        ["explain", str(path), "1"],
        ["score", "--grader", json.dumps(string_check), "--data", str(data), "--out", str(path)],
    ):
        assert refused_or_shown(*command)
    assert path.read_bytes() == rows({})


INDEXES = {
    "a view that never ends": "CREATE VIEW batch AS WITH RECURSIVE n(i) AS "
    "(SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT i AS first_line, i AS last_line, 0 AS start_at, 0 AS end_at, 1 AS results, '' AS digest FROM n",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON batch BEGIN DELETE FROM batch; END",
    "another table": "CREATE TABLE notes (text)",
}  # fmt: skip


@pytest.mark.parametrize("statement", INDEXES.values(), ids=INDEXES)
def test_an_index_with_more_than_its_table_is_refused(
    statement: str, engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", cats(20)), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out)
    with sqlite3.connect(tmp_path / "out.jsonl.index.sqlite") as database:
        if "VIEW" in statement:
            database.execute("DROP TABLE batch")
        database.execute(statement)
    database.close()
    before = out.read_bytes()
    with pytest.raises(DataSetError, match="is the database of another program"):
        score_file(engine, string_check, data, out)
    assert out.read_bytes() == before


def test_an_index_with_values_of_other_types_is_damaged_and_made_again(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", cats(20)), tmp_path / "out.jsonl"
    whole = score_file(engine, string_check, data, out)
    with sqlite3.connect(tmp_path / "out.jsonl.index.sqlite") as database:
        database.execute("DROP TABLE batch")
        database.execute(
            "CREATE TABLE batch (first_line, last_line, start_at, end_at, results, digest)"
        )
        database.execute("INSERT INTO batch VALUES ('x', 'y', NULL, 1.5, X'00', 7)")
    database.close()
    assert score_file(engine, string_check, data, out) == whole


@pytest.mark.parametrize("form", ["pretty", "jsonl"])
def test_json_that_is_printed_has_the_same_values_and_no_control_characters(
    form: str, string_check: dict[str, Any]
) -> None:
    name = f"{ESCAPES}\x7f\U000e0041"
    grader = json.dumps({**string_check, "name": name})
    shown = refused_or_shown(
        "run",
        "--grader",
        grader,
        "--item",
        '{"label": "a"}',
        "--model-sample",
        "a",
        "--format",
        form,
    )
    assert json.loads(shown)["metadata"]["name"] == name
    assert not set(shown) & {"\x7f", "\U000e0041"}


def test_a_grade_of_any_finite_size_is_counted(tmp_path: Path) -> None:
    from graders_engine.dataset.results.line import ResultLine

    tally = Tally()
    for reward in (1e308, -1e308, 5e-324, 1.0, 0.95):
        tally.add(ResultLine(1, reward, "scored", {}, {}, 0.0))
    assert tally.mean == pytest.approx(1.95 / 5)
    bars = histogram(tally.reward_counts or {}, 10, few_values=1)
    assert bars is not None
    assert sum(bars.counts) == 5
