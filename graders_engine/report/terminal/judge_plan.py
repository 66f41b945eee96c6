"""How often judges will be asked, as text; it is printed before they are."""

from __future__ import annotations

from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.trials import Plan, requests_of

_CHARS_PER_TOKEN, _ANSWER_TOKENS = 4, 200
"""With which the cost of calls is estimated before the first."""


def plan_sentence(plan: Plan, inputs: Inputs, attempts: int) -> str:
    """How many calls judges will get, and what they cost; empty if they get none.

    Args:
        plan: what will be graded.
        inputs: what is examined.
        attempts: how often a request is sent that fails.
    """
    if not plan.calls or inputs.grader is None:
        return ""
    models = sorted({spec.model for _, spec in inputs.grader.judges})
    again = (
        f"; a call that fails is made up to {attempts} times (--judge-attempts)"
        if attempts > 1
        else ""
    )
    return (
        f"Judges ({', '.join(models)}) will get up to {plan.calls:,} calls, of "
        f"{inputs.options.max_calls:,} at most (--max-calls){again}{_price_of(plan, inputs)}."
    )


def _price_of(plan: Plan, inputs: Inputs) -> str:
    """What the planned calls cost, as the end of a sentence."""
    facts = inputs.grader
    if facts is None:
        return ""
    money = 0.0
    for model, messages, times in requests_of(facts, plan.asks, plan.repeats):
        price = inputs.prices.get(model)
        if price is None:
            return f"; the price of {model} is not known ([prices] in graders.toml)"
        texts = [getattr(part, "text", "") for message in messages for part in message.parts]
        tokens = sum(map(len, texts)) / _CHARS_PER_TOKEN
        money += times * (tokens * price.input + _ANSWER_TOKENS * price.output) / 1e6
    return f"; they cost about {money:,.2f} if answers have {_ANSWER_TOKENS} tokens"
