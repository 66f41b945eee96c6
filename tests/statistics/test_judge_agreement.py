"""A judge compared with human labels and with a constant judge, and how the report shows it."""

from __future__ import annotations

import pytest

from graders_engine.dataset.results.agreement import judge_agreement
from graders_engine.errors import DataSetError
from graders_engine.report.terminal.agreement import agreement_lines


def test_labels_are_matched_by_the_most_frequent_answer() -> None:
    answers = [["good", "bad", "good"], ["bad"] * 3, ["good"] * 3, ["bad", "bad", "good"], []]
    found = judge_agreement(answers, ["good", "bad", "good", "good", "bad"])
    assert (found.rows, found.unanswered) == (4, 1)
    assert found.matching is not None
    assert found.matching.agreement.value == 0.75
    assert found.matching.kappa == pytest.approx((0.75 - 0.5) / 0.5)
    assert (found.matching.constant, found.matching.constant_agreement) == ("good", 0.75)
    assert found.matching.confusion[0] == ("good", "good", 2)
    assert found.flips is not None
    assert found.flips.flipped == 0.5
    assert found.distance is None


def test_the_report_shows_the_agreement_of_a_constant_judge() -> None:
    report = "\n".join(agreement_lines(judge_agreement([["good"]] * 10, ["good"] * 9 + ["bad"])))
    assert "agreement   90.0 %, 95 % interval 0.5958 to 0.9821, Cohen's kappa 0.00\n" in report
    assert "90.0 %, kappa 0, for a judge that always says 'good'\n" in report


def test_numbers_are_compared_by_distance_and_by_what_passes() -> None:
    answers = [[0.9, 0.7, 0.8], [0.2, 0.2, 0.3], [0.6, 0.6, 0.6], [0.1, 0.0, 0.1]]
    found = judge_agreement(answers, [1.0, 0.0, 0.0, 0.0], passing=0.5)
    assert found.distance is not None
    assert found.distance.absolute_error.value == pytest.approx((0.2 + 0.2 + 0.6 + 0.1) / 4)
    assert found.distance.bias.value == pytest.approx((-0.2 + 0.2 + 0.6 + 0.1) / 4)
    assert (found.distance.constant, found.distance.constant_error) == (0.0, 0.25)
    assert found.matching is not None
    assert found.matching.agreement.value == 0.75
    assert found.alpha is not None
    report = "\n".join(agreement_lines(found))
    assert "agreement   75.0 %, " in report
    assert "on whether a number passes: it is at least 0.5\n" in report
    assert "calibration, expected error" in report


def test_rewards_of_0_and_1_are_matched_without_a_passing_reward() -> None:
    found = judge_agreement([[1, 1], [0, 1], [0, 0]], [1, 0, 0])
    assert found.passing == 1
    assert found.matching is not None
    # the median of 0 and 1 does not pass
    assert found.matching.agreement.value == 1.0
    assert judge_agreement([[0.5], [1.0]], [1, 0]).matching is None


def test_one_row_makes_a_report() -> None:
    report = "\n".join(agreement_lines(judge_agreement([[1.0]], [1.0])))
    assert report.startswith("1 row with a judge answer and a human label\n")
    assert "nan" not in report
    assert "repeats" not in report


@pytest.mark.parametrize(
    ("answers", "human", "reason"),
    [
        ([[1.0]], [], "answered 1 rows, but people 0"),
        ([[], []], [1.0, 0.0], "No row has both"),
        ([], [], "No row has both"),
        ([[1.0]], ["good"], "all numbers or all text"),
        ([["good"], ["bad"]], ["good", 0.0], "all numbers or all text"),
    ],
)
def test_labels_that_cannot_be_compared_are_rejected(
    answers: list[list[float]], human: list[float], reason: str
) -> None:
    with pytest.raises(DataSetError, match=reason):
        judge_agreement(answers, human)
