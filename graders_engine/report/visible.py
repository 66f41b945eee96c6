"""Text from rows made safe to display: it cannot move the cursor, change the reading direction or hide."""

from __future__ import annotations

import re

from graders_engine.report.width import cut_end, cut_middle

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible; bidi marks
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff\ufffe\uffff"  # lone surrogates and noncharacters
    "\U000e0000-\U000e0fff"  # tags: invisible text
    "]"
)


def visible(text: str) -> str:
    r"""The text with each character that is invisible, or changes how others are displayed, as `\u202e`.

    Tab and newline stay; "\r\n" becomes a newline.
    """
    if text.isprintable():  # most names and short texts: ten times faster than a search
        return text
    return _HIDDEN.sub(_escape, text.replace("\r\n", "\n"))


def visible_json(text: str) -> str:
    """JSON text with the same values, in which no string has a character that `visible` would replace."""
    return _HIDDEN.sub(_json_escape, text)


def one_line(text: str, columns: int) -> str:
    """The start of the text on one line of at most so many columns, safe to display."""
    line = " ".join(visible(text[: 4 * columns]).split())
    return cut_end(line if len(text) <= 4 * columns else f"{line} …", columns)


def shorten(text: str, max_chars: int) -> str:
    """The text on one line of at most `max_chars` columns, cut in the middle; safe to display.

    Long names often differ only at their ends.
    """
    return cut_middle(" ".join(visible(text).split()), max_chars)


def cut(text: str, max_chars: int) -> tuple[str, int]:
    """The start of the text, safe to display, and about how many characters were left out."""
    safe = visible(text[:max_chars])
    # An escape is longer than the character it stands for, so a text full of them is cut earlier.
    return safe[:max_chars], max(len(text) - max_chars, len(safe) - max_chars, 0)


def start_of(text: str, max_chars: int) -> str:
    """The start of the text with its line breaks, safe to display, and "…" if that is not all."""
    start, left_out = cut(text, max_chars)
    return f"{start}…" if left_out else start


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
