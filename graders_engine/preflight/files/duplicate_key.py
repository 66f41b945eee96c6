"""An object names a key twice.

Why: JSON readers keep the last value, and say nothing; a value that you see in the file is not the one that
is used.

Example: `{"messages": […], "answer": "7", "answer": "9"}` is a row with the answer 9.

To mend it: keep one of the two in each line that is named.

Ignore it when: both have the same value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.language import strict_json
from graders_engine.preflight.check import WHY_NOT, Answer, Check
from graders_engine.preflight.data_file import DataFile
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs

_SHOWN = 5


def _ask(inputs: Inputs) -> Answer:
    if not inputs.files:
        return NotChecked(WHY_NOT["train"])
    files = [file for file in inputs.files if file.form == "jsonl" and file.readable]
    return _findings(files) if files else NotChecked("no line of JSONL can be read")


def _findings(files: Sequence[DataFile]) -> Iterator[Finding]:
    for file in files:
        lines = list(_lines(file))
        if lines:
            yield Finding(
                "duplicate-key",
                "warning",
                f"{len(lines)} lines of {file.name} name a key twice in one object; the last value counts.",
                "Keep one of the two.",
                where=[Location(file.name, line) for line in lines[:_SHOWN]],
                rows=len(lines),
            )


def _lines(file: DataFile) -> Iterator[int]:
    with file.file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if _repeats(line):
                yield number


def _repeats(line: bytes) -> bool:
    try:
        strict_json.decode_unique(line)
    except strict_json.RepeatedKey:
        return True
    except ValueError:
        return False
    return False


CHECK = Check("duplicate-key", "files", _ask)
