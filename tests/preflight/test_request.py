"""The request of the job: keys, ranges, files, models, steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.preflight.ask import EXACT, SUMS, ask, found, only


def job(*, method: Any = None, **more: Any) -> dict[str, Any]:
    """A request that nothing is wrong with, but for what is given."""
    given = (
        {"type": "reinforcement", "reinforcement": {"grader": EXACT}} if method is None else method
    )
    return {
        "model": "o4-mini-2025-04-16", "training_file": "file-1", "validation_file": "file-2",
        "method": given, **more,
    }  # fmt: skip


def tuned(**hyperparameters: Any) -> dict[str, Any]:
    reinforcement = {"grader": EXACT, "hyperparameters": hyperparameters}
    return job(method={"type": "reinforcement", "reinforcement": reinforcement})


def paths(report: Any, id_: str) -> list[str]:
    return [finding.where[0].path for finding in found(report, id_)]


def test_a_good_request_has_no_finding(tmp_path: Path) -> None:
    whole = tuned(
        batch_size=4, n_epochs=2, eval_interval=5, eval_samples=2, compute_multiplier=1.5,
        learning_rate_multiplier=0.5, reasoning_effort="low",
    ) | {"suffix": "mine", "seed": 7, "metadata": {"team": "a"}}  # fmt: skip
    report = ask(tmp_path, None, job=whole, service="azure")
    assert not report.findings
    assert {*report.fine} >= {"invalid-request", "value-out-of-range", "no-validation-file"}


@pytest.mark.parametrize(
    ("given", "path", "said"),
    [
        (job(hyperparameter={}), "hyperparameter", "`hyperparameters`"),
        (job(hyperparameters={"n_epochs": 2}), "hyperparameters", "method"),
        (job(method={"type": "reinforcement"}), "method.reinforcement", "no object"),
        (job(method={"type": "reinforcment"}), "method.type", "`reinforcement`"),
        (job() | {"model": ""}, "model", "model"),
        (
            {k: v for k, v in job().items() if k != "training_file"},
            "training_file",
            "training file",
        ),
        (tuned(epochs=3), "method.reinforcement.hyperparameters.epochs", "`n_epochs`"),
    ],
)
def test_what_the_service_would_refuse_is_an_error_with_its_path(
    tmp_path: Path, given: dict[str, Any], path: str, said: str
) -> None:
    report = ask(tmp_path, EXACT, job=given)
    assert paths(report, "invalid-request") == [path]
    finding = only(report, "invalid-request")
    assert finding.severity == "error"
    assert said in f"{finding.message} {finding.fix}"


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("batch_size", (0, 257, 1.5, True, "4"), (1, 256, "auto")),
        ("n_epochs", (0, 51), (1, 50)),
        ("learning_rate_multiplier", (0, -1), (0.0001, 7)),
        ("compute_multiplier", (0.00001, 10.5), (0.0001, 10)),
        ("eval_interval", (0,), (1,)),
        ("eval_samples", (0,), (1,)),
        ("reasoning_effort", ("max",), ("default", "high")),
    ],
)
def test_hyperparameters_have_ranges(
    tmp_path: Path, name: str, wrong: tuple[Any, ...], right: tuple[Any, ...]
) -> None:
    for value in wrong:
        report = ask(tmp_path, EXACT, job=tuned(**{name: value}), select=("request",))
        assert paths(report, "value-out-of-range") == [
            f"method.reinforcement.hyperparameters.{name}"
        ]
    for value in right:
        report = ask(tmp_path, EXACT, job=tuned(**{name: value}), select=("request",))
        assert not found(report, "value-out-of-range")


@pytest.mark.parametrize(
    "more",
    [{"suffix": "x" * 65}, {"seed": True}, {"metadata": {str(n): "" for n in range(17)}},
     {"metadata": {"k": "x" * 513}}, {"metadata": {"k": 3}}],
)  # fmt: skip
def test_texts_of_the_request_have_limits(tmp_path: Path, more: dict[str, Any]) -> None:
    report = ask(tmp_path, EXACT, job=job(**more), select=("request",))
    assert only(report, "value-out-of-range").severity == "error"


def test_a_reinforcement_job_needs_a_validation_file(tmp_path: Path) -> None:
    without = {key: value for key, value in job().items() if key != "validation_file"}
    assert only(ask(tmp_path, job=without), "no-validation-file").severity == "error"
    same = only(ask(tmp_path, job=job(validation_file="file-1")), "no-validation-file")
    assert same.severity == "warning"


def test_two_files_with_the_same_bytes_are_an_error(tmp_path: Path) -> None:
    finding = only(ask(tmp_path, validation=SUMS), "no-validation-file")
    assert finding.severity == "error"
    assert not found(ask(tmp_path, EXACT, SUMS[:40], validation=SUMS[40:]), "no-validation-file")


def test_models_are_held_against_the_list_of_the_chosen_service(tmp_path: Path) -> None:
    def said(model: str, service: str) -> list[str]:
        report = ask(tmp_path, EXACT, job=job(model=model), service=service)
        return [finding.severity for finding in found(report, "model-cannot-train")]

    assert said("gpt-4o-2024-08-06", "openai") == ["warning"]
    assert said("gpt-4o-2024-08-06", "none") == []
    assert said("o4-mini-2025-04-16", "openai") == ["info"]
    assert said("o4-mini-2025-04-16", "azure") == []
    assert said("ft:o4-mini-2025-04-16:org::id", "azure") == []


def test_a_job_that_ends_before_its_first_evaluation_is_a_warning(tmp_path: Path) -> None:
    late = tuned(batch_size=8, n_epochs=1, eval_interval=9)
    finding = only(ask(tmp_path, job=late), "never-evaluated")
    assert finding.numbers == {"steps": 8, "eval_interval": 9}
    assert not found(ask(tmp_path, job=tuned(batch_size=8, eval_interval=8)), "never-evaluated")
    report = ask(tmp_path, job=tuned(eval_interval=9))
    assert "batch_size is auto" in report.not_checked["never-evaluated"]


def test_a_batch_of_more_rows_than_there_are_is_a_warning_and_few_steps_are_said(
    tmp_path: Path,
) -> None:
    assert only(ask(tmp_path, job=tuned(batch_size=61)), "batch-over-rows").severity == "warning"
    assert only(ask(tmp_path, job=tuned(batch_size=30)), "batch-over-rows").severity == "info"
    assert not found(ask(tmp_path, job=tuned(batch_size=6)), "batch-over-rows")


def test_a_job_with_another_grader_than_the_examined_one_is_a_warning(tmp_path: Path) -> None:
    request = job()
    assert only(ask(tmp_path, {**EXACT, "operation": "like"}, job=request), "other-grader")
    for grader in (EXACT, {**EXACT, "name": "again"}, None):
        assert not found(ask(tmp_path, grader, job=request), "other-grader")
