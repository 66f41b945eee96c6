"""What the terminal and the page call the rows of a comparison, and what it shows."""

from __future__ import annotations

import json
from typing import Any

from graders_engine.dataset.results.compare import Comparison, RowChange
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import format_number, format_reward
from graders_engine.statistics.paired import Paired


def in_samples(comparison: Comparison) -> bool:
    """Whether the rows are samples of prompts with several of them, and are called so."""
    means = (comparison.before.mean, comparison.after.mean)
    return any(mean is not None and mean.groups < mean.rows for mean in means)


def row_names(row: RowChange) -> str:
    """The row's name in A, and in B if it has another there."""
    before, after = row.before.name, row.after.name
    return before if before == after else f"{before}, in B {after}"


def standing(result: ResultLine) -> str:
    """A row's reward if it is scored, else its status and whom it blames."""
    if result.status == "scored":
        return format_reward(result.reward)
    return f"invalid by {result.blame}" if result.status == "invalid" else result.status


def verdict(pair: Paired) -> str:
    """What the interval of a difference shows of B, to end a sentence."""
    low, high = pair.difference.low, pair.difference.high
    if low is not None and low > 0:
        return "higher"
    if high is not None and high < 0:
        return "lower"
    return "not shown to differ"


def p_value(pair: Paired) -> str:
    """The probability of such a difference if there is none, and the test that gave it."""
    p = "p < 0.0001" if pair.p_value < 0.0001 else f"p = {format_number(pair.p_value)}"
    return f"{p} ({pair.test})"


def value_text(value: Any) -> str:
    """A JSON value of a grader or a setting: a text as it is, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
