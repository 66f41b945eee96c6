"""`--group-by`: rows with the same value, or with equal items, are one group, however they are stored."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from graders_engine import DataSetError, Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.results.data import groups_of
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.identity import RowPath, canonical
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest
from tests.dataset.files import results, write_rows

ROWS: list[Any] = [
    {"id": "r1", "item": {"id": 7, "label": "a", "x": {"y": 1.0, "z": [1]}}, "model_sample": "a"},
    {"id": "r2", "item": {"label": "b", "id": 8, "x": {"y": 2, "z": []}}, "model_sample": "a"},
    {"id": "r1", "item": {"x": {"z": [1], "y": 1}, "label": "a", "id": 7.0}, "model_sample": "b"},
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**25), 10**25)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def groups_in(path: Path) -> list[str | None]:
    return [result.get("group") for result in results(path)]


def partition(names: list[Any]) -> list[int]:
    """Each name as the position of the first equal one."""
    return [names.index(name) for name in names]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("item.id", ["7", "8", "7"]),
        ("id", ["r1", "r2", "r1"]),
        ("label", ["a", "b", "a"]),
        ("item.x.y", ["1", "2", "1"]),
        ('item["label"]', ["a", "b", "a"]),
    ],
)
def test_the_group_of_a_row_is_the_value_at_the_path(
    path: str, expected: list[str], engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by=path)
    assert groups_in(out) == expected


def test_equal_items_are_equal_json_values(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by="item")
    assert partition(groups_in(out)) == [0, 1, 0]


@given(json_values, json_values)
def test_values_have_one_text_exactly_when_they_are_equal(one: Any, other: Any) -> None:
    def typed(value: Any) -> Any:
        """Python's equality, but for booleans, which are no numbers."""
        if isinstance(value, dict):
            return {key: typed(part) for key, part in value.items()}
        if isinstance(value, list):
            return [typed(part) for part in value]
        return ("boolean", value) if isinstance(value, bool) else value

    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))
    assert canonical(one) == canonical(json.loads(json.dumps(one)))


def csv_rows(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "answer text"])
        writer.writerows([["7", "a", "a"], ["8", "b", "a"], ["7", "a", "b"]])
    return path, {"sample_field": "answer text"}


def parquet_rows(folder: Path) -> tuple[Path, dict[str, Any]]:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = folder / "rows.parquet"
    flat = [
        {"id": id_, "label": label, "out": "a"} for id_, label in ((7, "a"), (8, "b"), (7, "a"))
    ]
    parquet.write_table(arrow.Table.from_pylist(flat), path)
    return path, {"sample_field": "out"}


def joined_rows(folder: Path) -> tuple[Path, dict[str, Any]]:
    rows = [{"id": id_, "label": label} for id_, label in ((7, "a"), (8, "b"), (7, "a"))]
    outputs = write_rows(folder / "outputs.jsonl", [{"output": text} for text in "aab"])
    return write_rows(folder / "rows.jsonl", rows), {"outputs": outputs}


@pytest.mark.parametrize("make", [csv_rows, parquet_rows, joined_rows])
@pytest.mark.parametrize("path", ["item.id", "id", "item"])
def test_groups_are_found_in_every_format(
    make: Any, path: str, engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, reading = make(tmp_path)
    out = tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by=path, **reading)
    assert partition(groups_in(out)) == [0, 1, 0]
    bare = tmp_path / "bare.jsonl"
    score_file(engine, string_check, data, bare, **reading)
    found = groups_of(path, read_meta(bare))
    lines = [result["line"] for result in results(bare)]
    assert [found.names[line] for line in lines] == groups_in(out)


def test_lists_of_samples_have_the_group_that_the_path_says(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    rows = [{"id": 1, "item": {"label": "a", "q": "x"}, "samples": ["a", "b", 5]}]
    data, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by="item.q")
    assert groups_in(out) == ["x", "x", "x"]


def test_workers_give_the_same_groups_as_this_process(
    string_check: dict[str, Any], tmp_path: Path
) -> None:
    rows = [
        {"item": {"label": f"{n % 5}", "pad": "x" * 900}, "model_sample": "1"} for n in range(5000)
    ]
    data, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    with Engine() as engine:
        score_file(engine, string_check, data, out, workers=2, group_by="item.label")
    assert groups_in(out) == [f"{n % 5}" for n in range(5000)]


def test_a_path_that_no_row_has_is_refused_before_anything_is_written(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    for path, reason in (
        ("item.lable", r"none of 3 rows has a value there.* Did you mean `item.label`\?"),
        ("item.", "Name a path such as item.id"),
        ("item.x.q", "none of 3 rows"),
    ):
        with pytest.raises(InvalidRequest, match=reason):
            score_file(engine, string_check, data, out, group_by=path)
        assert not out.exists()


def test_a_row_without_a_value_is_a_group_of_its_own_even_if_the_first_ones_have_none(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    rows: list[Any] = [{"item": {"label": "a"}, "model_sample": "a"}] * 30
    rows += [
        {"item": {"label": "a", "id": id_}, "model_sample": "a"} for id_ in ("q", None, "q", "")
    ]
    data, out = write_rows(tmp_path / "rows.jsonl", [*rows, "{torn"]), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by="item.id")
    assert groups_in(out) == [None] * 30 + ["q", None, "q", None, None]


def test_a_run_is_not_resumed_with_other_groups_and_the_way_to_regroup_is_said(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by="item.id")
    before = out.read_bytes()
    for other in ("id", "item", None):
        with pytest.raises(DataSetError, match=r"other settings.*`graders report` can group"):
            score_file(engine, string_check, data, out, group_by=other)
    score_file(engine, string_check, data, out, group_by=" item.id ")
    assert out.read_bytes() == before


def test_a_long_value_is_named_by_its_hash() -> None:
    path = RowPath("item.q")
    long, other = ({"q": "x" * 5000 + end} for end in "ab")
    assert path.name_of({}, long) == path.name_of({}, dict(long)) != path.name_of({}, other)
    assert len(path.name_of({}, long) or "") == 32


def numbers(*arguments: object) -> Any:
    """What `report --json` prints, but for the file, its time and its settings."""
    ended = CliRunner().invoke(cli.graders, ["report", "--json", *map(str, arguments)])
    assert ended.exit_code == 0, ended.output
    shown = json.loads(ended.stdout)
    return {
        key: value for key, value in shown.items() if key not in ("results", "seconds", "settings")
    }


@pytest.fixture
def three_forms(engine: Engine, string_check: dict[str, Any], tmp_path: Path) -> dict[str, Path]:
    """The same samples as lists, and as rows of their own with and without `--group-by`."""
    prompts = [{"id": f"q{n}", "label": "ab"[n % 2], "n": n} for n in range(20)]
    samples = [[f"{'abc'[(n * k) % 3]}" for k in range(4)] for n in range(20)]
    pairs = list(zip(prompts, samples, strict=True))
    rows = [{"item": item, "model_sample": texts[k]} for k in range(4) for item, texts in pairs]
    as_rows = write_rows(tmp_path / "rows.jsonl", rows)
    as_lists = write_rows(
        tmp_path / "lists.jsonl", [{"item": item, "samples": texts} for item, texts in pairs]
    )
    outs = {name: tmp_path / f"{name}.out.jsonl" for name in ("lists", "grouped", "bare")}
    score_file(engine, string_check, as_lists, outs["lists"])
    score_file(engine, string_check, as_rows, outs["grouped"], group_by="item.id")
    score_file(engine, string_check, as_rows, outs["bare"])
    return outs


def test_lists_and_grouped_rows_have_the_same_numbers(three_forms: dict[str, Path]) -> None:
    lists = numbers(three_forms["lists"])
    assert lists["groups"].pop("group_by") is None
    for shown, path in (
        (numbers(three_forms["grouped"]), "item.id"),
        (numbers(three_forms["bare"], "--group-by", "item.id"), "item.id"),
        (numbers(three_forms["bare"], "--group-by", "item"), "item"),
        (numbers(three_forms["lists"], "--group-by", "n"), "n"),
    ):
        assert shown["groups"].pop("group_by") == path
        assert shown == approx(lists)
    assert numbers(three_forms["bare"])["groups"] is None


def approx(value: Any) -> Any:
    """The value with numbers that may differ in their last bits: sums depend on the order of the rows."""
    if isinstance(value, dict):
        return {key: approx(part) for key, part in value.items()}
    if isinstance(value, list):
        return [approx(part) for part in value]
    return pytest.approx(value, abs=1e-9) if isinstance(value, float) else value


def test_groups_of_a_report_may_be_others_than_those_of_the_run(
    three_forms: dict[str, Path],
) -> None:
    assert numbers(three_forms["grouped"], "--group-by", "label")["groups"]["prompts"] == 2


def test_report_refuses_a_path_that_no_row_has_and_data_that_it_cannot_read(
    three_forms: dict[str, Path],
) -> None:
    bare = str(three_forms["bare"])
    ended = CliRunner().invoke(cli.graders, ["report", bare, "--group-by", "item.ident"])
    assert ended.exit_code == 2
    assert "--group-by item.ident: none of 80 rows has a value there" in ended.stderr
    data = three_forms["bare"].with_name("rows.jsonl")
    moved = data.rename(data.with_name("moved.jsonl"))
    ended = CliRunner().invoke(cli.graders, ["report", bare, "--group-by", "item.id"])
    assert ended.exit_code == 1
    assert "pass its path with --data" in ended.stderr
    assert numbers(bare, "--group-by", "item.id", "--data", moved)["groups"]["prompts"] == 20


def test_how_many_rows_lack_the_value_is_said(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    """The samples of a list stay one prompt even if it has no value."""
    rows: list[Any] = [
        {"item": {"label": "a", **key}, "samples": ["a", "b"]}
        for key in ({"id": 1}, {"id": 1}, {}, {"id": None})
    ]
    data, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out, group_by="item.id")
    groups = numbers(out)["groups"]
    assert (groups["prompts"], groups["sizes"], groups["alone"]) == (3, [2, 4], 2)
    shown = CliRunner().invoke(cli.graders, ["report", str(out), "--no-html"]).stdout
    assert "rows are grouped by item.id; 2 have no value there, each is one line" in shown
