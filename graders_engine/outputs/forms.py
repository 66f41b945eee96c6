"""The one reader of models' outputs, in whatever form they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.errors import InvalidRow, NoOutput, UnknownForm
from graders_engine.language.content import PARTS, TEXT_PARTS
from graders_engine.language.kinds import kind_of, plain
from graders_engine.language.scope import SAMPLE_KEYS, Scope, scope_of
from graders_engine.outputs import refusals
from graders_engine.outputs.completions import choices_apart, has_options, is_completion
from graders_engine.outputs.foreign import (
    JOIN,
    gemini_choices,
    is_batch_line,
    is_failed_result,
    is_gemini,
    is_langchain,
    is_of_harness,
    langchain_conversation,
    langchain_message,
    raise_failed,
    require_not_printed,
)
from graders_engine.outputs.known_keys import (
    CONVERSATIONS,
    HOLDING,
    NAMED,
    OUTPUTS,
    TEXTS,
    unknown_keys,
)
from graders_engine.outputs.messages import (
    finish_of,
    from_messages,
    is_message,
    is_models,
    require_no_conversation,
    tool_calls_in,
)
from graders_engine.outputs.no_answer import require_answer
from graders_engine.outputs.responses import (
    ANSWERS,
    error_in,
    from_items,
    from_response,
    is_item,
    is_response,
)
from graders_engine.outputs.samples import (
    checked_sample,
    is_sample,
    known_in,
    only_one,
    require_said,
    says_something,
    text_in,
    with_end,
    with_error,
)
from graders_engine.outputs.streams import (
    is_final_event,
    is_part,
    is_pieces,
    is_prediction,
    raise_part,
    whole_of,
)
from graders_engine.outputs.texts import opened
from graders_engine.outputs.unreadable import Unreadable

_CALLS = ("tool_calls", "toolCalls", "function_call")
_SAID = (*TEXT_PARTS, "tool_use")
"""The types of parts of which one makes a list of parts an output."""
_TYPES = (*TEXT_PARTS, "completion", "generation")
"""The values of `type` of an object whose text may be the model's."""
_MAX_DEPTH = 8  # lists and objects around an output


def sample_scope(
    item: Any = None, *, model_sample: Any = None, sample: Any = None, reference_answer: Any = None
) -> Scope:
    """The scope of one row, as `language.scope.scope_of`; its `sample` may be in any form that is known here.

    Raises:
        InvalidRow: as there, or the sample has no known form.
    """
    if isinstance(sample, Mapping) and model_sample is None:
        sample = one_sample(plain(sample))
    given = {"model_sample": model_sample, "sample": sample}
    return scope_of(item, **given, reference_answer=reference_answer)


def one_sample(value: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object from an object in any form.

    Raises:
        InvalidRow: it has no known form, or holds several outputs.
    """
    output = _checked(_sample(value), value) if _is_sample(value) else output_of(value)
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

    Text, or an API's answer as JSON text; a sample object; a chat completion (several choices are several
    samples); a response of the Responses API; a line of the Batch API's output with one of these; a chat
    message; a list of chat messages, of a response's items or of content parts (one sample); an object that
    holds one of these as `model_sample`, `sample`, `output`, `outputs`, `trajectory` or `text`; some forms of
    other providers; a list of any of these (several samples; an `Unreadable` in place of an element that has
    no such form).

    Args:
        value: the output.
        depth: how many lists and objects are around it.

    Raises:
        NoOutput: it has an error in place of an output.
        InvalidRow: it has none of these forms.
    """
    value = opened(value)
    if isinstance(value, (str, Unreadable)):
        return require_not_printed(value)
    if depth > _MAX_DEPTH:
        raise InvalidRow("The output nests too deep.")
    if isinstance(value, (list, tuple)):
        return _output_of_list(list(value), depth)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"The output must be text or an object, but it is {kind_of(value)}.")
    read = next((read for fits, read in _FORMS if fits(value)), _output_within)
    return _checked(read(value, depth), value)


def _checked(output: Any, value: Mapping[str, Any]) -> Any:
    """An output that was read from an object, which holds nothing else if this output says nothing."""
    if isinstance(output, (list, Unreadable)) or says_something(output):
        return with_error(output, value.get("error") or refusals.failure_beside(value))
    refusals.require_no_failure(value)
    read = (*HOLDING, "candidates") if is_gemini(value) else HOLDING
    if unread := [key for key in unknown_keys(value) if key not in read]:
        keys = ", ".join(f"`{key}`" for key in unread[: refusals.MAX_LISTED])
        meant = next(
            (f" Did you mean `{near}`?" for key in unread if (near := refusals.misspelt(key))), ""
        )
        raise UnknownForm(
            f"The output has no text, but under {keys} something that is not read.{meant}"
        )
    held = is_response(value) or any(value.get(key) not in (None, [], {}) for key in HOLDING)
    if _is_sample(value) and not held:
        require_said(value)
    return output


def _output_of_list(values: list[Any], depth: int) -> Any:
    if values and _are_messages(values):
        return from_messages(values)
    if values and all(is_item(one) or is_message(one) for one in values):
        return from_items(values)
    if messages := langchain_conversation(values):
        return from_messages(messages)
    if all(map(_is_part, values)) and any(one["type"] in _SAID for one in values):
        return from_messages([{"role": "assistant", "content": values}])
    if (whole := whole_of(values)) is not None:
        return output_of(whole, depth + 1)
    if any(map(is_message, values)):
        require_no_conversation(values)
    outputs = (_output_or_reason(one, depth + 1) for one in values)
    return [one for output in outputs for one in (output if type(output) is list else [output])]


def _are_messages(values: list[Any]) -> bool:
    return all(map(is_message, values)) and not any(map(is_item, values))


def _output_or_reason(value: Any, depth: int) -> Any:
    try:
        return output_of(value, depth)
    except InvalidRow as error:
        return Unreadable.by(error)


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") in PARTS and "role" not in value


def _of_batch_line(line: Mapping[str, Any], depth: int) -> Any:
    response = opened(line.get("response"))
    answer = response if isinstance(response, Mapping) else {}
    body, status = opened(answer.get("body")), str(answer.get("status_code") or "")
    in_body = body.get("error") if isinstance(body, Mapping) else None
    reason = error_in(line.get("error")) or error_in(in_body)
    refused = status[:3].isdigit() and int(status[:3]) >= 400
    if reason or refused or not (body or response or response == ""):
        raise NoOutput(
            f"There is no output, but an error: {reason or f'its status code is {status or None}'}."
        )
    if isinstance(response, str):
        return _output_within(line, depth)
    return output_of(body if body is not None else response, depth + 1)


def _is_named(value: Mapping[str, Any]) -> bool:
    return any(_may_hold(value.get(key)) or value.get(key) == "" for key in NAMED)


def _of_named(value: Mapping[str, Any], depth: int) -> Any:
    held = {key: value[key] for key in NAMED if value.get(key) not in (None, [], {})}
    return only_one({key: output_of(part, depth + 1) for key, part in held.items()})


def _is_sample(value: Mapping[str, Any]) -> bool:
    """Whether an object has a key of a sample object, other than options beside an output."""
    if not is_sample(value):
        return False
    others = any(key in value for key in SAMPLE_KEYS if key != "choices")
    return others or not (has_options(value) and any(value.get(key) for key in HOLDING))


def _sample(value: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object; one without a text under its known keys may hold an output under others."""
    if len(value.get("choices") or ()) > 1 and not has_options(value):
        raise InvalidRow(
            f"The sample has {len(value['choices'])} choices, but a row has one output: give a list of them "
            "in `samples`."
        )
    if has_options(value) and any(value.get(key) for key in SAMPLE_KEYS if key != "choices"):
        value = {key: part for key, part in value.items() if key != "choices"}
    sample = checked_sample(value)
    if is_response(value) and not (text_in(sample) and value.get("output_tools")):
        return {**from_response(value), **known_in(sample)}
    if text_in(sample):
        return sample
    rest = {key: part for key, part in value.items() if key not in SAMPLE_KEYS}
    if any(rest.get(key) for key in HOLDING):
        held = {key: rest[key] for key in (*HOLDING, "finish_reason", *_CALLS) if rest.get(key)}
        return {**one_sample(held), **known_in(sample)}
    if calls := tool_calls_in(rest):
        return {**sample, "output_tools": sample.get("output_tools") or calls}
    return sample


def _of_completion(completion: Mapping[str, Any], _depth: int) -> Any:
    """The one sample of a completion, checked; several are checked when they are read one by one."""
    if len(completion["choices"]) > 1:
        return choices_apart(completion)
    sample = _sample(completion)
    return {key: sample[key] for key in SAMPLE_KEYS if key in sample}


def _is_answer(value: Mapping[str, Any]) -> bool:
    """Whether an object is a message of a model, which holds nothing under the keys of other forms."""
    return is_message(value) and not (
        is_sample(value)
        or (is_models(value) and any(value.get(k) for k in HOLDING if k != "content"))
    )


def _of_candidates(value: Mapping[str, Any], _depth: int) -> Any:
    found = [from_messages([message], finish) for message, finish in gemini_choices(value)]
    return found if len(found) > 1 else found[0]


_FORMS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], int], Any]], ...
] = (
    (_is_named, _of_named),
    (is_batch_line, _of_batch_line),
    (is_failed_result, raise_failed),
    (is_part, raise_part),
    (is_final_event, lambda value, depth: output_of(value["response"], depth + 1)),
    (
        lambda value: isinstance(value.get("modelOutput"), Mapping),  # of Bedrock's batches
        lambda value, depth: output_of(value["modelOutput"], depth + 1),
    ),
    (is_of_harness, lambda value, depth: output_of(value["resps"][0], depth + 1)),
    (_is_answer, lambda value, depth: from_messages([value])),
    (
        lambda value: is_response(value) and not is_sample(value),
        lambda value, depth: from_response(value),
    ),
    (is_completion, _of_completion),
    (_is_sample, lambda value, depth: _sample(value)),
    (
        lambda value: is_item(value) and value.get("type") in ANSWERS,
        lambda value, depth: from_items([value]),
    ),
    (is_langchain, lambda value, depth: from_messages([langchain_message(value)])),
    (is_gemini, _of_candidates),
)
"""Whether an object has a form, and how it is read then; the first one counts."""


def _output_within(value: Mapping[str, Any], depth: int) -> Any:
    """The output that an object holds under one of its keys, with its tool calls and why it ends."""
    calls = tool_calls_in({key: value[key] for key in _CALLS if key in value})
    if held := _held(value):
        found = only_one({key: _under(key, value, depth) for key in held})
        return with_end(found, calls, finish_of(value))
    if calls:
        return with_end("", calls, finish_of(value))
    refusals.require_no_failure(value)
    if any(value.get(key) == "" for key in HOLDING):
        return ""
    if any(key in value for key in (*OUTPUTS, *TEXTS)) and (finish := finish_of(value, "")):
        require_answer(finish, stated=False, lacking="")
        return with_end("", calls, finish)
    wrong = next((key for key in (*OUTPUTS, *TEXTS) if value.get(key)), "")
    if wrong and "type" not in value:
        return _under(wrong, value, depth)
    raise UnknownForm(refusals.unknown_form(value))


def _held(value: Mapping[str, Any]) -> list[str]:
    """The keys under which an object may hold the model's output."""
    texts = TEXTS if value.get("type", "text") in _TYPES else ()
    held = [key for key in (*OUTPUTS, *texts) if _may_hold(value.get(key))]
    if isinstance(value.get("message"), Mapping) and value["message"]:
        held.append("message")
    return held or [key for key in CONVERSATIONS if _may_hold(value.get(key))][:1]


def _may_hold(value: Any) -> bool:
    return bool(value) and isinstance(value, (str, Mapping, list, tuple, Unreadable))


def _under(key: str, value: Mapping[str, Any], depth: int) -> Any:
    found = opened(value[key])
    if key == "output" and is_prediction(value) and is_pieces(found):
        raise UnknownForm(f"The `output` of this prediction may be the pieces of one text: {JOIN}.")
    if key == "message":
        return from_messages([found], finish_of(value, ""))
    if isinstance(found, list) and found and _are_messages(found):
        return from_messages(found, finish_of(value, ""))
    texts = isinstance(found, (list, tuple)) and all(isinstance(one, str) for one in found)
    if key in ("text", "content") and not isinstance(found, (str, Unreadable)) and not texts:
        return from_messages([{"role": "assistant", "content": found}])
    return output_of(found, depth + 1)
