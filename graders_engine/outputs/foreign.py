"""Outputs in the forms of other providers and libraries, as chat messages or choices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput, UnknownForm
from graders_engine.language import strict_json
from graders_engine.outputs.completions import is_completion
from graders_engine.outputs.messages import finish_of
from graders_engine.outputs.responses import error_in, is_response

_PRINTED = re.compile(
    r"""(?:Parsed)?(?:ChatCompletion|ModelResponse)(?:\[[^\]]*\])?\(id=
    |(?:Parsed)?ChatCompletionMessage(?:\[[^\]]*\])?\(content=|AIMessage\(content=
    |(?:Parsed)?(?:Response|Message|Completion)(?:\[[^\]]*\])?\(id=['"](?:resp|msg|cmpl|gen)[_-]
    |GenerateContentResponse\(|AgentRunResult\(
    |\{'(?=.{0,400}'(?:choices'\s*:\s*\[\s*\{'|object'\s*:\s*'(?:chat\.completion|response)'))
    |<(?:openai|anthropic|litellm|google|langchain\w*)\.[\w.]+\ object\ at\ 0x""",
    re.VERBOSE | re.DOTALL,
)
"""How Python prints answers of clients: objects, and dictionaries with the keys of an API."""
_FAILED = ("errored", "expired", "canceled", "cancelled")
_AI = ("ai", "aimessage", "aimessagechunk")
"""The `type` of LangChain's messages of a model, in lower case."""


def is_failed_result(value: Mapping[str, Any]) -> bool:
    """Whether an object is the result of a request that failed, as in Anthropic's batches."""
    return value.get("type") in _FAILED


def raise_failed(value: Mapping[str, Any], _depth: int) -> Any:
    """Say why the request failed."""
    reason = error_in(value.get("error")) or f"the request is {value['type']}"
    raise NoOutput(f"There is no output, but an error: {reason}.")


def is_langchain(value: Mapping[str, Any]) -> bool:
    """Whether an object is a message of a model as LangChain writes it."""
    kind = value.get("type")
    if "role" in value:
        return False
    named = isinstance(kind, str) and kind.lower() in _AI
    constructed = kind == "constructor" and isinstance(value.get("kwargs"), Mapping)
    return (named and ("content" in value or isinstance(value.get("data"), Mapping))) or constructed


def langchain_message(value: Mapping[str, Any]) -> dict[str, Any]:
    """The chat message of such an object."""
    within = value if "content" in value else value.get("data", {})
    within = value["kwargs"] if value.get("type") == "constructor" else within
    about = within.get("response_metadata")
    finish = {"finish_reason": finish_of(about)} if isinstance(about, Mapping) else {}
    dropped = ("type", "id", "name", "example")
    return {
        **finish,
        **{key: part for key, part in within.items() if key not in dropped},
        "role": "assistant",
    }


def is_gemini(value: Mapping[str, Any]) -> bool:
    """Whether an object is an answer of Gemini's own API."""
    candidates = value.get("candidates")
    return (
        isinstance(candidates, list)
        and bool(candidates)
        and all(isinstance(one, Mapping) and "content" in one for one in candidates)
    )


def gemini_choices(value: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The message, and why it ends, of each candidate."""
    return [
        ({"role": "assistant", "content": one["content"]}, finish_of(one))
        for one in value["candidates"]
    ]


def require_not_printed(output: Any) -> Any:
    """The same output, if it is no text that Python prints of an answer: the model's text is a part of that.

    Raises:
        UnknownForm: it is.
    """
    if isinstance(output, str) and _PRINTED.match(output):
        raise UnknownForm(
            "The output is what Python prints of a response: save `response.model_dump()` or its text."
        )
    return output


def unpacked(value: Any) -> Any:
    """The object of a text that is the JSON of an answer of an API, as in cells of tables; else the value."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        found = strict_json.decode(value)
    except ValueError:
        return value
    if not isinstance(found, Mapping):
        return value
    is_answer = (
        is_completion(found)
        or is_response(found)
        or found.get("object") in ("chat.completion", "text_completion")
        or {"status_code", "body"} <= set(found)
    )
    return found if is_answer else value
