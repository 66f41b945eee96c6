"""What templates can see for one row: the item and the model's output."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from graders_engine.errors import InvalidRow, SampleNotJson, UndefinedVariable
from graders_engine.language import strict_json
from graders_engine.language.content import CUT_OFF, text_of
from graders_engine.language.keys import spell_key
from graders_engine.language.kinds import kind_of as kind_of
from graders_engine.language.spelling import nearest
from graders_engine.language.words import code_points, same_looking
from graders_engine.outcome import Blame, Flag

Step = str | int
"""One step of a path: a key, or an index into a list. A key made of digits also works as an index."""

_UNREAD: Any = object()
_MAX_LISTED_KEYS = 8
_MAX_COMPARED_KEYS = 200
_BLANKS = " \t\n\r"
"""White space of JSON (RFC 8259)."""


class Scope(msgspec.Struct, eq=False):
    """The item and sample of one row, with `output_json` parsed at most once.

    Attributes:
        item: the data-set row: any JSON value; an empty object by default.
        output_text: the model's text; empty when its message has no text.
        given: the sample object, if there is more than its text.
        absent: whether there is no output, because the grader reads none.
    """

    item: Any
    output_text: str
    given: dict[str, Any] | None = None
    absent: bool = False
    _output_json: Any = _UNREAD

    def sample_value(self, key: str) -> Any:
        """The value of `sample.KEY`, derived from the rest of the sample if it was not given.

        Raises:
            SampleNotJson: the key is `output_json`, and the text is not JSON.
            UndefinedVariable: the sample has no such key.
        """
        if key == "output_text":
            return self.output_text
        if key == "output_json":
            return self.output_json()
        given = self.given or {}
        if key in given:
            return given[key]
        if key in _DERIVED:
            return _DERIVED[key](self)
        known = tuple(dict.fromkeys([*SAMPLE_KEYS, *given]))
        raise UndefinedVariable(
            f"`sample.{key}`: `sample` has no key `{key}`{_instead_of(key, known)}", "sample"
        )

    def output_json(self) -> Any:
        """The model's text parsed as JSON.

        Raises:
            SampleNotJson: the text is not JSON.
        """
        if self._output_json is _UNREAD:
            self._output_json = self._read_output_json()
        value = self._output_json
        if isinstance(value, SampleNotJson):
            raise value
        return value

    def _read_output_json(self) -> Any:
        given = self.given.get("output_json") if self.given else None
        if given is not None:
            return given
        try:
            value = strict_json.decode(self.output_text)
        except ValueError as error:
            reason = strict_json.explained(error)
            excerpt = _excerpt(self.output_text)
            return SampleNotJson(
                f"`sample.output_json`: the model's text is not JSON: {excerpt} ({reason})"
            )
        # A sample whose `output_json` is null keeps that null, even if its text is JSON.
        if self.given and "output_json" in self.given:
            return None
        if self.output_text[0] in _BLANKS and self.output_text[-1] in _BLANKS:
            return SampleNotJson(
                "`sample.output_json`: the model's text has blanks before and after its JSON, and counts as "
                f"no JSON: {_excerpt(self.output_text)}"
            )
        return value

    def sample(self) -> dict[str, Any]:
        """The whole sample, as python graders get it; `output_json` is null when the text is not JSON."""
        try:
            output_json = self.output_json()
        except SampleNotJson:
            output_json = None
        given, derive = self.given or {}, self.sample_value
        whole = {
            "choices": given["choices"] if "choices" in given else _choices(self),
            "output_text": self.output_text,
            "output_json": output_json,
            "output_tools": derive("output_tools"),
            "output_reasoning_summary": given.get("output_reasoning_summary"),
            "output_audio": derive("output_audio"),
        }
        for key, part in given.items():
            whole.setdefault(key, part)
        return whole

    def sample_json(self) -> bytes:
        """The whole sample as JSON.

        Raises:
            ValueError: as `strict_json.encode_exactly`.
        """
        text = strict_json.encode(self.sample())
        # What is derived holds nulls of its own, and no numbers but those that were given.
        strict_json.require_finite(self.given)
        return text

    def flags(self) -> tuple[Flag, ...]:
        """Flags of the sample itself: cut off, nothing to grade, an error beside it. Graders run anyway."""
        if self.given is None:
            return () if self.output_text or self.absent else (Flag.UNRESPONSIVE_REWARD,)
        flags = []
        reason = _first_choice(self.given).get("finish_reason") or self.given.get("finish_reason")
        if reason is not None and reason != "stop" and str(reason).lower() in CUT_OFF:
            flags.append(Flag.TRUNCATED_OBSERVATION)
        if not (
            self.output_text
            or self.sample_value("output_tools")
            or self.sample_value("output_audio")
        ):
            flags.append(Flag.UNRESPONSIVE_REWARD)
        if (error := self.given.get("error")) and _is_told(error):
            flags.append(Flag.OTHER)
        return tuple(flags)


def _is_told(error: Any) -> bool:
    """Whether an error beside an output says something; APIs write an object of nulls where there is none."""
    return any(error.values()) if isinstance(error, dict) else isinstance(error, str)


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _choices(scope: Scope) -> Any:
    message = {
        "role": "assistant",
        "content": scope.output_text,
        "tool_calls": scope.sample_value("output_tools"),
    }
    return [{"index": 0, "message": message, "finish_reason": "stop"}]


def _output_tools(scope: Scope) -> Any:
    return _message(scope.given).get("tool_calls") or []


_DERIVED: dict[str, Callable[[Scope], Any]] = {
    "choices": _choices,
    "output_tools": _output_tools,
    "output_reasoning_summary": lambda scope: None,
    "output_audio": lambda scope: _message(scope.given).get("audio"),
}
SAMPLE_KEYS = (
    "choices",
    "output_text",
    "output_json",
    "output_tools",
    "output_reasoning_summary",
    "output_audio",
)
"""The keys of a sample object, which templates use as `sample.KEY`."""


def _first_choice(sample: dict[str, Any] | None) -> dict[str, Any]:
    choices = (sample or {}).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _message(sample: dict[str, Any] | None) -> dict[str, Any]:
    message = _first_choice(sample).get("message")
    return message if isinstance(message, dict) else {}


def scope_of(
    item: Any = None, *, model_sample: Any = None, sample: Any = None, reference_answer: Any = None
) -> Scope:
    """Make the scope of one row.

    Args:
        item: the data-set row; None is the same as leaving it out.
        model_sample: the model's text.
        sample: a whole sample object in place of the text, with any of the namespace's keys.
        reference_answer: short for `item = {"reference_answer": ...}`; the first public version of the
            API had this field in place of `item`.

    Raises:
        InvalidRow: neither or both of `model_sample` and `sample` were given, or one has the wrong type.
    """
    if item is None:
        item = {} if reference_answer is None else {"reference_answer": reference_answer}
    elif reference_answer is not None:
        raise InvalidRow("`reference_answer` stands in for a missing `item`; give one of the two.")
    if sample is None:
        if type(model_sample) is str:
            return Scope(item, model_sample)
        if isinstance(model_sample, str):
            return Scope(item, str.__str__(model_sample))
        if model_sample is None:
            raise InvalidRow(
                "There is no model output: give `model_sample` (a string) or `sample` (an object)."
            )
        raise InvalidRow(
            f"`model_sample` must be a string, but it is {kind_of(model_sample)}; "
            "a whole sample object goes into `sample`."
        )
    if model_sample is not None:
        raise InvalidRow("`model_sample` and `sample` were both given; give one of the two.")
    if not isinstance(sample, dict):
        raise InvalidRow(
            f"`sample` must be an object, but it is {kind_of(sample)}; text goes into `model_sample`."
        )
    return Scope(item, _text_of(sample), sample)


def _text_of(sample: dict[str, Any]) -> str:
    text = sample.get("output_text")
    if text is None:
        return text_of(_message(sample).get("content"), "sample.choices[0].message.content")
    return text_of(text, "sample.output_text")


def resolve(scope: Scope, namespace: str, steps: tuple[Step, ...]) -> Any:
    """Follow a path from one of the two namespaces.

    A step into a string parses the string as JSON, since tool-call arguments are such strings.

    Raises:
        UndefinedVariable: a step cannot be followed; the message names it and lists what exists.
        SampleNotJson: the path starts with `output_json`, and the text is not JSON.
    """
    if namespace == "item":
        value, rest = scope.item, 0
    else:
        first = steps[0]
        if type(first) is not str:
            raise UndefinedVariable(
                f"`sample[{first}]`: `sample` is an object and has no index {first}", "sample"
            )
        value, rest = scope.sample_value(first), 1
    for position in range(rest, len(steps)):
        step = steps[position]
        if type(value) is dict and type(step) is str and step in value:
            value = value[step]
        else:
            value = _follow_step(value, namespace, steps, position)
    return value


def _follow_step(value: Any, namespace: str, steps: tuple[Step, ...], position: int) -> Any:
    """One step in the less common cases: lists, strings of JSON, and steps that cannot be followed."""
    step = steps[position]
    if isinstance(value, str):
        try:
            value = strict_json.decode(
                str.__str__(value)
            )  # rows made in Python have subclasses, too
        except ValueError:
            raise _missing("is a string that is not JSON", namespace, steps, position) from None
    if isinstance(value, dict):
        if step in value:
            return value[step]
        keys = tuple(str(key) for key in value)
        what = (
            f"has no key `{step}`"
            if isinstance(step, str)
            else f"is an object and has no index {step}"
        )
        raise _missing(what + _instead_of(str(step), keys), namespace, steps, position)
    if isinstance(value, (list, tuple)):
        index = step
        if isinstance(index, str):
            if not (index.isascii() and index.isdigit()):
                raise _missing(f"is an array and has no key `{index}`", namespace, steps, position)
            index = int(index) if len(index) < 10 else len(value)
        if -len(value) <= index < len(value):
            return value[index]
        raise _missing(
            f"has no index {step} (its length is {len(value)})", namespace, steps, position
        )
    raise _missing(f"is {kind_of(value)} and has nothing inside", namespace, steps, position)


@lru_cache(256)  # many rows have the same keys
def _instead_of(step: str, keys: tuple[str, ...]) -> str:
    """Which keys there are in place of one that is missing, and which one was probably meant."""
    if not keys:
        return " (it is empty)"
    more = ", …" if len(keys) > _MAX_LISTED_KEYS else ""
    listed = f" (it has: {', '.join(keys[:_MAX_LISTED_KEYS])}{more})"
    if alike := same_looking(step, keys):
        return (
            f"{listed}. The key `{alike}` looks the same, but is written with other code points: "
            f"{code_points(alike, step)}"
        )
    meant = nearest(step, keys[:_MAX_COMPARED_KEYS])
    return listed + (f". Did you mean `{meant}`?" if meant else "")


def _missing(
    what: str, namespace: str, steps: tuple[Step, ...], position: int
) -> UndefinedVariable:
    holder = str(steps[position - 1]) if position else namespace
    blame: Blame = "row" if namespace == "item" else "sample"
    return UndefinedVariable(f"`{spell(namespace, steps)}`: `{holder}` {what}", blame)


def spell(namespace: str, steps: tuple[Step, ...]) -> str:
    """A path in template syntax, in its shortest form; a template reads it as the same path."""
    spelled = [spell_key(step) if isinstance(step, str) else f"[{step}]" for step in steps]
    return namespace + "".join(spelled)
