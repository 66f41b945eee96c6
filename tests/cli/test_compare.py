"""`graders compare`: what differs, how certainly, and the exit code for CI."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.results.compare import compare
from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.dataset.results.same_data import Sources
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import DataSetError

FUZZY = {
    "type": "text_similarity",
    "name": "close",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "evaluation_metric": "fuzzy_match",
}
EXACT = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
DATA = {"form": "jsonl", "size": 1, "head": "0"}


def graders(*arguments: object) -> Result:
    return CliRunner().invoke(cli.graders, list(map(str, arguments)))


def write_results(path: Path, results: Iterable[ResultLine], **meta: Any) -> Path:
    path.write_bytes(encode_results(list(results)))
    given_meta = {"engine": "1", "grader": {}, "data": {**DATA, "path": str(path)}, "settings": {}}
    path.with_name(path.name + ".meta.json").write_text(json.dumps({**given_meta, **meta}))
    return path


def scored(line: int, reward: float, **rest: Any) -> ResultLine:
    return ResultLine(line, reward, "scored", {}, {}, 0.0, **rest)


def invalid(line: int) -> ResultLine:
    return ResultLine(
        line, None, "invalid", {}, {"sample_parse_error": "it is no JSON"}, 0.0, "sample", 0.0
    )


def failed(line: int) -> ResultLine:
    flags = {"model_grader_server_error": "it is down"}
    return ResultLine(line, None, "failed", {}, flags, 0.0, "infrastructure")


def run_of(path: Path, rewards: Iterable[float]) -> Path:
    return write_results(path, (scored(line, reward) for line, reward in enumerate(rewards, 1)))


def write_animals(path: Path) -> Path:
    """Rows of which every fourth is wrong by one letter."""
    labels = ["cat", "dog", "cow", "hen", "owl"] * 8
    path.write_text(
        "".join(
            json.dumps({"item": {"label": label}, "model_sample": label if n % 4 else f"{label}s"})
            + "\n"
            for n, label in enumerate(labels)
        )
    )
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_animals(tmp_path / "rows.jsonl")


@pytest.fixture
def two_runs(engine: Engine, rows: Path, tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "fuzzy.jsonl", tmp_path / "exact.jsonl"
    for grader, out in zip((FUZZY, EXACT), paths, strict=True):
        score_file(engine, grader, rows, out)
    return paths


def test_two_graders_over_the_same_rows_are_compared(
    two_runs: tuple[Path, Path],
) -> None:
    ended = graders("compare", *two_runs, "--top", 2)
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert lines[0] == f"A  {two_runs[0]}"
    assert lines[1].startswith("   mean reward 0.9643 over 40 rows, 95 % interval ")
    # Wilson's
    assert lines[4:6] == [
        "   mean reward 0.7500 over 40 rows, 95 % interval 0.5981 to 0.8581",
        "   40 scored",
    ]
    assert lines[7].startswith("difference  -0.2143  95 % interval -0.")
    assert "over 40 rows that count in both means: B is lower" in lines[8]
    assert "B higher on 0, the same on 30, lower on 10" in lines[10]
    assert "such rows have an 80 % chance to detect a true difference of 0." in lines[12]
    assert lines[14:17] == [
        "changed most",
        "  line 1  0.8571 -> 0",
        "  line 5  0.8571 -> 0",
    ]
    assert '  type  "text_similarity" -> "string_check"' in lines
    assert '  operation  added, "eq"' in lines


def test_the_same_run_twice_shows_no_difference(two_runs: tuple[Path, Path]) -> None:
    ended = graders("compare", two_runs[0], two_runs[0], "--fail-if-worse")
    assert ended.exit_code == 0
    assert "difference  none: the same reward on all 40 rows" in ended.stdout
    assert "changed" not in ended.stdout
    assert "differences" not in ended.stdout


def test_json_has_the_same_numbers(two_runs: tuple[Path, Path]) -> None:
    printed = json.loads(graders("compare", *two_runs, "--json", "--top", 1).stdout)
    found = compare(*two_runs, top=1)
    assert found.difference is not None
    assert printed["difference"]["difference"]["value"] == found.difference.difference.value
    assert printed["difference"]["p_value"] == found.difference.p_value
    assert [printed[side]["mean"]["rows"] for side in ("before", "after")] == [40, 40]
    assert printed["changed_most"][0]["before"]["line"] == 1
    assert printed["grader_changes"][0]["path"] == "type"


@pytest.mark.parametrize(
    ("before", "after", "flag", "code"),
    [
        ([1.0] * 20, [0.0] * 10 + [1.0] * 10, "--fail-if-worse", 3),
        ([1.0] * 20, [0.0] * 10 + [1.0] * 10, "--fail-if-worse=0.1", 3),
        ([1.0] * 20, [0.0] * 10 + [1.0] * 10, "--fail-if-worse=0.6", 0),
        ([1.0] * 20, [0.0] * 10 + [1.0] * 10, "--top=3", 0),
        ([0.0] * 10 + [1.0] * 10, [1.0] * 20, "--fail-if-worse", 0),
        ([1.0] * 20, [0.0] * 2 + [1.0] * 18, "--fail-if-worse", 0),
        ([0.9] * 20, [0.4] * 20, "--fail-if-worse", 3),
        ([0.9] * 3, [0.4] * 3, "--fail-if-worse", 0),
    ],
    ids=[
        "half are wrong now",
        "by more than the margin",
        "by less than the margin",
        "the flag is missing",
        "it is better",
        "two rows show nothing",
        "all moved by the same",
        "three rows show nothing",
    ],
)
def test_the_exit_code_says_if_the_second_run_is_worse(
    before: list[float], after: list[float], flag: str, code: int, tmp_path: Path
) -> None:
    paths = run_of(tmp_path / "a.jsonl", before), run_of(tmp_path / "b.jsonl", after)
    for arguments in ((flag, *paths), (*paths, flag)):
        ended = graders("compare", *arguments)
        assert ended.exit_code == code, ended.output
        assert ("B is worse than A" in ended.stderr) == (code == 3)


def test_a_model_whose_answers_cannot_be_graded_any_more_is_worse(tmp_path: Path) -> None:
    """The rows scored in both are the same; the hosted API serves the others as zeros."""
    before = run_of(tmp_path / "a.jsonl", [0.9, 1.0] * 20)
    after = write_results(
        tmp_path / "b.jsonl",
        [invalid(n) if n % 3 == 0 else scored(n, 1.0 - 0.1 * (n % 2)) for n in range(1, 41)],
    )
    ended = graders("compare", before, after, "--fail-if-worse")
    assert ended.exit_code == 3
    shown = ended.stdout.splitlines()
    assert "     scored     0.9519 over 27 rows" in shown
    assert "   27 scored, 13 invalid by sample" in shown
    assert "  13  scored -> invalid by sample" in shown
    (headline,) = (at for at, line in enumerate(shown) if line.startswith("difference  -0.3"))
    assert "over 40 rows that count in both means: B is lower" in shown[headline + 1]
    assert "scored      none: the same reward on all 27 rows" in shown[headline:]
    assert shown.index("changes of status, rows") < headline
    assert (
        "  line 3   0.9 -> invalid by sample  B: sample_parse_error, it is no JSON" in ended.stdout
    )


def test_many_rows_without_a_reward_are_said_before_the_mean(tmp_path: Path) -> None:
    before = run_of(tmp_path / "a.jsonl", [1.0] * 10)
    after = write_results(
        tmp_path / "b.jsonl", [failed(1), *(scored(line, 1.0) for line in range(2, 11))]
    )
    shown = graders("compare", before, after).stdout
    said = "10.0 % of 10 rows have no reward because of the infrastructure"
    assert shown.count(said) == 1
    assert shown.index("B  ") < shown.index(said) < shown.rindex("mean reward")


def test_rows_that_failed_or_are_in_one_file_only_are_counted_separately(tmp_path: Path) -> None:
    before = write_results(tmp_path / "a.jsonl", [scored(1, 1.0), failed(2), scored(3, 0.5)])
    after = write_results(
        tmp_path / "b.jsonl", [scored(4, 1.0), scored(3, 0.5), scored(2, 0.0), scored(1, 1.0)]
    )
    found = compare(before, after)
    pairs = found.pairs
    assert (pairs.by, pairs.matched, pairs.only_before, pairs.only_after) == ("line", 3, 0, 1)
    assert found.left_out == found.moved == {"failed -> scored": 1}
    assert found.difference is not None
    assert found.difference.ties == 2
    ended = graders("compare", before, after)
    assert "paired by line: 3 of 3 rows of A are in B, 3 of 4 of B are in A\n" in ended.stdout
    assert "rows left out of the difference\n  1  failed -> scored\n" in ended.stdout
    assert "   2 scored, 1 failed\n" in ended.stdout


def test_without_a_row_that_counts_in_both_nothing_shows_that_b_is_not_worse(
    tmp_path: Path,
) -> None:
    before = write_results(tmp_path / "a.jsonl", [failed(1), scored(2, 1.0)])
    after = write_results(tmp_path / "b.jsonl", [scored(1, 1.0), failed(2)])
    for flags, code in (([], 1), (["--fail-if-worse"], 3)):
        ended = graders("compare", before, after, *flags)
        assert ended.exit_code == code
        assert "no difference to show: no row counts in both means" in ended.stdout
        assert "nothing was compared" in ended.stderr


def test_samples_of_a_prompt_are_matched_by_position_and_count_as_one_draw(
    tmp_path: Path,
) -> None:
    def run(path: Path, shift: float) -> Path:
        samples = [
            scored(line, 0.5 + shift * (1 + line % 3), sample=sample, group=f"p{line % 6}")
            for line in range(1, 13)
            for sample in range(1, 5)
        ]
        return write_results(path, samples)

    found = compare(run(tmp_path / "a.jsonl", 0.0), run(tmp_path / "b.jsonl", 0.1)).difference
    assert found is not None
    assert (found.difference.rows, found.difference.groups) == (48, 6)
    assert found.p_value == 2 / 2**6


def test_sub_rewards_say_which_part_moved(tmp_path: Path) -> None:
    def run(path: Path, date: float) -> Path:
        return write_results(
            path,
            [
                ResultLine(n, n / 20, "scored", {"total": 1.0, "date": date * (n % 2)}, {}, 0.0)
                for n in range(1, 20)
            ],
        )

    ended = graders("compare", run(tmp_path / "a.jsonl", 1.0), run(tmp_path / "b.jsonl", 0.5))
    assert "  total  1.0000 (19)  1.0000 (19)  the same\n" in ended.stdout
    assert "  date   0.5263 (19)  0.2632 (19)  -0.2632  -0." in ended.stdout


def test_a_parts_difference_over_fewer_rows_than_its_means_says_so(tmp_path: Path) -> None:
    def run(path: Path, values: list[float | None]) -> Path:
        lines = (
            ResultLine(n, 0.5, "scored", {"part": value}, {}, 0.0)
            for n, value in enumerate(values, 1)
        )
        return write_results(path, lines)

    every = run(tmp_path / "a.jsonl", [1.0, 0.5, 0.5, 0.0])
    fewer = run(tmp_path / "b.jsonl", [1.0, 1.0, 0.5, None])
    shown = graders("compare", every, fewer).stdout
    assert "  part  0.5000 (4)  0.8333 (3)  +0.1667 (3)  " in shown
    said = "the difference is over the rows that count in both runs, not of the two means"
    assert said in shown
    assert said not in graders("compare", every, every).stdout


def test_other_outputs_of_the_same_rows_are_compared(tmp_path: Path) -> None:
    here = run_of(tmp_path / "a.jsonl", [0.5, 1.0])
    outputs = {**DATA, "path": "z", "outputs": {"head": "1"}}
    other = write_results(tmp_path / "b.jsonl", [scored(1, 1.0)], data=outputs)
    allowed = graders("compare", here, other)
    assert allowed.exit_code == 0
    assert "outputs  null -> " in allowed.stdout


def test_files_that_cannot_be_compared_are_refused_with_a_sentence(tmp_path: Path) -> None:
    here = run_of(tmp_path / "a.jsonl", [0.5, 1.0])
    twice = write_results(tmp_path / "b.jsonl", [scored(7, 1.0), scored(7, 0.0)])
    apart = write_results(tmp_path / "c.jsonl", [scored(9, 1.0)])
    for second, reason in (
        (twice, "has two results for line 7"),
        (apart, "have no row in common"),
        (tmp_path / "none.jsonl", "No such file"),
        (run_of(tmp_path / "empty.jsonl", []), "have no row in common"),
    ):
        with pytest.raises(DataSetError, match=reason):
            compare(here, second, sources=Sources(force=True))


def test_runs_of_an_eval_are_compared_by_the_files_that_their_ids_lead_to(tmp_path: Path) -> None:
    row = {"item": {"label": "cat"}, "sample": {"output_text": "cat"}}
    data, store = tmp_path / "rows.jsonl", tmp_path / "store"
    data.write_text(f"{json.dumps(row)}\n" * 3)
    schema = {"type": "object", "properties": {"label": {"type": "string"}}}
    source = {"type": "custom", "item_schema": schema, "include_sample_schema": True}
    spec = tmp_path / "eval.json"
    criteria = [EXACT]
    spec.write_text(
        json.dumps({"name": "animals", "data_source_config": source, "testing_criteria": criteria})
    )
    ids = []
    for _ in range(2):
        ended = graders("evals", "run", f"@{spec}", "--data", data, "--jobs", store, "--json")
        assert ended.exit_code == 0, ended.output
        ids.append(json.loads(ended.stdout)["id"])
    refused = graders("compare", *ids)
    assert refused.exit_code == 2
    files = [store / "runs" / id_ / "results.jsonl" for id_ in ids]
    assert f"DIR/runs/{ids[0]}/results.jsonl" in " ".join(refused.stderr.split())
    ended = graders("compare", *files)
    assert "over 3 rows" in ended.stdout


def test_a_torn_last_line_is_left_out(two_runs: tuple[Path, Path]) -> None:
    with two_runs[1].open("r+b") as file:
        file.truncate(two_runs[1].stat().st_size - 9)
    found = compare(*two_runs)
    assert (found.pairs.matched, found.pairs.only_before) == (39, 1)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_line_fits_the_terminal(columns: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("LINES", raising=False)
    key = "a very long key of a sub-reward " * 4

    def run(path: Path, part: float, wrong: int) -> Path:
        flags = {"python_grader_runtime_error": "a long reason " * 20}
        results = [
            ResultLine(
                line, part, "scored", {key + "1": part, key + "2": 1.0}, {}, 0.0, sample=sample
            )
            for line in range(1, 20)
            for sample in range(1, 9)
        ]
        results[wrong] = msgspec.structs.replace(
            results[wrong], reward=None, status="invalid", blame="grader", served=0.0, flags=flags
        )
        return write_results(path, results, grader={"type": "python", "source": "x" * wrong})

    paths = run(Path("a.jsonl"), 0.25, 149), run(Path("b.jsonl"), 0.75, 30)
    shown = graders("compare", *paths).stdout
    assert max(map(len, shown.splitlines())) <= columns
    assert "line 4#7 " in shown
    assert "line 19#6 " in shown


def test_text_from_rows_cannot_move_the_terminals_cursor(tmp_path: Path) -> None:
    flags = {"other_error": "\x1b[2J\nB is better"}
    evil = ResultLine(1, None, "invalid", {}, flags, 0.0, "row", 0.0)
    paths = run_of(tmp_path / "a.jsonl", [1.0]), write_results(tmp_path / "b.jsonl", [evil])
    shown = graders("compare", *paths).stdout
    assert "\x1b" not in shown
    assert "\nB is better" not in shown
