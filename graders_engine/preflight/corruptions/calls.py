"""Changes of tool calls as a whole; their arguments are changed like those of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.corruptions.operator import Answer, Corruption, Operator
from graders_engine.preflight.corruptions.text import another_number
from graders_engine.preflight.sample_parts import with_calls

CALLS = "the calls"


def _arguments(answer: Answer) -> Iterator[Corruption]:
    for number, call in enumerate(answer.calls):
        if not isinstance(call.arguments, Mapping):
            continue
        for key, part in call.arguments.items():
            changed = {**call.arguments, key: _another(part)}
            if changed[key] != part:
                yield Corruption(
                    "argument", f"{call.name}.{key}", answer.with_value(changed, number)
                )


def _another(part: Any) -> Any:
    """Another value of the same type."""
    if isinstance(part, bool):
        return not part
    if (number := another_number(part)) is not None:
        return number
    if isinstance(part, str):
        return "something else"
    return [] if isinstance(part, list) else part


def _names(answer: Answer) -> Iterator[Corruption]:
    for number, call in enumerate(answer.calls):
        others = [name for name in answer.tools if name != call.name]
        if answer.tools and not others:
            continue  # with one tool, no model can call another
        calls = [*answer.calls]
        calls[number] = call._replace(name=others[0] if others else f"{call.name}_other")
        yield Corruption("call-name", call.name, with_calls(calls, answer.text))


def _dropped(answer: Answer) -> Iterator[Corruption]:
    if answer.calls:
        yield Corruption("call-drop", CALLS, with_calls(answer.calls[:-1], answer.text))


def _twice(answer: Answer) -> Iterator[Corruption]:
    if answer.calls:
        calls = [*answer.calls, answer.calls[-1]]
        yield Corruption("call-twice", CALLS, with_calls(calls, answer.text))


OPERATORS = (
    Operator("argument", "another argument", _arguments),
    Operator("call-name", "another tool", _names),
    Operator("call-drop", "the last call left out", _dropped),
    Operator("call-twice", "the last call twice", _twice, harmless_alone=True),
)
