"""What is typed into the search: words, "phrases", and /regular expressions/."""

from __future__ import annotations

import re
from typing import NamedTuple

from graders_engine.errors import InvalidRequest
from graders_engine.view.query import row_key
from graders_engine.view.searching.expression_worker import compiled
from graders_engine.view.searching.fold import fold

MAX_TERMS = 20
"""Words and expressions of a search."""
MAX_EXPRESSIONS = 3
"""Regular expressions of a search: each takes a process."""
_TERM = re.compile(r'"([^"]*)(?:"(?=\s|$)|$)|/(.+?)/(?=\s|$)|(\S+)', re.DOTALL)


class Term(NamedTuple):
    """One thing that a row must have.

    Attributes:
        word: folded, as UTF-8; empty for an expression.
        pattern: a regular expression; empty for a word.
    """

    word: bytes = b""
    pattern: str = ""

    @property
    def text(self) -> str:
        """The word as text, folded."""
        return self.word.decode(errors="surrogatepass")

    @property
    def row_name(self) -> str:
        """The word if it is the name of a row such as 68#2; else empty."""
        text = self.text
        return text if "#" in text and row_key(text) else ""

    def implies(self, other: Term) -> bool:
        """Whether every text that has this has the other one, too."""
        if self.pattern or other.pattern or self.row_name or other.row_name:
            return self == other  # the name of a row is found where its text need not be
        return other.word in self.word


def parse_terms(q: str) -> tuple[Term, ...]:
    """What a search asks for; all of it must be in a row.

    Raises:
        InvalidRequest: an expression is none, or there are too many.
    """
    terms: dict[Term, None] = {}
    for phrase, pattern, word in _TERM.findall(q):
        if pattern:
            _require(pattern)
            terms[Term(pattern=pattern)] = None
        elif phrase or word:
            terms[Term(fold(phrase or word))] = None
    if len(terms) > MAX_TERMS or sum(bool(term.pattern) for term in terms) > MAX_EXPRESSIONS:
        raise InvalidRequest(
            f"A search has at most {MAX_TERMS} words and {MAX_EXPRESSIONS} regular expressions."
        )
    return tuple(terms)


def _require(pattern: str) -> None:
    try:
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidRequest(
            f"/{pattern}/ is no regular expression: {error}. To find the slashes themselves, put "
            "it in quotation marks."
        ) from None
