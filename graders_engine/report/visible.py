"""Text from rows, made safe to look at: nothing in it moves the cursor, turns the text or hides."""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen; bidi marks
    "\u2028\u2029"  # line ends of their own
    "\ud800-\udfff\ufffe\uffff"  # lone surrogates and what is no character
    "\U000e0000-\U000e0fff"  # tags: invisible text
    "]"
)


def visible(text: str) -> str:
    r"""The text with every character that is not seen, or that changes how others are seen, as `\u202e`.

    Tab and newline stay; "\r\n" becomes a newline.
    """
    return _HIDDEN.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str, most: int) -> str:
    """The text's beginning on one line, at most `most` characters, safe to look at."""
    shown = " ".join(visible(text[: 4 * most]).split())
    return shown if len(shown) <= most and len(text) <= 4 * most else shown[: most - 1] + "…"


def cut(text: str, most: int) -> tuple[str, int]:
    """The text's beginning, safe to look at, and about how many characters were left out."""
    shown = visible(text[:most])
    # An escape is longer than what it stands for: a text full of them is cut earlier.
    return shown[:most], max(len(text) - most, len(shown) - most, 0)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
