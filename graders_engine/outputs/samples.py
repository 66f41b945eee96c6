"""Sample objects: those with a known key, checked, and made whole where a key is in an unusual form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graders_engine.errors import InvalidRow, NoOutput, UnknownForm
from graders_engine.language.content import is_broken_off, text_of
from graders_engine.language.kinds import kind_of, plain
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.outputs.completions import is_marked_choice
from graders_engine.outputs.messages import (
    finish_of,
    message_text,
    one_choice,
    require_content,
    tool_calls_in,
    tool_list,
)
from graders_engine.outputs.no_answer import require_answer, require_ended
from graders_engine.outputs.responses import error_in

_SAMPLE_KEYS = frozenset(SAMPLE_KEYS)
_TEXT = "output_text"
_BESIDE = frozenset({"finish_reason", "output", "output_tools"})
"""Keys beside `choices` that need a closer look."""


def is_sample(value: Mapping[str, Any]) -> bool:
    """Whether an object has a key of a sample object."""
    return not _SAMPLE_KEYS.isdisjoint(value)


def plain_text(sample: dict[str, Any]) -> str | None:
    """The text of a sample object in the commonest forms, which need no check; None for any other."""
    text = sample.get(_TEXT)
    if text is not None:
        return text if type(text) is str and text and _has_no_more(sample) else None
    choices = sample.get("choices")
    if type(choices) is not list or not choices or not _BESIDE.isdisjoint(sample):
        return None
    first = choices[0]
    message = first.get("message") if type(first) is dict else None
    if type(message) is not dict or "function_call" in message or len(choices) > 1:
        return None
    if "error" in first or "stop_reason" in first or is_broken_off(first.get("finish_reason")):
        return None
    text, calls = message.get("content"), message.get("tool_calls")
    return text if type(text) is str and text and (calls is None or type(calls) is list) else None


def _has_no_more(sample: dict[str, Any]) -> bool:
    """Whether a sample object has a text, and nothing beside it but JSON."""
    if len(sample) == 1:
        return True
    value = sample.get("output_json")
    return len(sample) == 2 and value is not None and plain(value) is value


def checked_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object whose known keys have the forms that templates and graders expect.

    Args:
        sample: an object with a known key.

    Raises:
        UnknownForm: the value of a known key is of a form that cannot be read.
        NoOutput: there is an error in place of an output.
    """
    given: dict[str, Any] = sample if type(sample) is dict else dict(sample)
    given = _with_message(given)
    text = given.get(_TEXT)
    changes: dict[str, Any] = {}
    message = _first_message(given.get("choices"))
    if text is not None and type(text) is not str:
        changes[_TEXT] = text_of(text, f"sample.{_TEXT}")
    if "output_tools" in given:
        if not isinstance(given["output_tools"], list):
            changes["output_tools"] = tool_list(given["output_tools"], "sample.output_tools")
    elif message is not None:
        calls = tool_calls_in(message)
        if calls != (message.get("tool_calls") or []):
            changes["output_tools"] = calls
    if not changes.get(_TEXT, text):
        derived = "" if message is None else message_text(message, "choices[0].message.content")
        value = given.get("output_json")
        # An empty one is an output only where no other key may hold it.
        alone = value not in ("", [], {}) or given.keys() <= _SAMPLE_KEYS
        if not derived and value is not None and alone:
            derived = json.dumps(value, ensure_ascii=False, default=repr)
        # Of a plain message, the text is derived where it is read.
        if derived and (text is not None or not _has_content(given, derived)):
            changes[_TEXT] = derived
    return {**given, **changes} if changes else given


def _has_content(given: Mapping[str, Any], text: str) -> bool:
    """Whether the message of the first choice is an object with this very text as its content."""
    found = given["choices"][0].get("message") if given.get("choices") else None
    return isinstance(found, Mapping) and found.get("content") == text


def text_in(sample: Mapping[str, Any]) -> str:
    """The text of a checked sample object; empty if it has none."""
    message = None if sample.get(_TEXT) else _first_message(sample.get("choices"))
    return str(sample.get(_TEXT) or ("" if message is None else message_text(message)))


def known_in(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The known keys of a sample object that hold something."""
    return {key: sample[key] for key in SAMPLE_KEYS if sample.get(key)}


def says_something(output: Any) -> bool:
    """Whether an output has a text, a tool call or audio; a list of outputs is no question of this."""
    if not isinstance(output, Mapping):
        return bool(output)
    message = None if output.get("output_tools") else _first_message(output.get("choices"))
    calls = output.get("output_tools") or ([] if message is None else tool_calls_in(message))
    audio = output.get("output_audio") or (message or {}).get("audio")
    return bool(text_in(output) or any(map(_is_call, calls)) or audio)


def require_said(sample: Mapping[str, Any]) -> None:
    """Check that a sample object without a text, a tool call and audio is an answer.

    Raises:
        NoOutput, UnknownForm: it is none; as `require_answer`.
    """
    stated = any(sample.get(key) is not None for key in SAMPLE_KEYS if key != "choices")
    choices, finish = sample.get("choices"), finish_of(sample, "")
    if not choices:
        nulls = ", ".join(f"`{key}`" for key in SAMPLE_KEYS if key in sample)
        lacking = f"There is no output, but null under {nulls}"
        require_answer(finish, stated=stated, lacking=lacking)
        return
    first, finish = choices[0], finish_of(choices[0], "") or finish
    message = first.get("message")
    known = message if isinstance(message, Mapping) and not stated else {"content": message}
    require_content([known], finish, "`choices[0].message`")


def what_it_says(output: Any) -> Any:
    """What an output says, to compare it with another: its text and its tool calls."""
    if isinstance(output, list):
        return list(map(what_it_says, output))
    if not isinstance(output, Mapping):
        return (output, [])
    message = _first_message(output.get("choices"))
    calls = output.get("output_tools") or ([] if message is None else tool_calls_in(message))
    return (text_in(output), calls)


def only_one(outputs: Mapping[str, Any]) -> Any:
    """The output that was found under each of these keys.

    Raises:
        InvalidRow: they differ.
    """
    first, *others = outputs.values()
    if any(what_it_says(one) != what_it_says(first) for one in others):
        raise InvalidRow(
            f"The output may be under {' or '.join(f'`{key}`' for key in outputs)}: they differ. Name the "
            "field with the model's output (--sample-field)."
        )
    return first


def with_end(output: Any, calls: list[Any], finish: str) -> Any:
    """An output with the tool calls, and the reason why it ends, that stand beside it.

    Raises:
        NoOutput: the endpoint failed, as this reason says.
    """
    require_ended(finish)
    if not isinstance(output, (str, dict)) or not (calls or finish != "stop"):
        return output
    if isinstance(output, str):
        return one_choice({"role": "assistant", "content": output, "tool_calls": calls}, finish)
    choices = output.get("choices")
    ended = [{**choices[0], "finish_reason": finish}] if choices and finish != "stop" else choices
    more = {} if not calls or output.get("output_tools") else {"output_tools": calls}
    return {**output, **({"choices": ended} if ended else {"finish_reason": finish}), **more}


def with_error(output: Any, error: Any) -> Any:
    """An output with the error that stands beside it: it may be no more than the start of an answer."""
    sample = {_TEXT: output} if isinstance(output, str) else output
    if not isinstance(sample, dict) or "error" in sample or not (reason := error_in(error)):
        return output
    return {**sample, "error": reason}


def _is_call(call: Any) -> bool:
    return isinstance(call, Mapping) and not {"function", "custom", "name", "type"}.isdisjoint(call)


def _with_message(given: dict[str, Any]) -> dict[str, Any]:
    """The same sample; the text of the first completions API is in a message, too."""
    require_ended(finish_of(given, ""))
    choices = given.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, Mapping):
        return given
    if first.get("error"):
        reason = error_in(first["error"]) or "it does not say which"
        raise NoOutput(f"There is no output, but an error: {reason}.")
    finish = finish_of(first, "")
    require_ended(finish)
    if first.get("finish_reason") is None and finish:
        first = {**first, "finish_reason": finish}
        given = {**given, "choices": [first, *given["choices"][1:]]}
    ended = first.get("text") is not None or bool(first.get("finish_reason"))
    if first.get("message") is not None or "text" not in first or not ended:
        return given
    found = {} if first["text"] is None else _first_message([first])
    message = {"role": "assistant", "content": message_text(found or {}, "choices[0].text")}
    return {**given, "choices": [{**first, "message": message}]}


def _first_message(choices: Any) -> Mapping[str, Any] | None:
    """The message of the first choice; None where there is no choice."""
    if not choices and (choices is None or isinstance(choices, list)):
        return None
    if not isinstance(choices, list):
        raise UnknownForm(f"`choices` must be an array, but it is {kind_of(choices)}.")
    first = choices[0]
    if not isinstance(first, Mapping):
        raise UnknownForm(f"`choices[0]` must be an object, but it is {kind_of(first)}.")
    message = first.get("message")
    if isinstance(message, Mapping):
        return message
    if message is None and (
        set(first) == {"text"} or ("text" in first and is_marked_choice(first))
    ):
        message = first["text"]  # of the first completions API
    if isinstance(message, str):
        return {"content": message}
    keys = ", ".join(map(str, first)) or "none"
    hint = ": it is a part of a stream; join all of them first" if "delta" in first else ""
    raise UnknownForm(f"`choices[0]` has no `message` (its keys: {keys}){hint}.")
