"""Right answers that stand in a field whose name says so, and that the grader refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.preflight.ask import SUMS, ask, found, only
from tests.preflight.graders import HEAD, python

NUMBER = (
    '    try:\n        return float(float(sample["output_text"]) == float(item["{}"]))\n'
    "    except ValueError:\n        return 0.0\n"
)


@pytest.mark.parametrize("name", ["answer", "solution", "reference", "label"])
@pytest.mark.parametrize("every", [10, 2])
def test_values_of_a_field_named_as_the_answer_that_earn_nothing_are_a_warning(
    tmp_path: Path, name: str, every: int
) -> None:
    rows = [
        {"messages": row["messages"], name: f"{row['answer']}{' items' * (n % every == 0)}"}
        for n, row in enumerate(SUMS[:30])
    ]
    finding = only(
        ask(tmp_path, python(HEAD + NUMBER.format(name)), rows), "reference-not-rewarded"
    )
    assert (finding.severity, finding.numbers["missed"]) == ("warning", 30 // every)


def test_a_grader_that_refuses_every_value_of_the_answer_is_a_warning(tmp_path: Path) -> None:
    rows = [{**row, "answer": f"{row['answer']} items"} for row in SUMS]
    finding = only(ask(tmp_path, python(HEAD + NUMBER.format("answer")), rows), "constant-reward")
    assert finding.severity == "warning"
    assert "compare what the grader reads" in finding.fix


def test_an_answer_that_a_model_would_write_in_another_form_is_no_warning(tmp_path: Path) -> None:
    source = (
        HEAD + '    return float(f"<answer>{item[\'answer\']}</answer>" in sample["output_text"])\n'
    )
    report = ask(tmp_path, python(source))
    assert not found(report, "constant-reward")
    finding = only(report, "reference-not-rewarded")
    assert finding.severity == "info"
    assert "--reference-template" in finding.fix
