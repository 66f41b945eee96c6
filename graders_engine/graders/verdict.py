"""The verdict that a judge is asked for, and how it is read from the answer."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, TypeVar

from graders_engine.errors import JudgeCutOff, JudgeRefused, JudgeUnparsable
from graders_engine.language import strict_json
from graders_engine.models.base import ModelReply
from graders_engine.outcome import Usage

T = TypeVar("T")

MAX_BRACES = 2_000
"""Positions at which a verdict is searched in an answer with prose around it, from its end."""
TAIL_CHARS = 200_000
"""The end of such an answer that is searched."""
MAX_PARSED_CHARS = 10 * TAIL_CHARS
"""Characters parsed in all: nested objects are parsed repeatedly, and a row may plant them."""
_EXCERPT_CHARS = 200


def schema(result: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a verdict: the steps come first, so that the judge reasons before it decides.

    The hosted graders use the same form (guide to graders, "model grader outputs").
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


def read_verdict(
    reply: ModelReply,
    result_of: Callable[[Any], T],
    usage: Mapping[str, Usage] | None = None,
) -> T:
    """The result in a reply.

    If the endpoint enforced the schema, the whole answer is the verdict: prose around it is not searched, so
    a verdict that a row planted cannot be found there. Otherwise the last object with a `result` counts, and
    no earlier one, which may be one that a row planted.

    Args:
        reply: what the judge answered.
        result_of: checks the value of `result`; raises ValueError with a sentence.
        usage: tokens that were spent on the row, by model; those of the reply when left out.

    Raises:
        JudgeRefused: the judge declined.
        JudgeCutOff: the answer was cut off.
        JudgeUnparsable: there is no verdict.
    """
    usage = usage or {reply.model: reply.usage}
    if reply.refusal is not None:
        reason = reply.refusal[:_EXCERPT_CHARS] or "(no reason given)"
        raise JudgeRefused(f"the judge refused: {reason}", usage)
    if reply.finish == "length":
        raise JudgeCutOff(f"the judge's answer was cut off: {_excerpt(reply.text)}", usage)
    try:
        answer = _whole_answer(reply.text) if reply.bound else _last_verdict(reply.text)
        return _result(answer, result_of)
    except ValueError as error:
        raise JudgeUnparsable(str(error), usage) from None


def number(value: Any) -> float:
    """A score_model's result.

    Raises:
        ValueError: it is not a finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"`result` is not a number: {_excerpt(value)}")
    return float(value)


def one_of(labels: Sequence[str]) -> Callable[[Any], str]:
    """Checks a label_model's result."""

    def label(value: Any) -> str:
        if not isinstance(value, str) or value not in labels:
            raise ValueError(f"`result` is not one of the labels: {_excerpt(value)}")
        return value

    return label


def most_frequent(labels: Sequence[str]) -> str:
    """The most frequent label; among equals, the one given first."""
    return Counter(labels).most_common(1)[0][0]


def middle(numbers: Sequence[float]) -> float:
    """The median; for an even number of values, the mean of the middle two."""
    return float(median(numbers))


def _whole_answer(text: str) -> Any:
    try:
        return strict_json.decode_unique(text)
    except strict_json.RepeatedKey as error:
        raise ValueError(f"the judge's answer is not clear: {error}: {_excerpt(text)}") from None
    except ValueError:
        raise ValueError(
            f"the judge's answer is not JSON alone, though it was bound to a schema: {_excerpt(text)}"
        ) from None


def _last_verdict(text: str) -> Any:
    """The last object in a text that has a result."""
    for answer, clear in _objects_from_the_end(text[-TAIL_CHARS:]):
        if "result" in answer:
            if clear:
                return answer
            # An earlier object may be one that a row planted.
            reason = "the judge's answer is not clear: a key is there twice in one object"
            raise ValueError(f"{reason}: {_excerpt(text)}")
    raise ValueError(f"the judge's answer has no verdict in it: {_excerpt(text)}")


def _result(answer: Any, result_of: Callable[[Any], T]) -> T:
    if not isinstance(answer, dict) or "result" not in answer:
        raise ValueError(f"the judge's answer has no `result`: {_excerpt(answer)}")
    try:
        return result_of(answer["result"])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"the judge's answer: {error}") from None


def _objects_from_the_end(text: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """JSON objects that are not inside another one, the last one first; and whether no key is there twice."""
    repeated = False

    def merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        value = dict(pairs)
        repeated = repeated or len(value) < len(pairs)
        return value

    decoder = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=merged)
    found: list[tuple[int, dict[str, Any], bool]] = []
    at, parsed = len(text), 0
    for _ in range(MAX_BRACES):
        at = text.rfind("{", 0, at)
        if at < 0 or parsed > MAX_PARSED_CHARS:
            break
        repeated = False
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            parsed += error.pos - at
            continue
        except (ValueError, RecursionError):
            parsed += len(text) - at
            continue
        parsed += end - at
        # An object that contains those found so far replaces them: they were parts of it.
        found = [one for one in found if one[0] >= end]
        found.append((at, value, not repeated))
    for _, value, clear in found:
        yield value, clear


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")


def _excerpt(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        text = "JSON that nests too deep to be shown"
    return repr(text if len(text) <= _EXCERPT_CHARS else text[:_EXCERPT_CHARS] + "…")
