"""The cases are well formed, and what their proofs say holds.

A proof is `{"reference": sample, "full": 1.0}`: each row's reference answer earns the full mark (with
`"fails": true`: not every one does); or `{"sample": sample, "at_least": 0.5}`: the attack's sample earns
that on the rows' average.
"""

from __future__ import annotations

import contextlib
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine

from . import judge as judges
from . import load

CASES = [case for half in "ab" for case in load.cases(half)]
KINDS = {"fault", "hackable", "clean", "robust"}
KNOWN = {
    "id",
    "kind",
    "half",
    "why",
    "grader",
    "train",
    "validation",
    "samples",
    "job",
    "options",
    "judge",
}


def rewards(case: dict[str, Any], sample: Any) -> list[float]:
    """What a sample earns on each of the first twelve rows."""
    rows = load.rows_of(case["train"])
    with contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {}
        if "judge" in case:
            url, _ = stack.enter_context(judges.judging(case["judge"]))
            settings["judges"] = url
        engine = stack.enter_context(Engine(**settings))
        graded = [
            load.graded_row(row, load.filled(sample, load.scope_of(rows, index)))
            for index, row in enumerate(rows[:12])
        ]
        return [engine.run(case["grader"], **row).reward for row in graded]


def test_ids_are_unique_and_each_half_has_its_kinds() -> None:
    ids = Counter(case["id"] for case in CASES)
    assert [name for name, number in ids.items() if number > 1] == []
    for half in "ab":
        assert {case["kind"] for case in CASES if case["half"] == half} == KINDS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case_has_the_keys_that_the_runner_reads(case: dict[str, Any], tmp_path: Path) -> None:
    assert set(case) <= KNOWN | {"expect", "proof"}
    assert bool(case["expect"]) == (case["kind"] in ("fault", "hackable"))
    for wanted in case["expect"]:
        assert wanted["severity"] in ("error", "warning", "info")
    if len(load.rows_of(case["train"])) < 1000:
        assert load.write(case, tmp_path)["train"].stat().st_size


@pytest.mark.parametrize(
    "case", [case for case in CASES if "proof" in case], ids=lambda case: case["id"]
)
def test_a_proof_holds(case: dict[str, Any]) -> None:
    proof = case["proof"]
    if "reference" in proof:
        full = [reward >= 0.99 * proof["full"] for reward in rewards(case, proof["reference"])]
        assert all(full) is not proof.get("fails", False)
    else:
        assert statistics.fmean(rewards(case, proof["sample"])) >= proof["at_least"]
