"""The body of `chat.completions.create`: what a model here can honour, and a refusal for all else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graders_engine.body_fields import Fields, InvalidBody, Range, fields_of
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.inference.chat_fields import MAX_TOOLS, read_chat_tool, read_response_format
from graders_engine.inference.errors import InvalidChat
from graders_engine.inference.messages import read_messages

MAX_CHOICES = 128
"""The API's limit on `n`."""
MAX_STOPS = 4
_LIMITS = ("max_completion_tokens", "max_tokens")
_CHANGES_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "store": (False,),
}
"""Parameters that are taken with the values that they have anyway, and refused with others."""
_WHY = {
    "parallel_tool_calls": "a model here cannot be kept from calling several tools.",
    "store": "this server keeps no completions.",
}
_ADVICE = {
    "reasoning_effort": "a model here has no such setting: leave it out.",
    "functions": "`functions` was retired: give them as `tools`.",
    "function_call": "`function_call` was retired: give `tool_choice`.",
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a model is asked, and how it is to answer.

    Attributes:
        messages: with their content as text.
        tools: that it may call; empty without any, or where it may call none.
        choices: how many answers; `n` on the wire.
        temperature: 0 for the most likely token each time.
        top_p: the share of likely tokens that are sampled from.
        max_tokens: of an answer; None for what the model may say at most.
        seed: of all random numbers; None for another one each time.
        stop: texts at which an answer ends, without them.
        response_format: as on the wire; None for any text.
        stream: whether the answer comes in pieces.
        include_usage: whether the last piece counts the tokens.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    choices: int
    temperature: float
    top_p: float
    max_tokens: int | None
    seed: int | None
    stop: tuple[str, ...]
    response_format: dict[str, Any] | None
    stream: bool
    include_usage: bool


def read_chat(body: Any) -> ChatRequest:
    """Read the body of a chat completion; its `model` is whatever its reader makes of it.

    Raises:
        InvalidChat: with all mistakes, each with its `param`.
    """
    try:
        request: ChatRequest = fields_of(body, _read, _ADVICE)
    except InvalidBody as error:
        raise InvalidChat(error.mistakes) from None
    return request


def require_length(request: ChatRequest, longest: int) -> None:
    """Refuse a limit that a model's answers cannot come to.

    Args:
        request: the request.
        longest: the longest answer of the model.

    Raises:
        InvalidChat: its limit is greater.
    """
    if request.max_tokens is not None and request.max_tokens > longest:
        path = _LIMITS[0]
        message = (
            f"Invalid '{path}': this model's answers have at most {longest} tokens, but {request.max_tokens} "
            "are asked for."
        )
        raise InvalidChat([Mistake(message, path, "integer_above_max_value")])


def _read(body: Fields) -> ChatRequest:
    body.text("model")
    messages = read_messages(body)
    tools = _tools(body)
    response_format = _response_format(body)
    if tools and response_format is not None:
        reason = "an answer that is bound to a form cannot call tools: leave out one of the two."
        body.add(mistakes.invalid("response_format", reason))
    stream = bool(body.flag("stream"))
    request = ChatRequest(
        messages=messages,
        tools=tools,
        choices=int(_number(body, "n", Range(1, MAX_CHOICES), 1)),
        temperature=_number(body, "temperature", Range(0.0, 2.0), 1.0),
        top_p=_number(body, "top_p", Range(0.0, 1.0), 1.0),
        max_tokens=_max_tokens(body),
        seed=_seed(body),
        stop=_stop(body),
        response_format=response_format,
        stream=stream,
        include_usage=_include_usage(body, stream=stream),
    )
    _take_what_changes_nothing(body)
    return request


def _number(body: Fields, key: str, bounds: Range, default: float) -> float:
    number = body.number(key, bounds)
    return default if number is None else float(number)  # transformers takes no `2` for 2.0


def _seed(body: Fields) -> int | None:
    seed = body.number("seed", Range(-(1 << 63), (1 << 63) - 1))
    return None if seed is None else int(seed)


def _max_tokens(body: Fields) -> int | None:
    limits = [limit for name in _LIMITS if (limit := body.number(name, Range(1))) is not None]
    if len(set(limits)) > 1:
        reason = "`max_tokens` is the same limit, and has another value."
        body.add(mistakes.invalid(_LIMITS[0], reason))
    return int(limits[0]) if limits else None


def _stop(body: Fields) -> tuple[str, ...]:
    stop = body.value("stop")
    if stop is None:
        return ()
    if isinstance(stop, str):
        stop = [stop]
    elif not isinstance(stop, list):
        body.add(mistakes.invalid_type("stop", "a string or an array of strings", stop))
        return ()
    elif len(stop) > MAX_STOPS:
        body.add(mistakes.wrong_length("stop", len(stop), MAX_STOPS, "maximum"))
    for position, text in enumerate(stop):
        if not isinstance(text, str):
            body.add(mistakes.invalid_type(f"stop[{position}]", "a string", text))
        elif not text:
            body.add(mistakes.invalid("stop", "an empty text would end each answer at once."))
    return tuple(stop)


def _tools(body: Fields) -> list[dict[str, Any]]:
    for tool in body.objects("tools", most=MAX_TOOLS):
        read_chat_tool(tool)
    tools = body.value("tools")
    tools = tools if isinstance(tools, list) else []
    for position, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("strict") is True:
            path = f"tools[{position}].function.strict"
            reason = "a model here calls tools as it likes: it cannot be bound to their parameters."
            body.add(mistakes.invalid(path, reason))
    return tools if _may_call(body, tools) else []


def _may_call(body: Fields, tools: list[Any]) -> bool:
    choice = body.value("tool_choice")
    if choice is None:
        return True
    if choice == "required" or isinstance(choice, dict):
        reason = "a model here cannot be made to call a tool: 'auto' and 'none' are what there is."
        body.add(mistakes.invalid("tool_choice", reason))
    elif not isinstance(choice, str):
        body.add(mistakes.invalid_type("tool_choice", "a string", choice))
    elif choice not in ("auto", "none"):
        body.add(mistakes.unsupported("tool_choice", choice, ("auto", "none")))
    elif not tools:
        body.add(mistakes.invalid("tool_choice", "there are no `tools` to choose from."))
    return bool(choice != "none")


def _response_format(body: Fields) -> dict[str, Any] | None:
    read_response_format(body)
    chosen = body.value("response_format")
    if not isinstance(chosen, dict) or chosen.get("type") == "text":
        return None
    return chosen


def _include_usage(body: Fields, *, stream: bool) -> bool:
    options = body.fields("stream_options")
    if options is None:
        return False
    if not stream:
        body.add(mistakes.invalid("stream_options", "it is for answers with `stream` alone."))
    found = options.flag("include_usage")
    if options.flag("include_obfuscation"):
        reason = "pieces are sent as they are: leave it out."
        body.add(mistakes.invalid("stream_options.include_obfuscation", reason))
    options.close()
    return bool(found)


def _take_what_changes_nothing(body: Fields) -> None:
    """Take parameters that change no answer, and refuse values of them that would."""
    body.metadata()
    body.text("user")
    body.text("safety_identifier")
    for key, values in _CHANGES_NOTHING.items():
        value = body.value(key)
        if value is None or any(_same(value, one) for one in values):
            continue
        reason = _WHY.get(key, "no other value than the usual one is supported here.")
        body.add(Mistake(f"Invalid '{key}': {reason}", key, "unsupported_value"))


def _same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal; a boolean is no number."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)
