"""`python -m graders_engine.view.searching.expression_worker`: tries a regular expression on folded texts.

It is a process of its own because an expression may never end, and nothing else can stop it. It reads the
expression and its limit from the first line of standard input, as JSON, and from each other line the path of
a file with texts and the offset at which they begin; it writes a line for each file, and "null" meanwhile.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from graders_engine.view.searching.fold import SEPARATOR

_FEW = 16
_ALIVE_S = 0.5
"""It says at least so often that it is alive."""


def main() -> None:
    """Do what standard input says."""
    source, cpu_s = json.loads(sys.stdin.buffer.readline())
    pattern = compiled(source)
    try:
        for asked in iter(sys.stdin.buffer.readline, b""):
            path, start = json.loads(asked)
            for step in _matches(pattern, Path(path).read_bytes()[start:], cpu_s):
                sys.stdout.write(json.dumps(step) + "\n")
                sys.stdout.flush()
    except BrokenPipeError:  # nobody wants it any more
        sys.stderr.close()


def _matches(pattern: re.Pattern[str], texts: bytes, cpu_s: float) -> Iterator[list[int] | None]:
    """The numbers of the texts with a match; a few of them may take `cpu_s` seconds, or the process ends."""
    found: list[int] = []
    spoke_at = time.monotonic()
    for at, text in enumerate(texts.split(SEPARATOR)[:-1]):
        if at % _FEW == 0:
            _limit(cpu_s)
            if time.monotonic() - spoke_at > _ALIVE_S:
                spoke_at = time.monotonic()
                yield None
        if pattern.search(text.decode(errors="surrogatepass")):
            found.append(at)
    yield found


def _limit(cpu_s: float) -> None:
    """End this process when it has computed for so long from now on."""
    if sys.platform != "win32":  # there, the other process has to notice the silence
        signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)


_ESCAPED = r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}"
_PARTS = re.compile(rf"{_ESCAPED}|\\?.", re.DOTALL)


def compiled(pattern: str) -> re.Pattern[str]:
    """An expression for folded texts, in which some letters beyond ASCII are two: "ß" is "ss".

    Raises:
        re.error: it is none.
        RecursionError, OverflowError: it is too large.
    """
    found: list[str] = []
    opened = -1  # where the brackets begin that this part is in
    for part in map(_plain, _PARTS.findall(pattern)):
        if opened < 0:
            opened = len(found) if part == "[" else -1
            found.append(part if part.isascii() else _folded(part[-1]))
            continue
        found.append(part)
        if part == "]" and "".join(found[opened:-1]) not in ("[", "[^"):
            found[opened:] = _brackets(found[opened:])
            opened = -1
    return re.compile("".join(found), re.IGNORECASE | re.MULTILINE)


def _plain(part: str) -> str:
    """A part of an expression; of the number of a letter beyond ASCII, the letter."""
    number = int(f"0x{part[2:]}", 0) if re.fullmatch(_ESCAPED, part) else 0
    return chr(number) if 128 <= number <= sys.maxunicode else part


def _folded(letter: str) -> str:
    found = letter.casefold()
    return found if len(found) == 1 else f"(?:{found})"


def _brackets(parts: list[str]) -> list[str]:
    """Brackets for one letter of several, of which some may be two.

    Raises:
        re.error: they are for any letter but some, of which one is two.
    """
    twos = sorted({letter for letter in _letters(parts) if len(letter.casefold()) > 1})
    if twos and parts[1] == "^":
        raise re.error(
            f"differences of case do not count, so {twos[0]} is the letters {twos[0].casefold()}, which "
            "[^brackets] cannot leave out"
        )
    each = "".join(f"|{folded}" for folded in sorted({letter.casefold() for letter in twos}))
    return ["(?:", *parts, each, ")"] if twos else parts


def _letters(parts: list[str]) -> Iterator[str]:
    """The letters beyond ASCII that brackets are for."""
    for at, part in enumerate(parts):
        if part.isascii():
            continue
        first = parts[at - 2] if at > 2 and parts[at - 1] == "-" else part
        # An escape such as \d begins no range.
        begins = ord(first[-1]) if len(first) == 1 or not first[-1].isalnum() else ord(part[-1])
        yield from map(chr, range(max(begins, 128), ord(part[-1]) + 1))


if __name__ == "__main__":
    main()
