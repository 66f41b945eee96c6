"""Which hostile samples are graded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.catalog import ATTACKS
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import json_of, parts_of
from graders_engine.preflight.trials import Ask, Stage

NAME = "attacks"
ROWS = 12
_ROBUSTNESS_ROWS = 1
"""A grader that hangs takes two minutes for each sample."""

T = TypeVar("T")


def spread(rows: Sequence[T], count: int) -> list[T]:
    """So many rows, evenly from all: files are often sorted."""
    if count >= len(rows):
        return list(rows)
    return [rows[at * len(rows) // count] for at in range(count)]


def attacks_of(inputs: Inputs) -> tuple[Attack, ...]:
    """The attacks that were asked for."""
    names = inputs.options.attacks
    return tuple(attack for attack in ATTACKS if not names or attack.name in names)


def _plan(inputs: Inputs, rows: int) -> Iterator[Ask]:
    context = Context.of(inputs)
    if context is None:
        return
    attacks = [attack for attack in attacks_of(inputs) if attack.applies(context)]
    for number, row in enumerate(spread(context.rows, rows)):
        for attack in attacks:
            if attack.kind == "robustness" and number >= _ROBUSTNESS_ROWS:
                continue
            for variant, sample in hostile_samples(attack, row, context):
                yield Ask(NAME, row.line, row.item, sample, (attack.name, variant))


def hostile_samples(
    attack: Attack, row: TrainingRow, context: Context
) -> Iterable[tuple[str, Sample]]:
    """(variant, sample) of each hostile sample of an attack for a row, without those that are right.

    Nor those that the job's response format rules out, but where only failures and seconds count.
    """
    for variant, sample in variants_of(attack, row, context):
        impossible = attack.kind != "robustness" and context.is_ruled_out(sample)
        if not impossible and not context.is_right(row, sample):
            yield variant, sample


def variants_of(attack: Attack, row: TrainingRow, context: Context) -> Iterator[tuple[str, Sample]]:
    """(variant, sample) of all that an attack writes for a row, also put where the grader looks."""
    for variant, sample in attack.write(row, context).items():
        yield variant, sample
        if not attack.framed or not isinstance(sample, str) or _is_json(sample):
            continue
        # What has no content must not hold a right value by chance; what guesses holds the usual ones.
        for frame in context.frames(row, guessed=attack.kind != "free"):
            if _holds(framed := frame.put(sample), sample):
                yield f"{variant}, {frame.name}", framed


def _holds(framed: str, text: str) -> bool:
    """Whether a text found a place: where each field of a JSON answer is one of a list, it has none."""
    value = json_of(framed)
    return text in framed if value is None else any(part == text for _, part in parts_of(value))


def _is_json(text: str) -> bool:
    return text == "null" or json_of(text) is not None


STAGE = Stage(NAME, _plan, ROWS, ("hackable", "insensitive", "beats-baseline"))
