"""How much of the reward is left of a right answer that is written in another way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.plan import spread
from graders_engine.preflight.attacks.results import attack_scale
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.sample_parts import calls_of, json_of, text_of, to_text
from graders_engine.preflight.trials import Ask, Stage, Trial

NAME = "tolerance"
ROWS = 6
_LONG_NUMBER = re.compile(r"(?<![\d.,-])\d{4,}(?=\.\d|\D|$)(?!-)")
_RIGHT = "as it is"


def variants(text: str) -> Iterator[tuple[str, str]]:
    """(what is done, the text written in this way) for each way that changes something."""
    yield "trailing newline", f"{text}\n"
    if (value := json_of(text)) is not None:
        yield "indented JSON", json.dumps(value, ensure_ascii=False, indent=2)
        if isinstance(value, Mapping) and len(value) > 1:
            yield "other key order", to_text(dict(reversed(list(value.items()))))
        yield "code fence", f"```json\n{text}\n```"
        return
    yield "code fence", f"```\n{text}\n```"
    yield "The answer is X.", f"The answer is {text}."
    yield "**bold**", f"**{text}**"
    if text.upper() != text:
        yield "upper case", text.upper()
    if (grouped := _LONG_NUMBER.sub(lambda found: f"{int(found[0]):,}", text)) != text:
        yield "7,215.85 for 7215.85", grouped


def _plan(inputs: Inputs, rows: int) -> Iterator[Ask]:
    context = Context.of(inputs)
    if context is None or context.references is None or context.judged:
        return  # a table without a finding is not worth a judge's calls
    answered = [row for row in context.rows if context.right(row) is not None]
    for row in spread(answered, rows):
        answer = context.right(row)
        if answer is None or calls_of(answer):
            continue
        text = text_of(answer)
        yield Ask(NAME, row.line, row.item, answer, (_RIGHT,))
        for name, changed in variants(text):
            yield Ask(NAME, row.line, row.item, changed, (name,))


def measured(inputs: Inputs) -> list[Mapping[str, Any]] | None:
    """The share of the reward that each way of writing keeps, on rows whose right answer is rewarded."""
    scale = attack_scale(inputs)
    trials = inputs.trials.get(NAME, [])
    if scale is None or not trials:
        return None
    right = {
        trial.ask.line: scale.share(trial.reward)
        for trial in trials
        if trial.ask.label == (_RIGHT,)
        and trial.reward is not None
        and scale.rewarded(trial.reward)
    }
    by_name: dict[str, list[float]] = {}
    for trial in trials:
        if trial.ask.label != (_RIGHT,) and trial.ask.line in right:
            by_name.setdefault(trial.ask.label[0], []).append(_kept(trial, right, scale.share))
    return [
        {"name": name, "kept": sum(shares) / len(shares), "rows": len(shares)}
        for name, shares in by_name.items()
    ] or None


def _kept(trial: Trial, right: Mapping[int, float], share: Any) -> float:
    return 0.0 if trial.reward is None else float(share(trial.reward)) / right[trial.ask.line]


STAGE = Stage(NAME, _plan, ROWS, ("corruption-unnoticed",))
