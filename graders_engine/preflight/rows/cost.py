"""What the judges of a job will cost.

Why: a job asks the judge for each answer of each group in each epoch; that is often more than the training
itself.

Example: 500 rows, 3 epochs and groups of 8 are 12,000 calls; with 2,000 tokens each, 24 million tokens.

To mend it: ask a cheaper judge, shorten its messages, or grade with a formula what needs no judge.

Ignore it when: the money is there. Azure pauses a job at 5,000 dollars of training and grading
(learn.microsoft.com, reinforcement fine-tuning).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graders_engine.outcome import Usage, total_usage
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.planned import planned_calls, planned_calls_in_words


def _ask(inputs: Inputs) -> Answer:
    if inputs.grader is None or not inputs.grader.judges:
        return ()
    cost = cost_of(inputs)
    return NotChecked("no judge has answered") if cost is None else _finding(inputs, cost)


def cost_of(inputs: Inputs) -> dict[str, Any] | None:
    """Tokens and money of one answer and of the whole job; None if no judge has answered."""
    outcomes = [trial.outcome.outcome for found in inputs.trials.values() for trial in found]
    used = [outcome for outcome in outcomes if outcome.usage]
    if not used:
        return None
    total, calls = total_usage(outcome.usage for outcome in used), planned_calls(inputs)
    graded = sum(max((len(one) for one in outcome.repeats.values()), default=1) for outcome in used)
    tokens = sum(usage.total_tokens for usage in total.values()) / graded
    money = _money(inputs, total)
    return {
        "graded": graded,
        "tokens_per_call": tokens,
        "calls": calls,
        "tokens": tokens * calls,
        "money": None if money is None else money / graded * calls,
    }


def _money(inputs: Inputs, usages: dict[str, Usage]) -> float | None:
    """What these tokens cost; None if a price is unknown."""
    if any(model not in inputs.prices for model in usages):
        return None
    return sum(inputs.prices[model].of(usage) for model, usage in usages.items())


def _finding(inputs: Inputs, cost: dict[str, Any]) -> Iterator[Finding]:
    money = cost["money"]
    price = (
        "; with [prices] in graders.toml the money is shown, too"
        if money is None
        else f", which cost {money:,.2f} (Azure pauses a job at 5,000 dollars)"
    )
    yield Finding(
        "cost",
        "info",
        f"Judges use {cost['tokens_per_call']:,.0f} tokens an answer: {cost['tokens']:,.0f} tokens for "
        f"{planned_calls_in_words(inputs)} of the job{price}.",
        "Shorten the judge's messages, or ask a cheaper one, if that is too much.",
        numbers=cost,
    )


CHECK = Check("cost", "rows", _ask, frozenset({"train", "grader"}), silenced_by=("sample-unread",))
