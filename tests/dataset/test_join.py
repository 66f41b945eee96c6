"""Rows and outputs of two files are joined in step or by an id, and nothing is lost without a word."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.join import join_records
from graders_engine.dataset.rows.shards import Shard, encode_row
from graders_engine.errors import InvalidRequest

TUNING = [
    {"messages": [{"role": "user", "content": f"q{n}"}], "id": f"r{n}", "label": n}
    for n in range(3)
]

BROKEN = b"{broken"
"""Stands for a line that is no JSON."""


def write(folder: Path, name: str, rows: list[Any]) -> Path:
    path = folder / name
    content = b"".join((row if row == BROKEN else json.dumps(row).encode()) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


def join(
    folder: Path, rows: list[Any], outputs: list[Any], *, name: str = "outputs.jsonl", **how: Any
) -> list[tuple[int, Any]]:
    """(number, samples, or the reason why there are none) of each joined row."""
    left = open_records(write(folder, "rows.jsonl", rows))
    both = join_records(left, open_records(write(folder, name, outputs)), **how)
    return [
        (ref.line, ref.row.reason if isinstance(ref.row, Unreadable) else ref.row["samples"])
        for ref in both.read()
    ]


def test_rows_and_outputs_are_joined_in_step(tmp_path: Path) -> None:
    left = open_records(write(tmp_path, "rows.jsonl", TUNING))
    both = join_records(left, open_records(write(tmp_path, "outputs.jsonl", ["a", "b", "c"])))
    rows = list(both.read())
    assert [(ref.line, ref.end) for ref in rows] == [(ref.line, ref.end) for ref in left.read()]
    assert [ref.row["item"] for ref in rows] == TUNING
    assert [ref.row["samples"] for ref in rows] == ["a", "b", "c"]
    assert [ref.row for raw in rows for ref in both.shape.split(raw)] == [
        {"item": row, "model_sample": text} for row, text in zip(TUNING, "abc", strict=True)
    ]


def test_a_row_with_an_item_gives_its_item(tmp_path: Path) -> None:
    left = open_records(write(tmp_path, "rows.jsonl", [{"item": {"label": 1}}]))
    both = join_records(left, open_records(write(tmp_path, "outputs.jsonl", ["a"])))
    assert [ref.row["item"] for ref in both.read()] == [{"label": 1}]


OUTPUTS: list[tuple[str, Any, Any]] = [
    ("text", "a", "a"),
    ("model_sample", {"model_sample": "a"}, "a"),
    ("output", {"id": "x", "output": "a"}, "a"),
    ("text in an object", {"text": "a"}, "a"),
    ("a sample object", {"sample": {"output_text": "a"}}, {"output_text": "a"}),
    ("several", ["a", {"text": "b"}], ["a", "b"]),
    ("several in an object", {"outputs": ["a", "b"]}, ["a", "b"]),
    (
        "a message",
        {"role": "assistant", "content": "a"},
        {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "a", "tool_calls": []},
                    "finish_reason": "stop",
                }
            ]
        },
    ),
    (
        "choices",
        {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]},
        [
            {"choices": [{"message": {"content": "a"}}]},
            {"choices": [{"message": {"content": "b"}}]},
        ],
    ),
    (
        "a failed request",
        {"custom_id": "x", "response": None, "error": {"message": "expired"}},
        "There is no output, but an error: expired.",
    ),
    ("nothing known", {"x": 1}, "The output is an object that holds no output (its keys: x)."),
    ("null", None, "The output must be text or an object, but it is null."),
    ("no JSON", BROKEN, None),
]


@pytest.mark.parametrize(
    ("output", "expected"), [case[1:] for case in OUTPUTS], ids=[case[0] for case in OUTPUTS]
)
def test_an_output_may_have_any_of_these_forms(output: Any, expected: Any, tmp_path: Path) -> None:
    ((_, found),) = join(tmp_path, [{"label": 1}], [output])
    if expected is None:
        assert found.startswith("Of the output: The line is not JSON")
    else:
        assert found == expected or (isinstance(expected, str) and found.startswith(expected))


def test_the_field_with_the_output_can_be_named(tmp_path: Path) -> None:
    assert join(tmp_path, [{}, {}], [{"answer": "a"}, {"text": "b"}], field="answer") == [
        (1, "a"),
        (2, "The output has no field `answer`."),
    ]


def test_files_of_other_lengths_say_so_in_the_rows(tmp_path: Path) -> None:
    found = join(tmp_path, TUNING, ["a"])
    assert found[0] == (1, "a")
    assert [number for number, _ in found] == [1, 2, 3]
    assert all("There is no output for this row" in reason for _, reason in found[1:])
    found = join(tmp_path, TUNING[:1], ["a", "b", "c"])
    assert [number for number, _ in found] == [1, 2]
    assert found[1][1].endswith("outputs.jsonl has 2 more outputs than there are rows.")


@pytest.mark.parametrize("name", ["outputs.jsonl", "outputs.jsonl.gz", "outputs.json"])
def test_by_id_the_order_does_not_matter_and_several_outputs_are_several_samples(
    name: str, tmp_path: Path
) -> None:
    outputs = [
        {"id": f"r{n}", "output": text} for n, text in ((2, "c"), (0, "a"), (1, "b"), (0, "z"))
    ]
    lines = [outputs] if name == "outputs.json" else outputs
    assert join(tmp_path, TUNING, lines, name=name, on="id") == [
        (1, ["a", "z"]),
        (2, "b"),
        (3, "c"),
    ]


def test_one_output_that_cannot_be_used_does_not_spoil_the_others(tmp_path: Path) -> None:
    outputs = [
        {"id": "r0", "text": "a"},
        {"id": "r0", "x": 1},
        {"id": "r0", "role": "assistant", "content": "c"},
    ]
    left = open_records(write(tmp_path, "rows.jsonl", TUNING[:1]))
    both = join_records(left, open_records(write(tmp_path, "outputs.jsonl", outputs)), "id")
    (raw,) = both.read()
    shard = Shard(raw.line, 1, 0, 0, rows=encode_row(raw.row) + b"\n", marked=True)
    with shard.open() as reader:  # as another process gets it
        (raw,) = reader.rows()
    first, second, third = both.shape.split(raw)
    assert (first.group, first.row["model_sample"]) == ("r0", "a")
    assert "an object that holds no output (its keys: id, x)" in second.row.reason
    assert third.row["sample"]["choices"][0]["message"]["content"] == "c"


def test_a_batch_is_joined_by_another_key(tmp_path: Path) -> None:
    body = {"choices": [{"message": {"role": "assistant", "content": "a"}}]}
    outputs = [{"custom_id": "r0", "response": {"status_code": 200, "body": body}, "error": None}]
    ((_, sample),) = join(tmp_path, TUNING[:1], outputs, on="id=custom_id")
    assert sample["choices"][0]["message"]["content"] == "a"


def test_numbers_and_texts_are_the_same_id(tmp_path: Path) -> None:
    assert join(tmp_path, [{"n": 7}], [{"n": "7", "text": "a"}], on="n") == [(1, "a")]


def test_what_cannot_be_joined_by_id_says_why(tmp_path: Path) -> None:
    rows = [{"id": 1}, {"id": 1}, {"id": 2}, {"x": 1}, {"id": None}, 3, BROKEN]
    outputs = [
        {"id": 1, "text": "a"},
        {"id": 9, "text": "b"},
        {"id": 8, "text": "c"},
        {"text": "d"},
        "{broken",
    ]
    found = join(tmp_path, rows, outputs, on="id")
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found[0][1] == "a"
    assert found[1][1] == "An earlier row has the id '1' already."
    assert found[2][1] == (
        "No output has the id '2'. 2 outputs cannot be joined, the first on line 4: The key `id` to join on "
        "is missing (its keys: text)."
    )
    assert found[3][1] == "The key `id` to join on is missing (its keys: x)."
    assert found[4][1] == "The key `id` to join on is null (its keys: id)."
    assert found[5][1] == "It is an integer and has no `id` to join on."
    assert found[6][1].startswith("The line is not JSON")
    assert (
        "no row has 2 of the ids, the first is '9'; 2 outputs cannot be joined, the first on line 4"
        in found[7][1]
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("07", "7"), ("7", "07"), ("R1", "r1"), (" a ", "a"), ("3.0", 3), ("0", "00")],
)
def test_an_id_in_another_spelling_is_named(ours: Any, theirs: Any, tmp_path: Path) -> None:
    found = join(tmp_path, [{"id": ours}], [{"id": theirs, "text": "a"}], on="id")
    assert found[0][1] == (
        f"No output has the id '{ours}', but one has '{theirs}': zeros, blanks or case differ."
    )
    assert found[1][1].startswith("This is no row of the data: of the outputs in ")


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1.0), (1.0, 1), (1.0, "1"), (10**20, 1e20)])
def test_a_whole_number_is_the_same_id_however_a_table_writes_it(
    ours: Any, theirs: Any, tmp_path: Path
) -> None:
    assert join(tmp_path, [{"id": ours}], [{"id": theirs, "text": "a"}], on="id") == [(1, "a")]


@pytest.mark.parametrize("output", [{"id": 1.5, "text": "a"}, {"id": None}, {"x": 1}])
def test_where_no_output_has_an_id_nothing_is_joined(output: Any, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidRequest, match=r"None of the outputs in .* The key `id` to join on is"
    ):
        join(tmp_path, [{"id": 1}], [output, output], on="id")


def test_both_sides_cannot_come_from_standard_input(tmp_path: Path) -> None:
    program = (
        "from graders_engine.dataset.rows.formats import open_records\n"
        "from graders_engine.dataset.rows.join import join_records\n"
        "join_records(open_records('-', 'jsonl'), open_records('-', 'jsonl'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=b"", capture_output=True, timeout=60, check=False
    )
    assert InvalidRequest.__name__ in run.stderr.decode()
    assert "cannot both come from standard input" in run.stderr.decode()


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=30))
def test_joining_by_id_is_a_look_up(order: list[int], drawn: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outputs = [{"id": n, "text": f"{n}/{place}"} for place, n in enumerate(drawn)]
        found = join(Path(folder), [{"id": n} for n in order], outputs, on="id")
    expected: list[Any] = []
    for n in order:
        texts = [one["text"] for one in outputs if one["id"] == n]
        missing = f"No output has the id '{n}'."
        expected.append(missing if not texts else texts[0] if len(texts) == 1 else texts)
    assert [samples for _, samples in found] == expected
