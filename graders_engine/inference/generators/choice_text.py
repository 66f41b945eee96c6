"""One answer while it is generated: what of it is heard, where it stops, and what it is in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graders_engine.inference.generator import Choice, FinishReason, Listener
from graders_engine.inference.generators.growing_text import BROKEN, GrowingText
from graders_engine.inference.generators.tool_calls import AnswerReader
from graders_engine.inference.request import ChatRequest


class ChoiceText:
    """One answer.

    Args:
        number: of the choice.
        request: that it answers.
        listener: hears it.
        decode: the text of tokens.
        reader: of its calls; None if it can have none.

    Attributes:
        listener: the same.
        follows: whether each token has to be looked at.
    """

    def __init__(
        self,
        number: int,
        request: ChatRequest,
        listener: Listener,
        decode: Callable[[list[int]], str],
        reader: AnswerReader | None,
    ) -> None:
        self._number, self._request, self.listener = number, request, listener
        self._decode, self._reader = decode, reader
        self.follows = request.stream or bool(request.stop)
        self._growing = GrowingText(decode, request.stop)
        self._ended = False
        self._heard = ""

    @property
    def stopped(self) -> bool:
        """Whether a stop ended it."""
        return self._growing.stopped

    def add(self, token: int, ends: Sequence[int]) -> None:
        """Follow it by a token."""
        self._ended = self._ended or token in ends or self.stopped
        if not self._ended:
            self._hear(self._growing.add(token))

    def _hear(self, piece: str) -> None:
        if not self._request.stream or not piece:
            return
        plain = piece if self._reader is None else self._reader.plain(piece)
        self._heard += plain
        self.listener.text(self._number, plain)

    def choice(self, row: list[int], ends: Sequence[int]) -> Choice:
        """The answer.

        Args:
            row: what was generated; behind its end stands what fills it up.
            ends: tokens that end an answer.
        """
        at = next((at for at, token in enumerate(row) if token in ends), len(row))
        text = self._text(row[:at])
        reason: FinishReason = "length" if at == len(row) else "stop"
        ids = row[: at + 1]
        if self.stopped:
            reason, ids = "stop", row[: self._growing.tokens]
        calls: list[dict[str, Any]] = []
        if self._reader is not None:
            read, calls = self._reader.message(text, ids)
            if calls or not self.stopped:
                text = read or ""
            reason = "tool_calls" if calls and reason == "stop" else reason
        self._hear_rest(text, calls)
        return Choice(None if calls and not text else text, calls, reason, len(ids))

    def _text(self, ids: list[int]) -> str:
        if not self.follows:
            text = self._decode(ids)
            if BROKEN not in text:
                return text
            for token in ids:  # parts of characters are the text that a stream has
                self._growing.add(token)
        self._hear(self._growing.finish())
        return self._growing.text

    def _hear_rest(self, text: str, calls: list[dict[str, Any]]) -> None:
        if not self._request.stream:
            return
        if text.startswith(self._heard):
            self.listener.text(self._number, text[len(self._heard) :])
        for call in calls:
            self.listener.call(self._number, call)
