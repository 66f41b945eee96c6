"""What a judge is asked for, and what its answer says."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, TypeVar

from graders_engine.errors import JudgeCutOff, JudgeRefused, JudgeUnparsable
from graders_engine.language import strict_json
from graders_engine.models.base import ModelReply

T = TypeVar("T")

MOST_BRACES = 2_000
"""Places at which a verdict is looked for in an answer with prose round it, from its end."""
TAIL_CHARS = 200_000
"""Of such an answer, what is looked at."""
MOST_PARSED = 10 * TAIL_CHARS
"""Characters parsed in all: objects in objects are parsed again and again, and a row may plant them."""
_SHOWN = 200


def schema(result: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a verdict: the steps first, so that the judge reasons before it decides.

    The form is the hosted graders' own (guide to graders, "model grader outputs").
    """
    step = {
        "type": "object",
        "properties": {"description": {"type": "string"}, "conclusion": {"type": "string"}},
        "required": ["description", "conclusion"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": step}, "result": result},
        "required": ["steps", "result"],
        "additionalProperties": False,
    }


def read(reply: ModelReply, result_of: Callable[[Any], T]) -> T:
    """The result in a reply.

    Where the endpoint took the schema, the whole answer is the verdict: prose round it is not read, so
    that no verdict that a row planted can be found there. Where it did not, the last object with a
    `result` counts, and none before it, which may be one that a row planted.

    Args:
        reply: what the judge answered.
        result_of: checks the value of `result`; raises ValueError with a sentence.

    Raises:
        JudgeRefused: the judge declined.
        JudgeCutOff: the answer ended too early.
        JudgeUnparsable: there is no verdict.
    """
    if reply.refusal is not None:
        raise JudgeRefused(f"the judge refused: {reply.refusal[:_SHOWN] or '(no reason given)'}")
    if reply.finish == "length":
        raise JudgeCutOff(f"the judge's answer was cut off: {_short(reply.text)}")
    if not reply.bound:
        return _last(reply.text, result_of)
    try:
        answer = strict_json.decode(reply.text)
    except ValueError:
        raise JudgeUnparsable(
            f"the judge's answer is not JSON alone, though it was bound to a schema: {_short(reply.text)}"
        ) from None
    return _result(answer, result_of)


def number(value: Any) -> float:
    """A score_model's result.

    Raises:
        ValueError: it is no finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"`result` is not a number: {_short(value)}")
    return float(value)


def one_of(labels: Sequence[str]) -> Callable[[Any], str]:
    """Checks a label_model's result."""

    def label(value: Any) -> str:
        if not isinstance(value, str) or value not in labels:
            raise ValueError(f"`result` is not one of the labels: {_short(value)}")
        return value

    return label


def most_frequent(labels: Sequence[str]) -> str:
    """The label given most often; of several, the one given first."""
    return Counter(labels).most_common(1)[0][0]


def middle(numbers: Sequence[float]) -> float:
    """The median; of an even number of them, the mean of the middle two."""
    return float(median(numbers))


def _result(answer: Any, result_of: Callable[[Any], T]) -> T:
    if not isinstance(answer, dict) or "result" not in answer:
        raise JudgeUnparsable(f"the judge's answer has no `result`: {_short(answer)}")
    try:
        return result_of(answer["result"])
    except (ValueError, OverflowError) as error:
        raise JudgeUnparsable(f"the judge's answer: {error}") from None


def _last(text: str, result_of: Callable[[Any], T]) -> T:
    """The result of the last object in a text that has one."""
    for answer in _objects_from_the_end(text[-TAIL_CHARS:]):
        if "result" in answer:
            return _result(answer, result_of)
    raise JudgeUnparsable(f"the judge's answer has no verdict in it: {_short(text)}")


def _objects_from_the_end(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects that do not stand inside another one, the last one first."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found: list[tuple[int, dict[str, Any]]] = []
    at, parsed = len(text), 0
    for _ in range(MOST_BRACES):
        at = text.rfind("{", 0, at)
        if at < 0 or parsed > MOST_PARSED:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            parsed += error.pos - at
            continue
        except (ValueError, RecursionError):
            parsed += len(text) - at
            continue
        parsed += end - at
        # An object that holds those found so far takes their place: they were parts of it.
        found = [one for one in found if one[0] >= end]
        found.append((at, value))
    for _, value in found:
        yield value


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        text = "JSON that nests too deep to be shown"
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
