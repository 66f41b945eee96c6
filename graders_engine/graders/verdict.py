"""The verdict that a judge is asked for, and how it is read from the answer."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, TypeVar

from graders_engine.errors import JudgeCutOff, JudgeRefused, JudgeUnparsable
from graders_engine.graders.last_object import another_verdict, last_object, without_fence
from graders_engine.graders.quotations import Asked, says_only
from graders_engine.graders.reasoning import BOM, OpenReasoning, reasons_still, without_reasoning
from graders_engine.language import strict_json
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import Usage

T = TypeVar("T")

_EXCERPT_CHARS = 200
_FREE_TEXT = (
    'If the endpoint takes a schema without keeping to it, set structured = "text" for it in graders.toml, '
    "under [endpoints.NAME]"
)
_NO_THINKING = (
    'In graders.toml, under [endpoints.NAME], set structured = "text" or turn thinking off by extra_body; '
    "or raise max_completions_tokens in the grader's sampling_params"
)
_QUOTED = "the verdict at the end of the judge's answer may be quoted: it stands in what was asked as well"
_MORE_TOKENS = "Raise max_completions_tokens in the grader's sampling_params"


class _WrongForm(ValueError):
    """An answer that is not the object that was asked for.

    Attributes:
        free_text: whether the judge wrote an object, so that another way to ask may help.
    """

    def __init__(self, reason: str, free_text: bool = False) -> None:
        super().__init__(reason)
        self.free_text = free_text


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
    request: ModelRequest | None = None,
    prompt: Sequence[str] = (),
) -> T:
    """The result in a reply.

    If the endpoint took the schema, the whole answer is the verdict: one block of reasoning may stand before
    it, and one code fence around it. Prose is not searched, so no verdict is found there that a row planted.
    Otherwise the verdict is the last thing in the answer, or there is none: an earlier object may be one that
    a row planted. Objects inside reasoning never count.

    Args:
        reply: what the judge answered.
        result_of: checks the value of `result`; raises ValueError with a sentence.
        usage: tokens that were spent on the row, by model; those of the reply when left out.
        request: what the judge was asked, which it may quote.
        prompt: the grader's own texts in the request, whose examples are no quotations of the row.

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
        place = f" while it reasoned: {_excerpt(reply.reasoning)}" if reply.reasoning else ""
        excerpt = place or f": {_excerpt(reply.text)}"
        raise JudgeCutOff(f"the judge's answer was cut off{excerpt}. {_MORE_TOKENS}", usage)
    try:
        labels = result_of.labels if isinstance(result_of, _OneOf) else ()
        answer = _answer(reply, Asked(request, prompt), labels)
        return _result(answer, result_of)
    except _WrongForm as error:
        kind = "NUMBER" if result_of is number else "LABEL"
        wanted = f'The answer must end with an object {{"steps": [...], "result": {kind}}}'
        parts = (f"{error}. {wanted}", _FREE_TEXT if error.free_text else "")
        raise JudgeUnparsable(". ".join(filter(None, parts)), usage) from None
    except ValueError as error:
        raise JudgeUnparsable(str(error), usage) from None


def has_verdict(reply: ModelReply, request: ModelRequest) -> bool:
    """Whether a reply to a request of `schema` can be read, or refuses: only such a reply is worth keeping.

    A verdict that may be quoted counts as one here: what the grader itself says is not known.
    """
    result = request.schema["properties"]["result"]
    try:
        read_verdict(reply, one_of(result["enum"]) if "enum" in result else number)
    except JudgeRefused:
        return True
    except (JudgeCutOff, JudgeUnparsable):
        return False
    return True


def number(value: Any) -> float:
    """A score_model's result.

    Raises:
        ValueError: it is not a finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"`result` is not a number: {_excerpt(value)}")
    return float(value)


class _OneOf:
    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.labels:
            raise ValueError(f"`result` is not one of the labels: {_excerpt(value)}")
        return value


def one_of(labels: Sequence[str]) -> Callable[[Any], str]:
    """Checks a label_model's result."""
    return _OneOf(labels)


def most_frequent(labels: Sequence[str]) -> str:
    """The most frequent label; among equals, the one given first."""
    return Counter(labels).most_common(1)[0][0]


def middle(numbers: Sequence[float]) -> float:
    """The median; for an even number of values, the mean of the middle two."""
    return float(median(numbers))


def _answer(reply: ModelReply, asked: Asked, labels: Sequence[str]) -> Any:
    text = reply.text
    if not text.strip():
        raise ValueError(_nothing(reply.reasoning))
    try:
        answer = _whole_answer(text, asked) if reply.bound else _verdict_at_end(text, asked, labels)
    except strict_json.RepeatedKey as error:
        raise ValueError(f"the judge's answer is not clear: {error}: {_excerpt(text)}") from None
    except OpenReasoning:
        reason = f"the judge's reasoning is not closed, so it has no answer: {_end(text)}"
        raise ValueError(f"{reason}. {_MORE_TOKENS}") from None
    if reply.bound and not (isinstance(answer, dict) and "result" in answer):
        reason = f"the judge's answer has no `result`: {_excerpt(answer)}"
        raise _WrongForm(reason, answer is not None)
    return answer


def _nothing(reasoning: str) -> str:
    if not reasoning:
        return "the judge's answer is empty"
    reason = "the judge's answer is empty; it wrote only reasoning, which is not read for a verdict"
    return f"{reason}: {_excerpt(reasoning)}. {_NO_THINKING}"


def _whole_answer(text: str, asked: Asked) -> Any:
    """The JSON that a text consists of, except for reasoning before it and a code fence around it."""
    whole = text.strip().removeprefix(BOM)
    try:
        return strict_json.decode_unique(whole)
    except strict_json.RepeatedKey:
        raise
    except ValueError:
        behind = without_reasoning(text, asked)
    for answer in behind.answers:
        inner = without_fence(answer)
        try:
            verdict = strict_json.decode_unique(inner)
        except strict_json.RepeatedKey:
            raise
        except ValueError:
            continue
        held = asked(inner) or (isinstance(verdict, dict) and asked.holds(verdict))
        if behind.doubtful and held:
            raise ValueError(f"{_QUOTED}: {_excerpt(answer)}")
        return verdict
    if not any(behind.answers):
        raise ValueError(_nothing(whole))
    reason = "the judge's answer is not JSON alone, as was requested"
    answer = behind.answers[0]
    raise _WrongForm(f"{reason}: {_excerpt(answer)}", "{" in answer or len(answer.split()) == 1)


def _verdict_at_end(text: str, asked: Asked, labels: Sequence[str]) -> dict[str, Any]:
    """The object that a text ends with."""
    behind = without_reasoning(text, asked)
    if not any(behind.answers):
        raise ValueError(_nothing(text.strip()))
    answer, verdict, start = _first_object(behind.answers)
    before, result = answer[:start], verdict.get("result")
    if reasons_still(before, asked):
        raise OpenReasoning
    unsure = behind.doubtful or another_verdict(before, result, labels)
    if (unsure and (asked(_in_object(answer[start:])) or asked.holds(verdict))) or (
        not says_only(before, result) and asked.row_holds(verdict)
    ):
        raise ValueError(f"{_QUOTED}: {_end(answer)}")
    return verdict


def _first_object(answers: Sequence[str]) -> tuple[str, dict[str, Any], int]:
    """The first answer that ends with an object, the object, and where it begins."""
    reason = ""
    for answer in answers:
        try:
            return answer, *last_object(answer)
        except strict_json.RepeatedKey:
            raise
        except ValueError as error:
            reason = reason or f"{error}: {_end(answer)}"
    raise _WrongForm(reason)


def _in_object(text: str) -> str:
    """An object without the fence behind it."""
    return text[: text.rindex("}") + 1]


def _result(answer: Any, result_of: Callable[[Any], T]) -> T:
    if not isinstance(answer, dict) or "result" not in answer:
        raise _WrongForm(f"the judge's answer has no `result`: {_excerpt(answer)}")
    try:
        return result_of(answer["result"])
    except (ValueError, OverflowError) as error:
        raise _WrongForm(f"the judge's answer: {error}") from None


def _excerpt(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        text = "JSON that nests too deep to be shown"
    return repr(text if len(text) <= _EXCERPT_CHARS else text[:_EXCERPT_CHARS] + "…")


def _end(text: str) -> str:
    """The end of a text, where its verdict should be."""
    return repr(text if len(text) <= _EXCERPT_CHARS else "…" + text[-_EXCERPT_CHARS:])
