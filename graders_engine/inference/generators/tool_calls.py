"""Reads the calls of tools out of what a model generates."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from graders_engine.graders import mistakes
from graders_engine.inference.errors import InvalidChat
from graders_engine.inference.generators.weights import load_tokenizer
from graders_engine.inference.request import ChatRequest
from graders_engine.training.samples import can_read, reads_calls, sample_of


class CallReader:
    """Reads the calls of one model; what it needs is loaded when tools are first given.

    Args:
        folder: of the model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer: Any = None

    def require_readable(self) -> None:
        """Refuse tools for a model whose calls nobody could read.

        Raises:
            InvalidChat: it is one.
        """
        if self._tokenizer is None:
            self._tokenizer = reads_calls(load_tokenizer(self._folder))
        if not can_read(self._tokenizer):
            reason = (
                "how this model calls tools is unknown, as its tokenizer has no response template."
            )
            raise InvalidChat([mistakes.invalid("tools", reason)])

    def reader(self, prompt: list[int], request: ChatRequest) -> AnswerReader | None:
        """Reads one answer; None for one that can have no calls."""
        return AnswerReader(self._tokenizer, prompt, request.tools) if request.tools else None


class AnswerReader:
    """Reads one answer.

    Args:
        tokenizer: of `reads_calls`.
        prompt: what stands before the answer.
        tools: that may be called.
    """

    def __init__(self, tokenizer: Any, prompt: list[int], tools: list[Any]) -> None:
        self._tokenizer, self._prompt, self._tools = tokenizer, prompt, tools
        self._parser: Any = None
        self._is_plain = bool(getattr(tokenizer, "response_template", None))

    def plain(self, piece: str) -> str:
        """The part of a piece of text that is no part of a call, whatever follows; the end of it is no text.

        From the first thing on that is no plain text, nothing is: it has to be read as a whole.
        """
        if not self._is_plain:
            return ""
        if self._parser is None:
            self._parser = self._tokenizer.get_response_parser(
                prefix=self._prompt, tools=self._tools
            )
        found = []
        for event in self._events(piece):
            if event.get("field") != "content":
                self._is_plain = False
                break
            found.append(event.get("text") or "")
        return "".join(found)

    def _events(self, piece: str) -> list[dict[str, Any]]:
        try:
            events: list[dict[str, Any]] = self._parser.feed(piece)
        except ValueError:  # no call that can be read
            self._is_plain = False
            return []
        return events

    def message(self, text: str, ids: list[int]) -> tuple[str | None, list[dict[str, Any]]]:
        """The text of a whole answer, and its calls.

        Args:
            text: of the tokens.
            ids: the tokens.
        """
        found = sample_of(self._tokenizer, self._tools, text, ids, self._prompt)
        if isinstance(found, str):
            return found, []
        calls = [{**call, "id": f"call_{secrets.token_hex(12)}"} for call in found["output_tools"]]
        return found["output_text"] or None, calls
