"""What right answers, other rows' answers and constant answers earn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import same_answer
from graders_engine.preflight.trials import Ask, Stage

_CHECKS = ("hackable", "insensitive", "corruption-unnoticed")


def _right(inputs: Inputs, rows: int) -> list[tuple[int, object, Sample]]:
    source, train = inputs.references, inputs.train
    if source is None or train is None:
        return []
    found = [(row.line, row.item, source.sample_of(row.item)) for row in train.drawn]
    return [(line, item, answer) for line, item, answer in found if answer is not None][:rows]


def _references(inputs: Inputs, rows: int) -> Iterator[Ask]:
    for line, item, answer in _right(inputs, rows):
        yield Ask("references", line, item, answer)


def _others(inputs: Inputs, rows: int) -> Iterator[Ask]:
    right = _right(inputs, rows)
    for at, (line, item, own) in enumerate(right):
        others = [one for _, _, one in [*right[at + 1 :], *right[:at]] if not same_answer(own, one)]
        for number, other in enumerate(others[:3]):
            yield Ask("others", line, item, other, (str(number),))


def _constants(inputs: Inputs, rows: int) -> Iterator[Ask]:
    right = _right(inputs, rows)
    counts = Counter(answer for _, _, answer in right if isinstance(answer, str))
    if len(counts) > 20 or len(counts) * 2 > len(right):
        return
    for answer in counts:
        for line, item, _ in right:
            yield Ask("constants", line, item, answer, (answer,))


STAGES = (
    Stage("references", _references, 30, _CHECKS),
    Stage("others", _others, 30, _CHECKS),
    Stage("constants", _constants, 20, _CHECKS),
)
