"""The keys that requests carry: not shown with an address, and taken out of all that comes back.

An endpoint may repeat a key in an error, in an answer or in a header, as it is or encoded. What is found is
replaced by `***`: as plain text, in the escapes of JSON, of addresses and of HTML, in hexadecimal and in
base64, in any case of letters, and with blanks in it. An answer with a key in a mixture of these, which
cannot be replaced, is not used at all.

What people give to servers that want no key (`none`, `x`, `EMPTY`, `1`, `anything`) must not change an honest
answer. So a value is a key if it has

- 8 characters or more, one of them a letter, and is not a single word of fewer than 16 letters; or
- 6 or 7 characters, letters as well as digits; or
- 16 characters or more of any kind, so that numbers in answers stay as they are.

Other values are masked together with their names only, as in `api-key=zzz`; and so are the usual values for a
server that wants none, such as `not-needed`, `sk-no-key-required` or `lm-studio`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from graders_engine.models.keys.patterns import patterns
from graders_engine.models.keys.views import flat, needles, views

SCHEMES = ("http://", "https://")
UNREADABLE = "(an address that cannot be read)"
_STRANGE = r"[\x00-\x20\x7f\\]"
"""Readers of addresses drop these, or disagree about them."""
_PLAIN = r"(?i)[a-z][a-z0-9+.-]*://[\w.-]+(:\d+)?/?"
MASK = "***"
MAX_MASKED_BYTES = 1 << 17
"""A longer text that holds a key is not used: the search for its forms takes 0.2 s for this length."""
PUBLIC_NAMES = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "after", "anthropic-beta", "anthropic-version",
        "api-version", "content-encoding", "content-type", "deployment", "http-referer", "limit", "model",
        "openai-beta", "order", "origin", "referer", "user-agent", "x-title",
    }
)  # fmt: skip
"""Headers and parameters whose values are no keys; an answer may repeat them, such as a model's name."""
_LIKE_A_KEY = r"(?i)key|token|secret|passw|auth|credential|signature"
"""Names of keys in the body of a request, which consists of other things."""
_SCHEME = r"(?i)(?:bearer|basic|token|apikey|api-key|key)\s+(\S.*)"
_WORD = r"[A-Z]?[a-z]+|[A-Z]+"
_PLACEHOLDER = (
    r"(?i)(?:sk-)?(?:not?[-_ ](?:needed|required|used|set)"
    r"|no[-_ ](?:api[-_ ])?key(?:[-_ ](?:needed|required))?"
    r"|(?:fake|dummy|test|local|your|my|any|empty|placeholder)"
    r"(?:[-_ ](?:openai|api|dummy|fake))*[-_ ]?(?:key|token)?"
    r"|lm[-_ ]studio|key[-_ ]?123|1234|(.)\1*|(?:0?123456789)+0?|1234567890123456)"
)


def read_address(url: str) -> SplitResult:
    """The parts of an address; blanks around it do not count.

    Two readers may find different hosts in an address with an `@`, `?`, `#` or `/` in its password, and one
    of them would show the rest of it. So an `@` is allowed once, before the host.

    Raises:
        ValueError: it is not an http address, or it can be read in several ways. The message, a part of a
            sentence, repeats nothing of it.
    """
    url = url.strip()
    if not url.lower().startswith(SCHEMES):
        raise ValueError("must start with http:// or https://, as in http://localhost:11434/v1")
    if re.search(_STRANGE, url):
        raise ValueError("must not hold blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may repeat a password
        parts = None
    if parts is None:
        raise ValueError("is not an address")
    user, _, host = parts.netloc.rpartition("@")
    if url.count("@") > bool(user or "@" in parts.netloc):
        raise ValueError(
            "can be read in several ways: an @ may only stand before the host; write %40 elsewhere"
        )
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if colon and port and not (port.isascii() and port.isdigit()):
        raise ValueError("has a port that is not a number; write : as %3A in a password")
    if colon and port and int(port[:6]) > 65535:
        raise ValueError("has a port above 65535")
    if not parts.hostname or (colon and not name):
        raise ValueError("names no host")
    if "%" in host and not host.startswith("["):
        raise ValueError("has a % in its host")
    return parts


def without_secrets(url: str) -> str:
    """An address as messages show it: what stands before the host, behind `?`, `#` or `;` may be a key."""
    try:
        parts = read_address(url)
    except ValueError:
        return UNREADABLE
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.partition(';')[0]}"


def is_plain(text: str) -> bool:
    """Whether a text is a name or a setting, which messages may repeat, and no address."""
    return re.fullmatch(r"[\w.=-]{1,64}", text) is not None


def may_hold_key(text: str) -> bool:
    """Whether the source of a grader may hold a key: it has headers, or an address with more than a path."""
    return re.search(r"\bheaders\b|://\S*[@?#;]", text) is not None


def quoted_if_plain(url: str) -> str:
    """For a message about a wrong address: itself if it is a scheme and a host alone; else no word of it."""
    return f"'{url}'" if re.fullmatch(_PLAIN, url) else "this"


class Unmaskable(ValueError):
    """Raised for a text that holds a key in a form that cannot be replaced."""


class Secrets:
    """The keys of some endpoints.

    Args:
        more: other keys that are masked as well, those that are added to it later included.
    """

    def __init__(self, more: Secrets | None = None) -> None:
        self._groups: tuple[Secrets, ...] = (self, *(more._groups if more else ()))
        self._texts: set[str] = set()
        self._needles: frozenset[bytes] = frozenset()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._texts)} keys)"

    def add(self, text: str) -> None:
        """A key, if it differs enough from ordinary words."""
        text = text.strip()
        if text not in self._texts and _is_key(text):
            self._texts.add(text)
            found = {needle for known in self._texts for needle in needles(known)}
            # What holds another needle is found by that one.
            self._needles = frozenset(
                needle for needle in found if not any(other in needle for other in found - {needle})
            )

    def add_values(self, values: Mapping[str, str]) -> None:
        """The values of headers, or of parameters of an address."""
        for name, value in values.items():
            if name.lower() == "cookie":
                self.add_values(dict(parse_qsl(value.replace(" ", ""), separator=";")))
            else:
                self._add_value(name, value)

    def _add_value(self, name: str, value: str) -> None:
        if name.lower() in PUBLIC_NAMES:
            return
        self.add(value)
        if scheme := re.match(_SCHEME, value):
            self.add(scheme[1])
            value = scheme[1]
        if not _is_key(value):
            for between in ("=", ":", '":"', "':'"):
                self.add(f"{name}{between}{value}")
        if value.isascii() and (decoded := _user_and_password(value)):
            self._add_user(decoded)

    def _add_user(self, user_and_password: str) -> None:
        self.add(user_and_password)
        for part in user_and_password.split(":", 1):
            self.add(part)

    def add_address(self, url: str) -> None:
        """What an address may hold besides the host and the path."""
        parts = read_address(url)
        if user := parts.netloc.rpartition("@")[0]:
            self._add_user(unquote(user))
        for query in (parts.query, parts.fragment, *parts.path.split(";")[1:]):
            for name, value in parse_qsl(query, keep_blank_values=True):
                self._add_value(name, value)
            if "=" not in query:
                self.add(unquote(query))

    def add_body(self, value: Any, *, secret: bool = False) -> None:
        """The keys in the body of a request: what stands under names such as `api_key` or `token`."""
        if isinstance(value, str) and secret:
            self._add_value("", value)
        elif isinstance(value, Mapping):
            for name, part in value.items():
                self.add_body(part, secret=secret or bool(re.search(_LIKE_A_KEY, str(name))))
        elif isinstance(value, list):
            for part in value:
                self.add_body(part, secret=secret)

    def mask(self, text: bytes) -> bytes:
        """The text with `***` in place of each key.

        Raises:
            Unmaskable: a key is in it in a form that cannot be replaced, or the text is too long for it.
        """
        if not self._found_in(text):
            return text
        if len(text) > MAX_MASKED_BYTES:
            raise Unmaskable
        if b"\0" in text:
            text = self._in_utf8(text)
        known = {key for group in self._groups for key in group._texts}
        for key in sorted(known, key=len, reverse=True):
            text = _without_key(text, key)
        if self._found_in(text):
            raise Unmaskable
        return text

    def mask_text(self, text: str) -> str:
        """As `mask`; a text in which a key cannot be replaced becomes `***`."""
        try:
            return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
        except Unmaskable:
            return MASK

    def _in_utf8(self, text: bytes) -> bytes:
        """A text in UTF-16 or UTF-32, as JSON's readers detect them."""
        short = text.replace(b"\0", b"")
        return short if self._found_in(short) else _recoded(text)

    def _found_in(self, text: bytes) -> bool:
        searched = frozenset[bytes]().union(*(group._needles for group in self._groups))
        wide = not all(key.isascii() for group in self._groups for key in group._texts)
        return bool(searched) and _holds(text, searched, wide=wide)


def _holds(text: bytes, searched: frozenset[bytes], *, wide: bool) -> bool:
    texts = [text, _recoded(text)] if wide and b"\0" in text else [text]
    return any(
        needle in view for part in texts for view in views(part, wide=wide) for needle in searched
    )


def _without_key(text: bytes, key: str) -> bytes:
    """With `***` in place of the forms of a key that can be replaced."""
    for pattern in patterns(key):
        if not _holds(text, needles(key), wide=not key.isascii()):
            break
        text = pattern.sub(MASK.encode(), text)
    return text


def _recoded(text: bytes) -> bytes:
    """In UTF-8 what JSON's readers take for another encoding of Unicode."""
    return text.decode(json.detect_encoding(text), "replace").encode("utf-8", "replace")


def _is_key(text: str) -> bool:
    if re.fullmatch(_PLACEHOLDER, text):
        return False
    count = len(flat(text.encode("utf-8", "replace")))
    letters = any(map(str.isalpha, text))
    if count >= 16:
        return True
    if count >= 8:
        return letters and not re.fullmatch(_WORD, text)
    return count >= 6 and letters and any(map(str.isdigit, text))


def _user_and_password(value: str) -> str:
    """What Basic authorisation encodes; empty for another value."""
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""
    return decoded if ":" in decoded and decoded.isprintable() else ""
