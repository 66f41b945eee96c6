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


_PARTS = re.compile(r"\\?.", re.DOTALL)


def compiled(pattern: str) -> re.Pattern[str]:
    """An expression for folded texts: its letters beyond ASCII are folded as the texts are.

    Raises:
        re.error: it is none.
        RecursionError, OverflowError: it is too large.
    """
    found: list[str] = []
    opened = -1  # where the brackets begin that this part is in
    for part in _PARTS.findall(pattern):
        if not part.isascii():
            found.append(_folded(part[-1], in_brackets=opened >= 0))
            continue
        if part == "[" and opened < 0:
            opened = len(found)
        elif part == "]" and opened >= 0 and "".join(found[opened:]) not in ("[", "[^"):
            opened = -1
        found.append(part)
    return re.compile("".join(found), re.IGNORECASE | re.MULTILINE)


def _folded(letter: str, *, in_brackets: bool) -> str:
    """A letter beyond ASCII; as some letters are two without differences of case.

    Raises:
        re.error: it is two, and stands for one of several.
    """
    found = letter.casefold()
    if len(found) == 1:
        return found
    if in_brackets:
        raise re.error(
            f"differences of case do not count, so {letter} is the letters {found}, which cannot stand in "
            f"[brackets]: write (?:[...]|{found})"
        )
    return f"(?:{found})"


if __name__ == "__main__":
    main()
