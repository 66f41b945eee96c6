"""The one reader of models' outputs, in whatever form they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.errors import InvalidRow, NoOutput, UnknownForm
from graders_engine.language.content import TEXT_PARTS, text_of
from graders_engine.language.kinds import kind_of
from graders_engine.language.scope import SAMPLE_KEYS, Scope, scope_of
from graders_engine.language.spelling import nearest
from graders_engine.outputs.completions import is_completion, samples_in
from graders_engine.outputs.messages import (
    MODEL_ROLES,
    finish_of,
    from_messages,
    is_message,
    one_choice,
)
from graders_engine.outputs.responses import (
    error_in,
    from_items,
    from_response,
    is_item,
    is_response,
)
from graders_engine.outputs.samples import checked_sample, is_sample, text_in
from graders_engine.outputs.unreadable import MARK, Unreadable, is_marked

_HOLDERS = (
    "model_sample",
    "sample",
    "samples",
    "model_samples",
    "output",
    "outputs",
    "trajectory",
    "result",
)
"""Keys under which an object may hold an output; the first one that holds something counts."""
_TEXTS = ("text", "content", "completion", "response", "generated_text", "generation")
"""Keys under which an object may hold the model's text; different texts under two of them are refused."""
_HOLDING = (*_HOLDERS, *_TEXTS, "message")
_ANSWERS = ("message", "function_call", "custom_tool_call", "mcp_call")
"""Items of a response that are an output by themselves."""
_MAX_DEPTH = 8
"""How many lists and objects may be around an output."""
_MAX_LISTED = 12
"""How many keys a message lists."""


def sample_scope(
    item: Any = None, *, model_sample: Any = None, sample: Any = None, reference_answer: Any = None
) -> Scope:
    """The scope of one row, as `language.scope.scope_of`; its `sample` may be in any form that is known here.

    Raises:
        InvalidRow: as there, or the sample has no known form.
    """
    if isinstance(sample, Mapping):
        sample = one_sample(sample)
    return scope_of(
        item, model_sample=model_sample, sample=sample, reference_answer=reference_answer
    )


def one_sample(value: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object from an object in any form; an empty one stays empty.

    Raises:
        InvalidRow: it has no known form, or holds several outputs.
    """
    if is_sample(value):
        return _sample(value)
    output = output_of(value)
    if isinstance(output, list):
        if len(output) != 1:
            raise InvalidRow(
                f"`sample` holds {len(output)} outputs, but a row has one: give a list of them in `samples`."
            )
        (output,) = output
        if isinstance(output, Unreadable):
            raise output.error()
    if isinstance(output, str):
        return {"output_text": output}
    return _sample(output) if is_sample(output) else output


def output_of(value: Any, depth: int = 0) -> Any:
    """A text, a sample object, or a list of them, from an output in any form that is known.

    Text; a sample object; a chat completion (several choices are several samples); a response of the
    Responses API; a line of the Batch API's output with one of these; a chat message; a list of chat
    messages, of a response's items or of content parts (one sample); an object that holds one of these as
    `model_sample`, `sample`, `output`, `outputs`, `trajectory` or `text`; a list of any of these (several
    samples; an `Unreadable` in place of an element that has no such form).

    Args:
        value: the output.
        depth: how many lists and objects are around it.

    Raises:
        NoOutput: it has an error in place of an output.
        InvalidRow: it has none of these forms.
    """
    if isinstance(value, (str, Unreadable)):
        return value
    if depth > _MAX_DEPTH:
        raise InvalidRow("The output nests too deep.")
    if isinstance(value, (list, tuple)):
        return _output_of_list(list(value), depth)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"The output must be text or an object, but it is {kind_of(value)}.")
    for fits, read in _FORMS:
        if fits(value):
            return read(value, depth)
    return _output_within(value, depth)


def _output_of_list(values: list[Any], depth: int) -> Any:
    if values and all(map(is_message, values)) and not any(map(is_item, values)):
        return from_messages(values)
    if values and all(is_item(one) or is_message(one) for one in values):
        return from_items(values)
    if values and all(map(_is_part, values)):
        return one_choice({"role": "assistant", "content": text_of(values)}, "stop")
    if any(map(is_message, values)):
        _require_no_conversation(values)
    outputs = (_output_or_reason(one, depth + 1) for one in values)
    return [one for output in outputs for one in (output if type(output) is list else [output])]


def _require_no_conversation(values: list[Any]) -> None:
    """Check that a list with some messages holds samples, and not a conversation with a slip in it."""
    for one in values:
        if isinstance(one, Mapping) and "content" in one and not is_message(one):
            keys = ", ".join(map(str, one))
            raise UnknownForm(f"A message among others has no `role` (its keys: {keys}).")
    if any(is_message(one) and one["role"] not in MODEL_ROLES for one in values):
        other = next(one for one in values if not is_message(one))
        raise UnknownForm(
            f"Among the messages of a conversation is {kind_of(other)} without a `role`."
        )


def _output_or_reason(value: Any, depth: int) -> Any:
    try:
        return output_of(value, depth)
    except InvalidRow as error:
        return Unreadable.by(error)


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") in TEXT_PARTS and "role" not in value


def _is_batch_line(value: Mapping[str, Any]) -> bool:
    response = value.get("response")
    answered = isinstance(response, Mapping) and ("body" in response or "status_code" in response)
    return answered or ("custom_id" in value and "response" in value)


def _of_batch_line(line: Mapping[str, Any], depth: int) -> Any:
    response = line.get("response")
    answer = response if isinstance(response, Mapping) else {}
    body, status = answer.get("body"), answer.get("status_code")
    in_body = body.get("error") if isinstance(body, Mapping) else None
    reason = error_in(line.get("error")) or error_in(in_body)
    refused = isinstance(status, int) and status >= 400
    if reason or refused or not (body or response):
        raise NoOutput(
            f"There is no output, but an error: {reason or f'its status code is {status}'}."
        )
    return output_of(body if body is not None else response, depth + 1)


def _sample(value: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object; one without a text under its known keys may hold an output under others."""
    sample = checked_sample(value)
    if is_response(value) and not (text_in(sample) and value.get("output_tools")):
        return {**from_response(value), **_given(sample)}
    if text_in(sample):
        return sample
    rest = {key: part for key, part in value.items() if key not in SAMPLE_KEYS}
    if any(rest.get(key) for key in _HOLDING):
        held = {key: rest[key] for key in (*_HOLDING, "finish_reason") if rest.get(key)}
        return {**one_sample(held), **_given(sample)}
    if not _given(sample) and (key := next((k for k in rest if rest[k] and _misspelt(k)), None)):
        raise UnknownForm(
            f"The sample has no text, but the key `{key}`. Did you mean `{_misspelt(key)}`?"
        )
    return sample


def _misspelt(key: Any) -> str:
    return nearest(str(key), SAMPLE_KEYS)


def _given(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The known keys that hold something."""
    return {key: sample[key] for key in SAMPLE_KEYS if sample.get(key)}


def _of_completion(samples: Any) -> Any:
    """The one sample of a completion, checked; several are checked when they are read one by one."""
    return _sample(samples) if isinstance(samples, dict) else samples


def _is_choice(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("message"), Mapping)


def _of_choice(choice: Mapping[str, Any], _depth: int) -> Any:
    """One choice of a completion, or an answer of Ollama's chat."""
    return from_messages([choice["message"]], finish_of(choice))


def _is_lone_item(value: Mapping[str, Any]) -> bool:
    return is_item(value) and value.get("type") in _ANSWERS


_FORMS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], int], Any]], ...
] = (
    (lambda value: not value, lambda value, depth: {}),
    (is_marked, lambda value, depth: Unreadable(*value[MARK])),
    (_is_batch_line, _of_batch_line),
    (
        lambda value: is_message(value) and not is_sample(value),
        lambda value, depth: from_messages([value]),
    ),
    (
        lambda value: is_response(value) and not is_sample(value),
        lambda value, depth: from_response(value),
    ),
    (is_completion, lambda value, depth: _of_completion(samples_in(value))),
    (is_sample, lambda value, depth: _sample(value)),
    (_is_lone_item, lambda value, depth: from_items([value])),
    (_is_choice, _of_choice),
)
"""Whether an object has a form, and how it is read then; the first one counts."""


def _output_within(value: Mapping[str, Any], depth: int) -> Any:
    """The output that an object holds under one of its keys."""
    if (key := next((key for key in _HOLDERS if value.get(key)), None)) is not None:
        output = output_of(value[key], depth + 1)
        if type(output) is dict and (choices := output.get("choices")) and "finish_reason" in value:
            return {**output, "choices": [{**choices[0], "finish_reason": finish_of(value)}]}
        return output
    if value.get("type", "text") in TEXT_PARTS:
        texts = {key: _text_under(key, value, depth) for key in _TEXTS if value.get(key)}
        found = list(texts.values())
        if any(one != found[0] for one in found):
            raise InvalidRow(
                f"The output may be under {' or '.join(f'`{key}`' for key in texts)}: they differ. Name the "
                "field with the model's output (--sample-field)."
            )
        if found:
            return found[0]
    if reason := error_in(value.get("error")):
        raise NoOutput(f"There is no output, but an error: {reason}.")
    if any(value.get(key) == "" for key in _HOLDING):
        return ""
    raise UnknownForm(_unknown_form(value))


def _text_under(key: str, value: Mapping[str, Any], depth: int) -> Any:
    found = value[key]
    if key in ("text", "content") and not isinstance(found, str):
        return from_messages([{"role": "assistant", "content": found}])
    return output_of(found, depth + 1)


def _unknown_form(value: Mapping[str, Any]) -> str:
    keys = [str(key) for key in value]
    more = ", …" if len(keys) > _MAX_LISTED else ""
    listed = keys[:_MAX_LISTED]
    meant = next(((key, near) for key in listed if (near := _misspelt(key))), None)
    return (
        f"The output is an object that holds no output (its keys: {', '.join(listed)}{more}). "
        + (f"`{meant[0]}`: did you mean `{meant[1]}`? " if meant else "")
        + f"A sample object has {', '.join(SAMPLE_KEYS[:-1])} or {SAMPLE_KEYS[-1]}; chat completions, "
        "responses, messages and objects with a `text` are read, too."
    )
