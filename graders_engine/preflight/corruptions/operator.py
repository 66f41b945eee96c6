"""What an operator of corruptions is, and the places of an answer that it may change."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import (
    Call,
    Path,
    calls_of,
    json_of,
    parts_of,
    put,
    spelled,
    text_of,
    to_text,
    with_calls,
)

WHOLE = "the text"
"""The name of the field that a plain text is."""
_ANSWER = re.compile(
    r"####|\\boxed\{|<answer>|(?<![/\w])(?:final )?answer(?: is\b|\s*[:=])(?:\s*:)?", re.IGNORECASE
)
"""What stands before the answer proper of a text that reasons first."""


class Corruption(NamedTuple):
    """A wrong version of a right answer.

    Attributes:
        operator: the operator's name.
        field: what of the answer it changes: `total`, `items[].price`, "the text".
        sample: the wrong answer.
    """

    operator: str
    field: str
    sample: Sample


@dataclass(frozen=True, slots=True)
class Answer:
    """A right answer, taken apart.

    Attributes:
        sample: the answer.
        others: the right answers of other rows.
        closed: whether the expected JSON allows no further keys.
        tools: names of the tools that the model is given; empty if they are not known.
        tools: the names of the tools that the model is given; empty if they are not known.
        choice: draws the places that change; the same for the same row.
    """

    sample: Sample
    others: Sequence[Sample] = ()
    closed: bool = False
    tools: Sequence[str] = ()
    choice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret

    @property
    def calls(self) -> list[Call]:
        """Its tool calls."""
        return calls_of(self.sample)

    @property
    def text(self) -> str:
        """Its text."""
        return text_of(self.sample)

    @property
    def value(self) -> Any:
        """Its JSON; None if it is none."""
        return json_of(self.text)

    def parts(self) -> Iterator[Part]:
        """Each scalar of its JSON, or of the arguments of its calls; else the text that holds the answer."""
        if self.calls:
            for number, call in enumerate(self.calls):
                yield from self._within(call.arguments, f"{call.name}.", number)
        elif (value := self.value) is not None:
            yield from self._within(value, "", None)
        elif self.text.strip():
            start = _answer_start(self.text)
            before, answer = self.text[:start], self.text[start:]
            yield Part(WHOLE, answer, lambda text: before + text)

    def _within(self, value: Any, prefix: str, call: int | None) -> Iterator[Part]:
        for path, part in parts_of(value):
            if path and not isinstance(part, (dict, list)):
                yield Part(prefix + spelled(path), part, self._rebuilt(value, path, call))

    def _rebuilt(self, value: Any, path: Path, call: int | None) -> Callable[[Any], Sample]:
        return lambda other: self.with_value(put(value, path, other), call)

    def with_value(self, value: Any, call: int | None = None) -> Sample:
        """The answer with another JSON, or with other arguments of a call."""
        if call is None:
            return to_text(value)
        calls = [
            one._replace(arguments=value) if number == call else one
            for number, one in enumerate(self.calls)
        ]
        return with_calls(calls, self.text)


class Part(NamedTuple):
    """A part of an answer that can be changed.

    Attributes:
        field: its name.
        value: what stands there: a text or another scalar.
        rebuilt: the answer with something else there.
    """

    field: str
    value: Any
    rebuilt: Callable[[Any], Sample]


def _answer_start(text: str) -> int:
    """Where the answer begins in a text that reasons first; 0 if it does not."""
    ends = [found.end() for found in _ANSWER.finditer(text)]
    return ends[-1] if ends and text[ends[-1] :].strip() else 0


@dataclass(frozen=True, slots=True)
class Operator:
    """A way to make a right answer wrong.

    Attributes:
        name: its name.
        what: what it does, in a few words: `a digit of a number changed`.
        change: the wrong versions of an answer.
        harmless_alone: whether answers may rightly survive it, so that alone it is no warning.
    """

    name: str
    what: str
    change: Callable[[Answer], Iterator[Corruption]]
    harmless_alone: bool = False
