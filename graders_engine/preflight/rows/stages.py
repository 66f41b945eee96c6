"""The samples that are graded to learn the scale: right answers, other rows' answers, constant answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from graders_engine.graders.endpoint import EndpointGrader
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.plan import ROWS, spread
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.trials import Ask, Stage, sample_key

OTHERS = 3
"""How many other rows' answers each row is graded with."""
MOST_CONSTANTS = 20
"""With more different answers, nobody answers with one of them always."""
_TIMES_CODE, _TIMES_JUDGE = 2, 3


def answered_rows(inputs: Inputs, rows: int) -> list[tuple[int, Any, Sample]]:
    """(line, item, reference answer) of the first of the drawn rows that have one."""
    if inputs.train is None or inputs.references is None:
        return []
    found = []
    for row in inputs.train.drawn[:rows]:
        sample = inputs.references.sample_of(row.item)
        if sample is not None:
            found.append((row.line, row.item, sample))
    return found


def _references(inputs: Inputs, rows: int) -> Iterator[Ask]:
    for line, item, sample in answered_rows(inputs, rows):
        yield Ask("references", line, item, sample, times=times_graded(inputs))


def times_graded(inputs: Inputs) -> int:
    """How often an answer is graded: once where its reward cannot but be the same."""
    facts = inputs.grader
    if facts is None:
        return 1
    if facts.judges:
        return _TIMES_JUDGE
    runs = facts.spec.runs_python() or any(isinstance(s, EndpointGrader) for _, s in facts.leaves)
    return _TIMES_CODE if runs else 1


def _others(inputs: Inputs, rows: int) -> Iterator[Ask]:
    answered = answered_rows(inputs, rows)
    drawing = random.Random(inputs.options.seed)  # noqa: S311 - which rows are paired is no secret
    for line, item, sample in answered:
        different = [
            (other_line, other)
            for other_line, _, other in answered
            if sample_key(other) != sample_key(sample)
        ]
        for other_line, other in drawing.sample(different, min(OTHERS, len(different))):
            yield Ask("others", line, item, other, (str(other_line),))


def constant_answers(inputs: Inputs, rows: int) -> list[Sample]:
    """The different answers, the most usual first; none if they are too many to stand in two rows each."""
    samples = {sample_key(sample): sample for _, _, sample in answered_rows(inputs, rows)}
    counts = Counter(sample_key(sample) for _, _, sample in answered_rows(inputs, rows))
    few = 1 < len(counts) <= MOST_CONSTANTS and counts.total() >= 2 * len(counts)
    return [samples[key] for key, _ in counts.most_common()] if few else []


def _constants(inputs: Inputs, rows: int) -> Iterator[Ask]:
    for answer in constant_answers(inputs, rows):
        for line, item, _ in answered_rows(inputs, rows):
            yield Ask("constants", line, item, answer, (sample_key(answer),))


def _usual(inputs: Inputs, rows: int) -> Iterator[Ask]:
    context = Context.of(inputs)
    answer = context.usual_answer if context else None
    if context is None or answer is None or inputs.references is None:
        return
    for row in spread(
        context.rows, rows
    ):  # those that are attacked: what is compared is of the same rows
        yield Ask("usual", row.line, row.item, answer, ("usual values",))


REFERENCES = Stage(
    "references", _references, 30,
    ("grader-fails", "unstable", "constant-reward", "reference-not-rewarded", "weak-contrast",
     "constant-answer", "hackable", "insensitive", "corruption-unnoticed", "slow-grader", "cost"),
)  # fmt: skip
OTHER_ROWS = Stage(
    "others", _others, 30, ("constant-reward", "weak-contrast", "hackable", "insensitive")
)
CONSTANTS = Stage("constants", _constants, 30, ("constant-answer", "hackable", "insensitive"))
USUAL = Stage("usual", _usual, ROWS, ("constant-answer", "hackable", "insensitive"))
"""One JSON answer for all rows that has in each field what right answers have most often."""
