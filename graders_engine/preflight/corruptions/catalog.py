"""All operators of corruptions."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.corruptions import calls, code, fields, text
from graders_engine.preflight.corruptions.operator import Answer, Corruption, Operator
from graders_engine.preflight.sample_parts import same_answer

OPERATORS: tuple[Operator, ...] = (
    *text.OPERATORS,
    *fields.OPERATORS,
    *calls.OPERATORS,
    *code.OPERATORS,
)
"""An operator is added in the file of its family."""
BY_NAME: dict[str, Operator] = {operator.name: operator for operator in OPERATORS}
_OF_PROGRAMS = ("cut-half", *(operator.name for operator in code.OPERATORS))
_OF_CALLS = tuple(operator.name for operator in calls.OPERATORS)


def corruptions_of(answer: Answer) -> Iterator[Corruption]:
    """All wrong versions of a right answer that differ in more than case, blanks or order of keys."""
    names = _OF_CALLS if answer.calls else tuple(BY_NAME)
    if not answer.calls and code.is_code(answer.text):
        names = _OF_PROGRAMS
    for name in names:
        for corruption in BY_NAME[name].change(answer):
            if not same_answer(answer.sample, corruption.sample):
                yield corruption
