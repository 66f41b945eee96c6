"""Rows of two runs are paired with their like, wherever they stand, or the runs are refused."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import DataSetError, Engine, InvalidRequest
from graders_engine.cli import main as cli
from graders_engine.dataset.results.compare import Comparison, PromptsPaired, compare
from graders_engine.dataset.results.same_data import Sources
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import command, write_rows

GRADER: dict[str, Any] = {
    "type": "string_check",
    "name": "right",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
COUNT = 60


def graders(*arguments: object) -> Result:
    return CliRunner().invoke(cli.graders, list(map(str, arguments)))


def items(count: int = COUNT) -> list[dict[str, Any]]:
    return [{"question": f"question {n}", "label": f"{n % 4}", "weight": 1.0} for n in range(count)]


def answered(items: Sequence[dict[str, Any]], right: int = 3, **more: Any) -> list[dict[str, Any]]:
    """Rows of which every `right`-th is answered right, by its question."""
    return [
        {
            "item": item,
            "model_sample": item["label"]
            if int(item["question"].split()[1]) % right == 0
            else "no",
            **more,
        }
        for item in items
    ]


def shuffled(rows: Sequence[Any], seed: int = 1) -> list[Any]:
    return random.Random(seed).sample(rows, len(rows))  # noqa: S311 - an order, not a secret


class Runs:
    """Scores rows in a folder."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self._engine = folder, engine

    def score(self, name: str, rows: list[Any], **reading: Any) -> Path:
        data = write_rows(self.folder / f"{name}.rows.jsonl", rows)
        out = self.folder / f"{name}.jsonl"
        score_file(self._engine, GRADER, data, out, **reading)
        return out


@pytest.fixture
def runs(tmp_path: Path, engine: Engine) -> Runs:
    return Runs(tmp_path, engine)


def paired(found: Comparison) -> tuple[str, int, int, int]:
    pairs = found.pairs
    return pairs.by, pairs.matched, pairs.only_before, pairs.only_after


def test_shuffled_rows_are_paired_by_equal_item(runs: Runs) -> None:
    """Key order and the spelling of numbers do not matter; the same answers show no difference."""
    one = runs.score("a", answered(items()))
    respelled = [{"weight": 1, **dict(reversed(item.items()))} for item in items()]
    respelled = [{**item, "weight": 1} for item in respelled]
    other = runs.score("b", shuffled(answered(respelled)))
    found = compare(one, other)
    assert paired(found) == ("item", COUNT, 0, 0)
    assert found.difference is not None
    assert (found.difference.wins, found.difference.losses) == (0, 0)
    assert found.difference.spearman == pytest.approx(1)


def test_rows_that_one_file_lacks_are_counted_and_the_others_compared(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    more = [{"question": f"question {n}", "label": "x", "weight": 2} for n in range(900, 910)]
    other = runs.score("b", shuffled([*answered(items()[20:]), *answered(more)]))
    assert paired(compare(one, other)) == ("item", 40, 20, 10)
    shown = graders("compare", one, other).stdout
    assert "paired by equal item: 40 of 60 rows of A are in B, 40 of 50 of B are in A" in shown


def test_runs_with_too_little_in_common_are_refused_and_how_much_is_said(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    new = [{"question": f"question {n}", "label": "x"} for n in range(900, 960)]
    few = runs.score("few", answered([*items()[:9], *new]))
    none = runs.score("none", answered(new))
    with pytest.raises(DataSetError, match=r"Only 9 of 60 rows of .* are among the 69"):
        compare(one, few)
    assert paired(compare(one, few, sources=Sources(force=True))) == ("item", 9, 51, 60)
    for force in (False, True):
        with pytest.raises(DataSetError, match="have no row in common"):
            compare(one, none, sources=Sources(force=force))


@pytest.mark.parametrize("place", ["beside the item", "in the item"])
def test_an_id_that_each_row_has_alone_pairs_rows_whose_items_differ_in_part(
    place: str, runs: Runs
) -> None:
    def with_ids(rows: list[Any]) -> list[Any]:
        if place == "in the item":
            return [{**row, "item": {"id": f"q{n}", **row["item"]}} for n, row in enumerate(rows)]
        return [{"id": f"q{n}", **row} for n, row in enumerate(rows)]

    one = runs.score("a", with_ids(answered(items())))
    corrected = [
        {**item, **({"note": "new"} if n % 5 == 0 else {})} for n, item in enumerate(items())
    ]
    found = compare(one, runs.score("b", shuffled(with_ids(answered(corrected)))))
    assert paired(found) == ("item.id" if place == "in the item" else "id", COUNT, 0, 0)
    assert found.pairs.other_items == COUNT // 5


def test_ids_that_only_number_the_lines_of_each_file_pair_nothing(runs: Runs) -> None:
    def numbered(rows: list[Any]) -> list[Any]:
        return [{"id": n, **row} for n, row in enumerate(rows)]

    one = runs.score("a", numbered(answered(items())))
    other = runs.score("b", numbered(shuffled(answered(items()))))
    found = compare(one, other)
    assert (found.pairs.by, found.pairs.other_items) == ("item", 0)


def test_of_samples_of_equal_items_the_means_of_the_prompts_are_compared(runs: Runs) -> None:
    prompts = items(12)
    one = runs.score("a", [row for row in answered(prompts) for _ in range(4)])
    lists = [{"item": item, "samples": ["no"] * 4} for item in reversed(prompts)]
    other = runs.score("b", lists)
    found = compare(one, other)
    assert paired(found) == ("item", 48, 0, 0)
    assert found.difference is not None
    assert (found.difference.difference.rows, found.difference.difference.groups) == (12, 12)
    assert (found.difference.ties, found.difference.losses) == (8, 4)
    assert found.pairs.prompts == PromptsPaired(12, (4, 4), (4, 4))
    rows = [(row.before.line, row.after.line, row.after.sample) for row in found.changed_most[:4]]
    assert rows == [(1, 12, 1), (2, 12, 2), (3, 12, 3), (4, 12, 4)]


def test_samples_with_ids_of_their_own_still_count_as_one_draw(runs: Runs) -> None:
    rows = [row for row in answered(items(12)) for _ in range(4)]
    with_ids = [{"id": f"r{n}", **row} for n, row in enumerate(rows)]
    found = compare(runs.score("a", with_ids), runs.score("b", shuffled(with_ids)))
    assert paired(found) == ("id", 48, 0, 0)
    assert found.difference is not None
    assert found.difference.difference.groups == 12


def test_by_names_the_value_that_pairs(runs: Runs) -> None:
    one = runs.score("a", [{**row, "key": n} for n, row in enumerate(answered(items()))])
    changed = [{**item, "extra": 1} for item in items()]
    other = runs.score(
        "b", shuffled([{**row, "key": str(n)} for n, row in enumerate(answered(changed))])
    )
    with pytest.raises(DataSetError, match=r"name a value .* with --by PATH"):
        compare(one, other)
    for path in ("key", "item.question", " question "):
        found = compare(one, other, sources=Sources(by=path))
        assert paired(found) == (path.strip(), COUNT, 0, 0)
        assert found.pairs.other_items == COUNT
    assert (
        "the items of 60 of these pairs differ"
        in graders("compare", one, other, "--by", "key").stdout
    )
    with pytest.raises(
        InvalidRequest, match=r"--by item.qestion: .* Did you mean `item.question`\?"
    ):
        compare(one, other, sources=Sources(by="item.qestion"))


def test_a_data_set_that_was_moved_is_named_and_another_one_refused(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    other = runs.score("b", shuffled(answered(items())))
    moved = (runs.folder / "b.rows.jsonl").rename(runs.folder / "moved.jsonl")
    refused = graders("compare", one, other)
    assert refused.exit_code == 1
    assert "b.rows.jsonl" in refused.stderr
    assert "--data-b" in refused.stderr
    assert paired(compare(one, other, sources=Sources(after=moved)))[0] == "item"
    wrong = graders("compare", one, other, "--data-b", runs.folder / "a.rows.jsonl")
    assert wrong.exit_code == 1
    assert "is not the data set of these results" in wrong.stderr


def test_force_pairs_by_line_only_what_cannot_be_read_and_says_so(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    other = runs.score("b", shuffled(answered(items())))
    readable = compare(one, other, sources=Sources(force=True))
    assert (readable.pairs.by, readable.pairs.unchecked) == ("item", "")
    (runs.folder / "b.rows.jsonl").unlink()
    found = compare(one, other, sources=Sources(force=True))
    assert paired(found) == ("line", COUNT, 0, 0)
    assert "there is no such file" in found.pairs.unchecked
    shown = graders("compare", one, other, "--force").stdout
    assert "paired by line number without a check that the rows are the same: " in shown


def test_rows_that_cannot_be_read_are_refused_if_their_groups_differ(runs: Runs) -> None:
    lists = [
        {"id": f"q{n}", "item": item, "samples": ["no", "no"]} for n, item in enumerate(items())
    ]
    one, other = runs.score("a", lists), runs.score("b", shuffled(lists))
    for name in "ab":
        (runs.folder / f"{name}.rows.jsonl").unlink()
    with pytest.raises(DataSetError, match="of 120 belong to another prompt"):
        compare(one, other, sources=Sources(force=True))


def test_a_run_whose_data_changed_meanwhile_is_refused(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    meta = runs.folder / "a.jsonl.meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "data_changed": "It grew."}))
    with pytest.raises(DataSetError, match=r"has not the results of one data set. It grew."):
        compare(one, one)
    assert compare(one, one, sources=Sources(force=True)).pairs.by == "line"


def test_rows_of_joined_files_are_paired_by_their_items(runs: Runs) -> None:
    plain = runs.score("a", answered(items()))
    bare = write_rows(runs.folder / "items.jsonl", items())
    texts = [{"output": row["model_sample"]} for row in answered(items())]
    outputs = write_rows(runs.folder / "outputs.jsonl", texts)
    joined = runs.folder / "joined.jsonl"
    with Engine() as engine:
        score_file(engine, GRADER, bare, joined, outputs=outputs)
    found = compare(plain, joined)
    assert paired(found) == ("item", COUNT, 0, 0)
    assert found.difference is not None
    assert not found.difference.losses


def test_rows_that_cannot_be_read_have_no_partner(runs: Runs) -> None:
    one = runs.score("a", [*answered(items()), "{torn"])
    other = runs.score("b", ["{torn", *shuffled(answered(items()))])
    assert paired(compare(one, other)) == ("item", COUNT, 1, 1)


def test_a_data_set_from_standard_input_is_named_afterwards(runs: Runs) -> None:
    one = runs.score("a", answered(items()))
    data = write_rows(runs.folder / "piped.jsonl", shuffled(answered(items())))
    out, grader = runs.folder / "b.jsonl", write_rows(runs.folder / "grader.json", [GRADER])
    subprocess.run(command(grader, "-", out, "--quiet"), input=data.read_bytes(), check=True)
    with pytest.raises(DataSetError, match=r"came from standard input; pass .* with --data-b"):
        compare(one, out)
    assert paired(compare(one, out, sources=Sources(after=data)))[:2] == ("item", COUNT)
