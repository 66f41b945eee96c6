"""Where data is: a file of this machine, or what a URL names, whose secrets are never in a message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from graders_engine.errors import InvalidRequest

MASK = "***"
"""Stands for what may be a secret."""
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
"""A scheme of one letter is the drive of a Windows path. `./s3:…` is a path of this machine."""
_SAFE = frozenset(("versionId", "version_id", "generation"))
"""Parameters of a query that messages repeat; the value of any other may be a signature, a token or a key."""
_ENCODED = frozenset(("http", "https"))
"""Schemes whose paths have `%20` for a blank."""
_WITH_QUERY = _ENCODED | {"s3", "s3a"}
"""Schemes whose URLs may have a query; in the names of other stores, `?` is a character as any."""
_SHORTEST_SECRET = 4
"""Shorter values are left in what others say: they would be found in any text."""


class Url:
    """A URL as it was given. Its text, `str(url)`, has no secrets.

    ::

        str(Url("https://me:pass@host/rows.jsonl?sig=4f2a"))  # https://***@host/rows.jsonl?sig=***

    Args:
        given: the whole URL.

    Attributes:
        given: the same, with its secrets: for those who open it, and for nobody else.
        scheme: such as `s3`, in lower case.
        name: the last part of its path, as a file's name.
        suffix: the ending of that name, with its dot.
        secrets: what its text lacks of it: user and password, and what a query says.
        is_recorded: whether it comes out of a results file, which may be anybody's: it is not fetched.

    Raises:
        InvalidRequest: it has no host, or nothing tells where its password ends.
    """

    __slots__ = ("_text", "given", "is_recorded", "name", "scheme", "secrets", "suffix")

    def __init__(self, given: str) -> None:
        self.given, self.is_recorded = given, False
        scheme, _, rest = given.partition("://")
        self.scheme = scheme.lower()
        self.secrets: list[str] = []
        query = fragment = mark = ""
        if self.scheme in _ENCODED:
            rest, _, fragment = rest.partition("#")
        if self.scheme in _WITH_QUERY:
            rest, mark, query = rest.partition("?")
        place, slash, path = rest.partition("/")
        user, at, host = place.rpartition("@")
        _require_host(host, f"{path}{query}{fragment}" if not at else "")
        self.secrets += [part for part in user.split(":") if part]
        text = f"{self.scheme}://{f'{MASK}@' if at else ''}{host}{slash}{path}"
        self._text = f"{text}{mark}{self._without_values(query)}{f'#{MASK}' if fragment else ''}"
        self.secrets += [fragment] if fragment else []
        name = PurePosixPath(unquote(path) if self.scheme in _ENCODED else path)
        self.name, self.suffix = name.name or host, name.suffix

    def _without_values(self, query: str) -> str:
        parts = []
        for parameter in query.split("&") if query else ():
            name, equals, value = parameter.partition("=")
            if equals and name in _SAFE:
                parts.append(parameter)
            else:  # without a name, it is a value
                self.secrets.append(value if equals else name)
                parts.append(f"{name}={MASK}" if equals else MASK)
        return "&".join(parts)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Url({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and other.given == self.given

    def __hash__(self) -> int:
        return hash(self.given)

    def without_secrets(self, text: str) -> str:
        """What somebody else says of it, without its secrets, however they are spelled."""
        text = text.replace(self.given, self._text)
        spelled = {
            spelling
            for secret in self.secrets
            for spelling in (secret, unquote(secret), quote(unquote(secret), safe=""))
        }
        for spelling in sorted(spelled, key=len, reverse=True):
            if len(spelling) >= _SHORTEST_SECRET:
                text = text.replace(spelling, MASK)
        return text


_HERE = re.compile(r"[./~\\]|[A-Za-z]:[/\\]")
"""How a path begins that can be nothing else."""
_LIKE_A_URL = re.compile(
    r":/.*[@?]|\A\s+[A-Za-z][A-Za-z0-9+.-]+:/|\A\s*[A-Za-z][A-Za-z0-9+.-]+::[A-Za-z]+:/", re.DOTALL
)
"""A text that was meant as a URL, perhaps: taken for a path, its password would be in messages."""
_CHAIN = re.compile(r"::[A-Za-z][A-Za-z0-9+.-]*://")

Location = Path | Url
"""A file of this machine, or what a URL names."""


def location(text: Location | str) -> Location:
    """What a text names: a URL has a scheme of two letters at least, and `://`; `file://` is a path.

    A file of this machine whose name looks like a URL is reached as `./s3:…`.

    Raises:
        InvalidRequest: it is nearly a URL, or a chain of them, and may have a password.
    """
    if not isinstance(text, str):
        return text
    found = _URL.match(text)
    nearly = _LIKE_A_URL.search(text) if found is None and not _HERE.match(text) else None
    if nearly or (found and _CHAIN.search(text)):
        raise InvalidRequest(
            "What looks like a URL cannot be read, and is not repeated here, because it may have a password: "
            "a URL is SCHEME://HOST/PATH, without blanks before it and without '::'; a file of this machine "
            "with such a name is ./NAME."
        )
    if found is None:
        return Path(text)
    if found["scheme"].lower() == "file":
        from urllib.request import url2pathname  # with all of http, which few commands need

        return Path(url2pathname(urlsplit(text).path))
    return Url(text)


def files_among(places: Iterable[Location]) -> list[Path]:
    """Those that are files of this machine."""
    return [place for place in places if isinstance(place, Path)]


def _require_host(host: str, rest: str) -> None:
    """Check where a URL's host ends: a password with `/` in it would be taken for a path, and repeated.

    Raises:
        InvalidRequest: there is no host, or an `@` behind it belongs to a password, perhaps.
    """
    _, colon, port = host.rpartition(":")
    if (
        not host
        or (colon and "@" in rest and not host.endswith("]"))
        or (colon and not port.isdecimal() and not host.endswith("]"))
    ):
        raise InvalidRequest(
            "The URL cannot be read: it is SCHEME://HOST/PATH, or SCHEME://USER:PASSWORD@HOST/PATH with "
            "%2F, %3F, %23 and %40 for /, ?, # and @ in the password, and %40 for @ in the path."
        )
