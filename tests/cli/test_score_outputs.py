"""What `graders score --outputs` says of how rows and outputs are joined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli import main as cli

CHECK = json.dumps(
    {
        "type": "string_check",
        "name": "right",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "{{item.gold}}",
    }
)


def score(folder: Path, rows: list[Any], outputs: list[Any], *more: str) -> Result:
    for name, values in (("rows.jsonl", rows), ("outputs.jsonl", outputs)):
        (folder / name).write_text("".join(f"{json.dumps(value)}\n" for value in values))
    arguments = ["--data", folder / "rows.jsonl", "--outputs", folder / "outputs.jsonl"]
    out = ["--out", folder / "out.jsonl", "--overwrite"]
    return CliRunner().invoke(cli.graders, ["score", CHECK, *map(str, [*arguments, *out]), *more])


@pytest.mark.parametrize(
    ("output", "named"),
    [("1", "KEY=OTHER"), ({"text": "1"}, "KEY=OTHER"), ({"request_id": "x", "text": "1"}, "KEY=request_id")],
)  # fmt: skip
def test_that_nothing_shows_the_order_is_said_once(output: Any, named: str, tmp_path: Path) -> None:
    ran = score(tmp_path, [{"gold": "1"}] * 30, [output] * 30)
    assert ran.exit_code == 0
    assert ran.stderr.count("note: rows and outputs are paired by position, line by line") == 1
    assert f"--join-on {named}" in " ".join(ran.stderr.split())
    assert "note" not in score(tmp_path, [{"gold": "1"}], [output], "--quiet").stderr


def test_where_ids_agree_nothing_is_said(tmp_path: Path) -> None:
    rows = [{"id": n, "gold": "1"} for n in range(3)]
    assert not score(tmp_path, rows, [{"id": n, "text": "1"} for n in range(3)]).stderr


def test_lines_that_are_there_twice_are_told(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "gold": "1"} for n in range(3)]
    lines = [{"custom_id": f"r{n}", "text": "1"} for n in range(3)]
    ran = score(tmp_path, rows, lines * 2, "--join-on", "id=custom_id", "--json")
    assert json.loads(ran.stdout)["rows"] == 3
    assert "note: 3 lines of" in ran.stderr
    assert "counts once" in " ".join(ran.stderr.split())


def test_what_has_an_error_in_place_of_an_output_is_no_outage(tmp_path: Path) -> None:
    outputs = [{"text": "1"}, {"error": {"message": "expired"}}, {"error": {"message": "expired"}}]
    ran = score(tmp_path, [{"gold": "1"}] * 3, outputs)
    assert "2 rows have an error in place of an output" in ran.stdout
    assert "sample them again, and grade the new file" in ran.stdout
    assert "--retry-failed" not in ran.stdout


def test_the_most_frequent_reasons_of_invalid_rows_are_listed(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "gold": "1"} for n in range(4)]
    ran = score(tmp_path, rows, [{"id": "r0", "text": "1"}], "--join-on", "id")
    assert "    3 of this kind, first on line 2: No output has the id 'r1'." in ran.stdout


def test_a_reason_is_said_of_no_row_that_has_another_one(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("q,gold,text\na,1,1\nb,1\nc,1,1,x\nd,1\n")
    arguments = ["score", CHECK, "--data", table, "--sample-field", "text", "--out"]

    def report(cells: str) -> str:
        table.write_text(f"q,gold,text\na,1,1\n{cells}")
        ran = CliRunner().invoke(
            cli.graders, [*map(str, arguments), str(tmp_path / "out.jsonl"), "--overwrite"]
        )
        return ran.stdout

    said = "first on line 3: The row has 2 cells, but the header names 3"
    assert report("b,1\nc,1,1,x\n").count(f"2 of this kind, {said}") == 2
    assert report("b,1\nc,1\n").count(f"2, {said}") == 3
    assert "    line 3: The row has 2 cells, but the header names 3." in report("b,1\n")


def test_rows_beyond_the_reasons_that_are_listed_are_counted(tmp_path: Path) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    lines = ['{"item": ', "[]", '{"itme": {"gold": 1}}', '{"item": {"gold": 1}}', "1"]
    good = '{"item": {"gold": "1"}, "model_sample": "1"}'
    data.write_text("\n".join([good, *lines, '{"item": {}, "model_sample": "1"}']) + "\n")
    ran = CliRunner().invoke(
        cli.graders, ["score", CHECK, "--data", str(data), "--out", str(out), "--keep-going"]
    )
    assert "    line 2: The line is not JSON" in ran.stdout
    assert "    line 3: A row must be an object, but this is an array." in ran.stdout
    assert "    3 for other reasons" in ran.stdout


def test_a_flag_that_was_set_for_different_reasons_says_so(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "gold": "1"} for n in range(4)]
    outputs = [{"id": "r0", "text": "1"}, {"id": "r1", "error": {"message": "expired"}}]
    ran = score(tmp_path, rows, outputs, "--join-on", "id")
    assert "other_error  3 (2 reasons), first on line 2:" in ran.stdout
    alike = score(tmp_path, rows, outputs[:1], "--join-on", "id")
    assert "other_error  3, first on line 2: No output has the id 'r1'" in alike.stdout


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ([], "has 1 more output than there are rows."),
        (["--join-on", "id"], "no row has the id '3'."),
    ],
)
def test_outputs_without_a_row_are_told_and_in_no_mean(
    more: list[str], named: str, tmp_path: Path
) -> None:
    rows = [{"id": n, "gold": "1"} for n in range(3)]
    outputs = [{"id": n, "text": "1"} for n in range(4)]
    facts = json.loads(score(tmp_path, rows, outputs, "--json", *more).stdout)
    assert facts["hosted_mean"] == {"value": 1.0, "rows": 3}
    assert facts["invalid"] == 1
    assert named in facts["flags"]["other_error"]["details"]
