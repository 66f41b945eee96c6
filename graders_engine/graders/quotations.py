"""Whether a verdict at the end of a judge's answer may be one that it quotes from what it was asked.

A row may hold an object in the form of a verdict, and a judge may quote it behind its own verdict, which may
be prose. Judges quote with other blanks, quotation marks and keys in another order. So an object whose result
the row states, and whose texts all stand in the request, is the judge's own only where nothing but the same
verdict stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from graders_engine.graders.last_object import TAIL_CHARS, without_objects
from graders_engine.models.base import ModelRequest, TextPart

_ESCAPE = re.compile(r"\\u(00[2-7][0-9a-fA-F])")
_BLANK = re.compile(r"[\s\\]+")
_MARKS = "\"'`\u201c\u201d\u2018\u2019"
_STATED = re.compile(rf"(?:[{{,]|[{_MARKS}])result[{_MARKS}]?:[{_MARKS}]?")
"""What stands before the value of `result`, in a text without blanks; also in what is not quite JSON."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
_TOKEN = re.compile(
    r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?![%\w])|%|\w+(?:['\u2019]s)?|[\u2190-\u2bff\U0001f000-\U0001faff]"
)
"""A number, a word, or a sign that says something, such as a cross."""
_VERDICT_WORDS = frozenset({
    "here", "here's", "this", "it", "is", "my", "i", "the", "a", "so", "as", "of", "for", "in",
    "give", "assign", "rate", "final", "overall", "requested", "following", "result", "score",
    "verdict", "rating", "grade", "label", "evaluation", "judgment", "judgement", "assessment",
    "json", "object", "format", "sure", "certainly", "okay", "ok",
})  # fmt: skip
"""What a sentence that only names a verdict, or announces it, consists of; no word of them reports a text."""


class Asked:
    """What a judge was asked; its texts are joined when that is first looked at.

    Args:
        request: the whole of it; None if that is not known.
        prompt: the grader's own texts in it. An object that only these hold is an example.
    """

    __slots__ = ("_prompt", "_request", "_text")

    def __init__(self, request: ModelRequest | None, prompt: Sequence[str] = ()) -> None:
        self._request, self._prompt, self._text = request, prompt, ""

    def __call__(self, text: str) -> bool:
        """Whether it contains a text, in any case, with any blanks and escapes."""
        return _plain(text) in self._whole()

    def holds(self, verdict: dict[str, Any]) -> bool:
        """Whether a verdict may be taken from it, in whatever form it stands there."""
        return self._states(verdict, examples=True)

    def row_holds(self, verdict: dict[str, Any]) -> bool:
        """Whether it may be taken from the row, and not only from an example of the grader's."""
        return self._states(verdict, examples=False)

    def _whole(self) -> str:
        if self._request is not None and not self._text:
            parts = (part for message in self._request.messages for part in message.parts)
            self._text = "\n".join(
                _plain(part.text) for part in parts if isinstance(part, TextPart)
            )
        return self._text

    def _states(self, verdict: dict[str, Any], *, examples: bool) -> bool:
        result, whole = verdict.get("result"), self._whole()
        in_prompt = 0 if examples else _count(map(_plain, self._prompt), result)
        if _count([whole], result) <= in_prompt:
            return False
        others = [part for key, part in verdict.items() if key != "result"]
        return all(_plain(text) in whole for text in _texts(others))


def says_only(before: str, result: Any) -> bool:
    """Whether what stands before a verdict is nothing, the same verdict, or announces one.

    Args:
        before: the text.
        result: the verdict's.
    """
    if len(before) > TAIL_CHARS:
        return False
    words = without_objects(before)
    if isinstance(result, str):
        words = re.sub(rf"(?i)(?<!\w){re.escape(result)}(?!\w)", " ", words)
    return all(
        token.lower().replace("\u2019", "'") in _VERDICT_WORDS or _is_number(token, result)
        for token in _TOKEN.findall(words)
    )


def _count(texts: Iterable[str], result: Any) -> int:
    """How often texts without blanks state this result."""
    return sum(
        _begins(text, found.end(), result) for text in texts for found in _STATED.finditer(text)
    )


def _begins(text: str, at: int, result: Any) -> bool:
    """Whether a value begins at a place."""
    if isinstance(result, str):
        label = _plain(result)
        return (
            text.startswith(label, at) and not text[at + len(label) : at + len(label) + 1].isalnum()
        )
    number = _NUMBER.match(text, at)
    return number is not None and _is_number(number[0], result)


def _is_number(text: str, result: Any) -> bool:
    try:
        return not isinstance(result, str) and float(text) == result
    except ValueError:
        return False


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that say anything."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, str) and any(map(str.isalnum, one)):
            yield one


def _plain(text: str) -> str:
    """A text in small letters, without blanks and escapes: judges quote rows with others."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if "&" in text:
        import html  # its table of names takes time to load

        text = html.unescape(text)
    return _BLANK.sub("", text).lower()
