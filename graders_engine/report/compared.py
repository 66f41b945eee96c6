"""What the terminal and the page call the rows of a comparison, and what it shows."""

from __future__ import annotations

import json
from typing import Any

from graders_engine.dataset.results.compare import Comparison, RowChange, RunFacts
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import (
    format_number,
    format_reward,
    format_rows,
    much_blamed,
)
from graders_engine.report.provenance import UNFINISHED
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
    """What is shown of B, to end a sentence."""
    if not pair.computed:
        return "not comparable: rewards are too large"
    return pair.direction() or "not shown to differ"


def side_warnings(side: RunFacts, *, grouped: bool) -> list[str]:
    """What must be known before the numbers of a run are read, without a full stop."""
    unfinished = [UNFINISHED.rstrip(".")] if side.complete is False else []
    return [*unfinished, *much_blamed(side.blames, side.rows, grouped=grouped)]


def what_is_paired(comparison: Comparison, count: int) -> str:
    """A number of pairs: of rows, or of prompts."""
    if comparison.pairs.prompts is None:
        return format_rows(count, grouped=in_samples(comparison))
    return f"{count:,} {'prompt' if count == 1 else 'prompts'}"


def prompts_sentence(comparison: Comparison) -> str:
    """That the means of prompts are compared, and of how many samples; empty if rows are."""
    prompts = comparison.pairs.prompts
    if prompts is None:
        return ""
    return (
        f"each prompt counts once, by the mean of its samples: {_span(prompts.before)} in A, "
        f"{_span(prompts.after)} in B"
    )


def row_pairs_note(comparison: Comparison) -> str:
    """How the listed rows were paired, if only their prompts belong together; else empty."""
    return "" if comparison.pairs.prompts is None else "samples of a prompt by their rank in reward"


def _span(counts: tuple[int, int]) -> str:
    fewest, most = counts
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def p_value(pair: Paired) -> str:
    """The probability of such a difference if there is none, and the test that gave it."""
    p = "p < 0.0001" if pair.p_value < 0.0001 else f"p = {format_number(pair.p_value)}"
    return f"{p} ({pair.test})"


def value_text(value: Any) -> str:
    """A JSON value of a grader or a setting: a text as it is, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
