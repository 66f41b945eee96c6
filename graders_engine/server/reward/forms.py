"""What the clients of the reward route send, and what they take for an answer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from graders_engine.compiled import CompiledGrader
from graders_engine.errors import InvalidRow, Mistake
from graders_engine.graders import mistakes
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.outcome import RowOutcome, details_line, plain_number
from graders_engine.outputs.forms import sample_scope
from graders_engine.outputs.messages import is_message, is_models
from graders_engine.outputs.queries import ENDS, answer_of
from graders_engine.server.bodies import MAX_VALUES_READ
from graders_engine.server.responses import Refused

PASSES_FROM = 1.0
"""The lowest reward with which promptfoo's assertion passes, where neither address nor grader has one."""
_LOGGED_BY_OPENRLHF = ("reward", "score", "response_clip_ratio")
"""Its own numbers of a row, which a log of the same name would replace."""
STATUSES = ("scored", "invalid", "failed")
_MAX_LISTED = 3  # mistakes of one kind


class RewardRequest(ABC):
    """One request: its rows, and how its client takes their rewards. Most clients send one row.

    Attributes:
        name: the client's.
        keys: those of its bodies; no two forms share one.
        needed: the keys that must be there.
        count: how many rows there are.
    """

    name: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]
    needed: ClassVar[tuple[str, ...]]
    count = 1

    @abstractmethod
    def __init__(self, body: Mapping[str, Any], grader: CompiledGrader) -> None: ...

    def where(self, index: int) -> str:
        """The place of a row in the body."""
        return "body"

    def size(self, index: int) -> int:
        """The length of a row in a body of several, as JSON."""
        raise NotImplementedError

    @abstractmethod
    def scope(self, index: int) -> Scope:
        """What the templates see of a row.

        Raises:
            InvalidRow: it cannot be graded.
        """

    @abstractmethod
    def answer(self, rows: Sequence[RowOutcome], threshold: float | None) -> Any:
        """The body of the response, as JSON values; each row has a number to serve.

        Args:
            rows: their outcomes.
            threshold: the lowest reward that passes, where the request has one.
        """


class OpenRlhf(RewardRequest):
    """OpenRLHF's `--reward.remote_url`: lists, of which it makes tensors."""

    name = "OpenRLHF"
    keys = needed = ("query", "prompts", "labels")

    def __init__(self, body: Mapping[str, Any], grader: CompiledGrader) -> None:
        wrong = [
            *(_not_texts(body, "query") or _not_texts(body, "prompts")),
            *_not_of(body, "labels", list, "an array"),
        ]
        lengths = {key: len(body[key]) for key in self.keys} if not wrong else {}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"'{key}' has {length}" for key, length in lengths.items())
            wrong.append(Mistake(f"Invalid body: the lists differ in length: {listed}.", "query"))
        _refuse(wrong)
        self._queries, self._prompts, self._labels = (body[key] for key in self.keys)
        self._parts = tuple(grader.spec.parts())
        self.count = len(self._queries)

    def where(self, index: int) -> str:
        """The place of a row in the body."""
        return f"query[{index}]"

    def size(self, index: int) -> int:
        """The length of a row, as JSON."""
        row = [self._queries[index], self._prompts[index], self._labels[index]]
        return len(strict_json.encode(row))

    def scope(self, index: int) -> Scope:
        """The answer behind the prompt.

        Raises:
            InvalidRow: the query does not begin with its prompt.
        """
        prompt = self._prompts[index]
        answer = answer_of(self._queries[index], prompt)
        return Scope({"prompt": prompt, "label": self._labels[index]}, answer)

    def answer(self, rows: Sequence[RowOutcome], threshold: float | None) -> Any:
        """Rewards, scores and logs.

        The logs have the same keys for each row, since OpenRLHF joins them, and numbers only, of which it
        makes tensors. A part without a reward has what the multi counts for it, 0.0; its row is `invalid`.
        """
        rewards = [row.counted for row in rows]
        logs = {status: [float(row.status == status) for row in rows] for status in STATUSES}
        for part in self._parts:
            key = f"part_{part}" if part in _LOGGED_BY_OPENRLHF else part
            logs[key] = [row.sub_rewards.get(part) or 0.0 for row in rows]
        return {"rewards": rewards, "scores": rewards, "extra_logs": logs}


class Slime(RewardRequest):
    """slime's `--rm-type remote_rm`: it takes the body for the reward."""

    name = "slime"
    keys = needed = ("prompt", "response", "label")

    def __init__(self, body: Mapping[str, Any], grader: CompiledGrader) -> None:
        _refuse(_not_of(body, "response", str, "a string"))
        self._item = {"prompt": body["prompt"], "label": body["label"]}
        self._response: str = body["response"]

    def scope(self, index: int) -> Scope:
        """The response, without the special tokens that slime's default settings leave at its end."""
        text = self._response
        ends = text.rstrip().endswith(ENDS)
        return Scope(self._item, answer_of(text, "") if ends else text)

    def answer(self, rows: Sequence[RowOutcome], threshold: float | None) -> Any:
        """The reward alone."""
        return rows[0].counted


class AzureEndpoint(RewardRequest):
    """Azure's grader of type `endpoint`."""

    name = "Azure's endpoint grader"
    keys = ("sample", "item", "trace_id")
    needed = ("sample",)

    def __init__(self, body: Mapping[str, Any], grader: CompiledGrader) -> None:
        item = body.get("item")
        self._row = {"item": {} if item is None else item, "sample": body["sample"]}
        self._read = grader.scope_reader()

    def scope(self, index: int) -> Scope:
        """The sample, in any form of a model's output that data sets may have.

        Raises:
            InvalidRow: it has no known form.
        """
        return self._read(self._row)

    def answer(self, rows: Sequence[RowOutcome], threshold: float | None) -> Any:
        """The score."""
        return {"score": rows[0].counted}


class Promptfoo(RewardRequest):
    """promptfoo's assertion of type `webhook`: it decides nothing itself, so the answer says what passes."""

    name = "promptfoo's webhook"
    keys = ("output", "context")
    needed = ("output",)

    def __init__(self, body: Mapping[str, Any], grader: CompiledGrader) -> None:
        context = body.get("context")
        context = {} if context is None else context
        wrong = [] if isinstance(context, dict) else _not_of(body, "context", dict, "an object")
        vars_ = context.get("vars") if not wrong else None
        if vars_ is not None and not isinstance(vars_, dict):
            wrong.append(mistakes.invalid_type("context.vars", "an object", vars_))
        _refuse(wrong)
        self._output, self._item = body["output"], vars_ or {}
        self._passes_from = grader.spec.pass_threshold

    def scope(self, index: int) -> Scope:
        """The output; promptfoo parses one that is JSON, and leaves tool calls without their message.

        Raises:
            InvalidRow: there is none.
        """
        output = self._output
        if isinstance(output, str):
            return Scope(self._item, output)
        if output is None:
            raise InvalidRow("There is no output: `output` is null.")
        if _are_calls(output):
            output = {"role": "assistant", "content": None, "tool_calls": output}
        if is_message(output) and is_models(output):
            return sample_scope(self._item, sample=output)
        return Scope(self._item, strict_json.encode(output).decode())

    def answer(self, rows: Sequence[RowOutcome], threshold: float | None) -> Any:
        """Whether it passes, the reward, and why."""
        (row,) = rows
        reward = row.counted or 0.0
        given = next((one for one in (threshold, self._passes_from) if one is not None), None)
        passes_from = PASSES_FROM if given is None else given
        return {
            "pass": reward >= passes_from,
            "score": reward,
            "reason": _reason(row, reward, passes_from),
        }


FORMS: tuple[type[RewardRequest], ...] = (OpenRlhf, Slime, AzureEndpoint, Promptfoo)
_FORM_OF = {key: form for form in FORMS for key in form.keys}


def request_of(body: bytes, grader: CompiledGrader) -> RewardRequest:
    """Read a body, whose keys tell which client has sent it.

    Raises:
        Refused: it is not JSON, in none of the forms, in two of them, or lacks something.
    """
    values = _values_of(body)
    forms = {_FORM_OF[key] for key in values if key in _FORM_OF}
    if len(forms) != 1:
        raise Refused(400, _unclear(values))
    (form,) = forms
    _refuse([mistakes.missing(key) for key in form.needed if key not in values], form.name)
    return form(values, grader)


def _unclear(values: Mapping[str, Any]) -> Mistake:
    """The mistake in a body with keys of no form, or of several."""
    found = {form: [key for key in form.keys if key in values] for form in FORMS}
    if any(found.values()):
        listed = " and ".join(
            f"{_quoted(keys)} ({form.name})" for form, keys in found.items() if keys
        )
        text = f"Invalid body: it has keys of several forms: {listed}. Send those of one form."
        return Mistake(text, code="ambiguous_form")
    listed = "; ".join(f"{form.name}: {_quoted(form.keys)}" for form in FORMS)
    text = f"Invalid body: it has none of the forms that are read here ({listed})."
    if "grader" in values:
        text += " A request with a grader goes to /v1/fine_tuning/alpha/graders/run."
    return Mistake(text, code="unknown_form")


def _values_of(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_VALUES_READ and body.count(b",") > MAX_VALUES_READ:
        text = f"Invalid body: it has more than {MAX_VALUES_READ} commas; send the rows in several requests."
        raise Refused(413, Mistake(text, code="too_many_rows"))
    try:
        values = strict_json.decode(body)
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_json(body, error)) from None
    if not isinstance(values, dict):
        raise Refused(400, mistakes.invalid_type("body", "an object", values))
    return values


def _refuse(wrong: Sequence[Mistake], client: str = "") -> None:
    """Refuse a body for all that is wrong with it.

    Raises:
        Refused: something is.
    """
    if wrong:
        text = " ".join(mistake.message for mistake in wrong)
        if client:
            text += f" By its keys, the body is one of {client}."
        raise Refused(400, Mistake(text, wrong[0].param, wrong[0].code))


def _not_of(body: Mapping[str, Any], key: str, type_: type, expected: str) -> list[Mistake]:
    value = body[key]
    return [] if isinstance(value, type_) else [mistakes.invalid_type(key, expected, value)]


def _not_texts(body: Mapping[str, Any], key: str) -> list[Mistake]:
    wrong = _not_of(body, key, list, "an array of strings")
    elements = enumerate(body[key] if not wrong else ())
    return (
        wrong
        or [
            mistakes.invalid_type(f"{key}[{index}]", "a string", value)
            for index, value in elements
            if not isinstance(value, str)
        ][:_MAX_LISTED]
    )


def _quoted(keys: Collection[str]) -> str:
    return ", ".join(f"'{key}'" for key in keys)


def _are_calls(output: Any) -> bool:
    """Whether these are tool calls in the form of chat completions."""
    return (
        isinstance(output, list)
        and bool(output)
        and all(isinstance(call, dict) and call.get("type") == "function" for call in output)
        and all(isinstance(call.get("function"), dict) for call in output)
    )


def _reason(row: RowOutcome, reward: float, passes_from: float) -> str:
    numbers = ", ".join(
        f"{part} {'none' if value is None else plain_number(value)}"
        for part, value in row.sub_rewards.items()
    )
    parts = f" ({numbers})" if numbers else ""
    flags = "".join(f"; {flag}: {details_line(text)}" for flag, text in row.flags.items())
    return f"reward {plain_number(reward)}{parts}, passes from {plain_number(passes_from)}{flags}"


def threshold_of(text: str | None) -> float | None:
    """The number of `?threshold=`.

    Raises:
        Refused: it is none.
    """
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        message = f"Invalid 'threshold' in the address: '{text[:40]}' is not a number."
        raise Refused(400, Mistake(message, "threshold", "invalid_value"))
    return value
