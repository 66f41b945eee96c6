"""Graders that can be gamed are found, each by the attack that games it; others raise no warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.preflight.report import PreflightReport
from tests.preflight.ask import ask, found
from tests.preflight.attacks.graders import FAST, INSENSITIVE, ROBUST, SANDBOXED, Case, judge_of


def asked(folder: Path, case: Case, **options: Any) -> PreflightReport:
    best: float | str = "good" if case.grader["type"] == "label_model" else 10.0
    engine = Engine(judges=judge_of(case.judge, best)) if case.judge else None
    return ask(folder, case.grader, case.rows, engine=engine, **{**case.options, **options})


def warned_of(report: PreflightReport, check: str) -> list[str]:
    return [
        one["attack"]
        for finding in found(report, check)
        if finding.severity == "warning"
        for one in finding.numbers["attacks"]
        if one["severity"] == "warning"
    ]


@pytest.mark.parametrize("name", FAST)
def test_a_grader_that_can_be_gamed_is_found(name: str, tmp_path: Path) -> None:
    case, attack = FAST[name]
    assert attack in warned_of(asked(tmp_path, case), "hackable")


@pytest.mark.parametrize("name", SANDBOXED)
def test_a_python_grader_that_can_be_gamed_is_found(name: str, tmp_path: Path) -> None:
    case, attack = SANDBOXED[name]
    report = asked(tmp_path, case, attacks=(attack,), select=("hackable",))
    assert attack in warned_of(report, "hackable")


@pytest.mark.parametrize("name", INSENSITIVE)
def test_what_a_grader_does_not_see_is_found(name: str, tmp_path: Path) -> None:
    case, attack = INSENSITIVE[name]
    assert attack in warned_of(asked(tmp_path, case, attacks=(attack,)), "insensitive")


@pytest.mark.parametrize("name", ROBUST)
def test_a_robust_grader_raises_no_warning(name: str, tmp_path: Path) -> None:
    report = asked(tmp_path, ROBUST[name], rows=15)
    attacks = {trial.ask.label[0] for trial in report.inputs.trials["attacks"]}
    assert {"empty", "filler", "gibberish", "unicode"} <= attacks
    checks = ("hackable", "insensitive", "corruption-unnoticed")
    serious = [one for id_ in checks for one in found(report, id_) if one.severity != "info"]
    assert not serious
