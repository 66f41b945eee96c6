"""A mean's interval does not leave the rewards that the grader's form allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from tests.preflight.graders import CLOSE, HEAD, SAME, judge, multi, python

SKEWED = (1.0, 1.0, 0.857, 0.5, 1.0, 0.0)
ENDS: list[tuple[Any, Sequence[float], tuple[float, float] | None]] = [
    (CLOSE, SKEWED, (0.0, 1.0)),
    (judge(), SKEWED, (0.0, 1.0)),
    (judge(range=[1.0, 5.0]), [1 + 4 * reward for reward in SKEWED], (1.0, 5.0)),
    (judge(range=[-1.0, 1.0]), [2 * reward - 1 for reward in SKEWED], (-1.0, 1.0)),
    (multi("(exact + close) / 2"), SKEWED, (0.0, 1.0)),
    (multi("close - 2"), [reward - 2 for reward in SKEWED], (-2.0, -1.0)),
    # A value beyond the form, such as `invalid_grade`, may be the mean's, too.
    (judge(range=[1.0, 5.0]), [5.0, 5.0, 5.0, 4.0, 0.0], (0.0, 5.0)),
    # Nothing is known of code.
    (python(HEAD + SAME), SKEWED, None),
    (multi("code + exact"), SKEWED, None),
    ({"type": "of another version"}, SKEWED, None),
]


def written(path: Path, grader: Any, rewards: Sequence[float], **part: Sequence[float]) -> Path:
    lines = [
        {
            "line": line, "reward": reward, "status": "scored", "flags": {}, "seconds": 0.0,
            "sub_rewards": {key: values[line - 1] for key, values in part.items()},
        }
        for line, reward in enumerate(rewards, 1)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    meta = {"grader": grader, "data": {}, "complete": True}
    path.with_name(f"{path.name}.meta.json").write_text(json.dumps(meta))
    return path


def printed(*command: str) -> str:
    ended = CliRunner().invoke(cli.graders, command)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.mark.parametrize(("grader", "rewards", "ends"), ENDS)
def test_the_interval_ends_where_the_grader_s_rewards_do(
    grader: Any, rewards: Sequence[float], ends: tuple[float, float] | None, tmp_path: Path
) -> None:
    results = str(written(tmp_path / "results.jsonl", grader, rewards))
    mean = json.loads(printed("report", results, "--json", "--no-html"))["mean"]
    free = written(tmp_path / "free.jsonl", {}, rewards)
    unknown = json.loads(printed("report", str(free), "--json", "--no-html"))["mean"]
    low, high = unknown["low"], unknown["high"]
    expected = (low, high) if ends is None else (max(low, ends[0]), min(high, ends[1]))
    assert (mean["low"], mean["high"]) == expected
    assert (expected == (low, high)) == (ends is None)
    assert mean["value"] == unknown["value"]


def test_every_view_shows_the_same_ends(tmp_path: Path) -> None:
    grader = multi("close")
    results = str(written(tmp_path / "results.jsonl", grader, SKEWED, close=SKEWED))
    worse = [reward / 2 for reward in SKEWED]
    other = str(written(tmp_path / "other.jsonl", grader, worse, close=worse))
    text = printed("report", results)
    assert "95 % interval 0.0000 to 1.0000" in text
    assert " 0.0000 to 1.0000 " in text.partition("sub-rewards")[2]
    assert "95 % interval 0.0000 to 1.0000" in (tmp_path / "results.jsonl.html").read_text()
    found = json.loads(printed("report", results, "--json", "--no-html"))
    assert found["sub_rewards"]["close"] == found["mean"]
    compared = json.loads(printed("compare", results, other, "--force", "--json"))
    assert compared["before"]["mean"] == found["mean"]
    assert compared["before"]["scored_mean"] == found["mean"]
    assert compared["difference"]["before"] == found["mean"]
    assert compared["sub_rewards"]["close"]["before"] == found["mean"]


def test_a_difference_is_at_most_that_of_the_ends(tmp_path: Path) -> None:
    before, after = (1.0, 0.9), (0.9, 0.0)
    both = [
        str(written(tmp_path / name, CLOSE, rewards))
        for name, rewards in (("before.jsonl", before), ("after.jsonl", after))
    ]
    difference = json.loads(printed("compare", *both, "--force", "--json"))["difference"][
        "difference"
    ]
    assert (difference["low"], difference["high"]) == (-1.0, 1.0)


def test_the_best_of_several_samples_is_within_the_grader_s_rewards(tmp_path: Path) -> None:
    results = written(tmp_path / "results.jsonl", CLOSE, SKEWED)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    results.write_text(
        "".join(
            json.dumps({**line, "sample": line["line"] % 2 + 1, "group": str(line["line"] // 2)})
            + "\n"
            for line in lines
        )
    )
    at = json.loads(printed("report", str(results), "--json", "--no-html"))["groups"]["at"]
    assert all(0.0 <= one["best_of_k"]["low"] <= one["best_of_k"]["high"] <= 1.0 for one in at)
    assert {one["best_of_k"]["high"] for one in at} == {1.0}
