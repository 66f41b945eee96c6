"""A judge that rates numbers, and graders that ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from graders_engine import Engine
from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelRequest
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.scripted import Answer, Scripted
from graders_engine.outcome import Cause

JUDGED: dict[str, Any] = {
    "type": "score_model",
    "name": "judged",
    "model": "judge",
    "input": [{"role": "user", "content": "Rate {{sample.output_text}}"}],
}
MULTI: dict[str, Any] = {
    "type": "multi",
    "name": "several",
    "graders": {
        "exact": {
            "type": "string_check", "name": "exact", "operation": "eq",
            "input": "{{sample.output_text}}", "reference": "1",
        },
        "judged": JUDGED,
    },
    "calculate_output": "exact + judged",
}  # fmt: skip
NUMBERS = [{"item": {"n": n}, "model_sample": str(n)} for n in range(60)]


class Judge:
    """Rates a text by its number, unless `fails` says why there is no answer.

    Attributes:
        fails: for a number, the cause; None for an answer.
        asked: the numbers in the order in which they were asked for.
    """

    def __init__(self) -> None:
        self.fails: Callable[[int], Cause | None] = lambda number: None
        self.asked: list[int] = []

    def __call__(self, request: ModelRequest) -> Answer:
        text = "".join(part.text for message in request.messages for part in message.parts)  # type: ignore[union-attr] # all are texts
        number = int(text.split()[-1])
        self.asked.append(number)
        cause = self.fails(number)
        if cause is None:
            return number / 100
        return BackendFailure(f"no answer to {number}", cause=cause)


@contextmanager
def judging(judge: Judge, **settings: Any) -> Iterator[Engine]:
    endpoints = {"default": Scripted(judge)}
    with Engine(
        judges=JudgeSettings(endpoints=endpoints, concurrency=4, **settings), concurrency=4
    ) as opened:
        yield opened
