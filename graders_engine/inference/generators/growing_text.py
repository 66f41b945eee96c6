"""The text of tokens that come one after the other: what is certain of it, and where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
"""What a decoder gives for a character that is not whole yet; some give one for each of its bytes."""
_MOST_OPEN = 256
"""Tokens that may wait for those behind them; what many more are is no character."""


class GrowingText:
    """A text that grows by tokens, until one of some texts stands in it.

    Args:
        decode: the text of tokens.
        stops: texts at which it ends, without them.

    Attributes:
        text: what is certain of it.
        tokens: how many it has.
        stopped: whether it has ended.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str] = ()) -> None:
        self._decode, self._stops = decode, stops
        self._longest_stop = max(map(len, stops), default=0)
        self.text = ""
        self.tokens = 0
        self.stopped = False
        self._given = 0
        # A token's text may hang on the one before, and a character may have several tokens.
        self._before: list[int] = []
        self._open: list[int] = []
        self._settled = 0

    def add(self, token: int) -> str:
        """Add a token; gives the text that has become certain, and that is before no stop."""
        self.tokens += 1
        self._open.append(token)
        new = self._text_of_open()
        whole = new.rstrip(BROKEN)
        # A token without a text of its own, such as a special one, may not stand before others alone: a
        # decoder drops the blank at the beginning.
        if (whole == new != "") or len(self._open) > _MOST_OPEN:
            self._settle(new)
            self._before, self._open, self._settled = self._open, [], 0
        else:
            self._settle(whole)
        return self._give(len(self.text) - (0 if self.stopped else self._held_back()))

    def finish(self) -> str:
        """The rest of the text."""
        if not self.stopped:
            self._settle(self._text_of_open())
        return self._give(len(self.text))

    def _text_of_open(self) -> str:
        if not self._open:
            return ""
        before = self._decode(self._before) if self._before else ""
        together = self._decode(self._before + self._open)
        # Some decoders break a whole character, too, when bytes behind it are none.
        broken = not together.startswith(before)
        return self._decode(self._open) if broken else together[len(before) :]

    def _settle(self, new: str) -> None:
        """Add what is certain of the text of the open tokens."""
        if len(new) <= self._settled:
            return
        since = max(0, len(self.text) - self._longest_stop + 1)
        self.text += new[self._settled :]
        self._settled = len(new)
        ends = [end for stop in self._stops if (end := self.text.find(stop, since)) >= 0]
        if ends:
            self.text, self.stopped = self.text[: min(ends)], True

    def _held_back(self) -> int:
        """How many characters at the end may be the beginning of a stop."""
        for length in range(min(self._longest_stop - 1, len(self.text)), 0, -1):
            if any(stop.startswith(self.text[-length:]) for stop in self._stops):
                return length
        return 0

    def _give(self, end: int) -> str:
        piece = self.text[self._given : max(end, self._given)]
        self._given += len(piece)
        return piece
