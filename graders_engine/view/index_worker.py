"""`python -m graders_engine.view.index_worker`: makes texts searchable, or tries an expression on them.

It is a process of its own, so that answers do not wait for it, and so that an expression that never ends can
be stopped. It reads one JSON line from standard input, and writes one for each step.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from graders_engine.view.columns import SEPARATOR
from graders_engine.view.folded import Segment, from_json

_ALIVE_S = 0.5
"""It says at least so often that it goes on."""


def main() -> None:
    """Do what standard input says."""
    task = json.loads(sys.stdin.buffer.readline())
    steps = _match(task) if "pattern" in task else _build(task)
    try:
        for step in steps:
            sys.stdout.write(json.dumps(step) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:  # nobody wants it any more
        sys.stderr.close()


def _build(task: dict[str, Any]) -> Iterator[Any]:
    texts = from_json(task["data"])
    for number in task["segments"]:
        if not texts.is_there(number):
            texts.build(number)
        yield number


def _match(task: dict[str, Any]) -> Iterator[Any]:
    """Of each segment that is asked for, the texts with a match, and the place of the first one in them.

    What is asked for comes line by line: the path of a segment, or of texts with the path of their offsets.
    """
    pattern = compiled(task["pattern"])
    for asked in iter(sys.stdin.buffer.readline, b""):
        path, starts = json.loads(asked)
        yield from _matches(pattern, _segment(Path(path), starts))


def _segment(path: Path, starts: str | None) -> Segment:
    if starts is None:
        return Segment.read(path)
    offsets = np.fromfile(starts, np.int64)
    return Segment(path.read_bytes(), offsets, np.empty(0, np.int64))


def _matches(pattern: re.Pattern[str], segment: Segment) -> Iterator[Any]:
    found: list[tuple[int, int, int]] = []
    said = time.monotonic()
    for at, text in enumerate(segment.text.split(SEPARATOR)[:-1]):
        match = pattern.search(text.decode(errors="surrogatepass"))
        if match is not None:
            found.append((at, *match.span()))
        if at % 64 == 0 and time.monotonic() - said > _ALIVE_S:
            said = time.monotonic()
            yield None
    yield found


def compiled(pattern: str) -> re.Pattern[str]:
    """An expression for folded texts: its letters beyond ASCII are folded as the texts are.

    Raises:
        re.error: it is none.
        RecursionError, OverflowError: it is too large.
    """
    folded = "".join(each if each.isascii() else _folded(each) for each in pattern)
    return re.compile(folded, re.IGNORECASE | re.MULTILINE)


def _folded(letter: str) -> str:
    found = letter.casefold()
    return found if len(found) == 1 else f"(?:{found})"


if __name__ == "__main__":
    main()
