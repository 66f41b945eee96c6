"""How the model of a run is asked: its messages, and its sampling parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from graders_engine.body_fields import Fields, Range
from graders_engine.evals.requests.criteria import grader_mistakes
from graders_engine.graders import mistakes
from graders_engine.graders.messages import Effort
from graders_engine.inference.chat_fields import (
    FORMATS,
    MAX_TOOLS,
    is_function,
    read_chat_tool,
    read_function,
    read_json_schema,
    read_response_format,
)
from graders_engine.language.as_served import compile_as_served
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template

_LIMIT = "max_completion_tokens"
_OTHER_LIMITS = ("max_completions_tokens", "max_tokens")
"""Other spellings of the same, which the API's own examples have."""


def read_messages(source: Fields) -> None:
    """Check `input_messages`: a template over `item`, or a reference to messages in it."""
    messages = source.fields("input_messages", required=True)
    if messages is None:
        return
    kind = messages.word("type", ("template", "item_reference"), required=True)
    if kind == "template":
        _check_template(messages)
    elif kind == "item_reference":
        _check_reference(messages)
    if kind is not None:
        messages.close()


def _check_template(messages: Fields) -> None:
    template = messages.array("template", required=True, least=1)
    if not template:
        return
    path = messages.path("template")
    # The messages of a judge have the same form, so its parser reads them.
    judge = {"type": "score_model", "name": "-", "model": "-", "input": template}
    found = grader_mistakes(judge, path, inside="input")
    messages.add(*found)
    if not found:
        for position, message in enumerate(template):
            _refuse_sample(messages, f"{path}[{position}]", message)


def _refuse_sample(messages: Fields, path: str, message: Any) -> None:
    """Refuse messages that name the answer they are to get: they could be sent for no item."""
    for text in _texts(message):
        names = [one for one in compile_as_served(text).variables if one.namespace == "sample"]
        if names:
            reason = f"{{{{{names[0].name}}}}} has no value before the model has answered: use `item` alone."
            messages.add(mistakes.invalid(path, reason))
            return


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _check_reference(messages: Fields) -> None:
    reference = messages.text("item_reference", required=True)
    if reference is None:
        return
    if not _is_item_path(reference):
        path = messages.path("item_reference")
        reason = (
            f"'{reference[:60]}' is no path to messages in the item, such as item.input_trajectory."
        )
        messages.add(mistakes.invalid(path, reason))


def _is_item_path(reference: str) -> bool:
    try:
        names = Template.compile("{{" + reference + "}}").variables
    except SourceError:
        return False
    return "{" not in reference and names[0].namespace == "item" and reference.strip() != "item"


def read_sampling(source: Fields, value: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """The sampling parameters of a data source, the limit on tokens under its one name.

    Args:
        source: the data source's fields.
        value: the data source.
        kind: its type, `completions` or `responses`.
    """
    sampling = source.fields("sampling_params")
    if sampling is None:
        return None
    sampling.number("temperature", Range(0.0, 2.0))
    sampling.number("top_p", Range(0.0, 1.0))
    sampling.number("seed", Range(-(1 << 63), (1 << 63) - 1))
    limits = [
        limit
        for name in (_LIMIT, *_OTHER_LIMITS)
        if (limit := sampling.number(name, Range(1))) is not None
    ]
    if len(set(limits)) > 1:
        reason = "the limit on tokens is given twice, with different values."
        sampling.add(mistakes.invalid(sampling.path(_LIMIT), reason))
    sampling.word("reasoning_effort", get_args(Effort))
    for tool in sampling.objects("tools", most=MAX_TOOLS):
        _READ_TOOL[kind](tool)
    _READ_FORMAT[kind](sampling)
    sampling.close()
    given = value["sampling_params"]
    kept = {name: part for name, part in given.items() if name not in _OTHER_LIMITS}
    return kept | ({_LIMIT: limits[0]} if limits else {})


def _read_responses_tool(tool: Fields) -> None:
    if is_function(tool):
        read_function(tool)
        tool.close()


def _read_text(sampling: Fields) -> None:
    text = sampling.fields("text")
    chosen = text.fields("format") if text is not None else None
    if chosen is not None:
        kind = chosen.word("type", FORMATS, required=True)
        if kind == "json_schema":
            read_json_schema(chosen, required=True)
        if kind is not None:
            chosen.close()
    if text is not None:
        text.close()


_READ_TOOL: dict[str, Callable[[Fields], None]] = {
    "completions": read_chat_tool,
    "responses": _read_responses_tool,
}
_READ_FORMAT: dict[str, Callable[[Fields], None]] = {
    "completions": read_response_format,
    "responses": _read_text,
}
"""By the type of the data source: the two have forms of their own."""
