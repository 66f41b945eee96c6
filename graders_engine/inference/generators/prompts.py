"""What a model reads: messages and tools as its chat template writes them, and as tokens."""

from __future__ import annotations

from typing import Any

from graders_engine.body_fields import TOO_DEEP
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.inference.errors import InvalidChat
from graders_engine.inference.request import ChatRequest
from graders_engine.training.chat import Chat
from graders_engine.training.messages import BadRow, messages_of, tools_of


def prompt_of(chat: Chat, request: ChatRequest, room: int) -> list[int]:
    """The tokens that a model reads for a request.

    Args:
        chat: of the model.
        request: the request.
        room: how many tokens the model reads at most, its answer included.

    Raises:
        InvalidChat: its template does not take the request, or there is no room for an answer.
    """
    ids = chat.ids(text_of(chat, request))
    if len(ids) >= room:
        message = (
            f"The messages are {len(ids)} tokens, and the model reads {room}, its answer included: make them "
            "shorter."
        )
        raise InvalidChat([Mistake(message, "messages", "context_length_exceeded")])
    return ids


def text_of(chat: Chat, request: ChatRequest) -> str:
    """What a model reads, as a text with marks in it.

    Raises:
        InvalidChat: its template does not take the request.
    """
    try:
        messages = messages_of(request.messages, developer=chat.knows_developers)
        tools = tools_of({"tools": request.tools})
        text = chat.render(messages, tools, prompt=True)
    except BadRow as error:
        raise InvalidChat([mistakes.invalid("messages", str(error))]) from None
    except RecursionError:
        path = "tools" if request.tools else "messages"
        raise InvalidChat([mistakes.invalid(path, TOO_DEEP)]) from None
    _require_names(chat, messages, tools, text)
    return text


def _require_names(chat: Chat, messages: list[Any], tools: list[Any] | None, text: str) -> None:
    """Refuse names of who speaks if the model is not shown them."""
    named = [number for number, message in enumerate(messages) if "name" in message]
    if not named:
        return
    without = [{key: value for key, value in one.items() if key != "name"} for one in messages]
    if chat.render(without, tools, prompt=True) == text:
        path = f"messages[{named[0]}].name"
        reason = "the model's chat template has no place for it: write the name into `content`."
        raise InvalidChat([mistakes.invalid(path, reason)])
