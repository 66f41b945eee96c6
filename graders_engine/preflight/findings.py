"""What a check says: findings, or why it was not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Severity = Literal["info", "warning", "error"]
"""How grave a finding is. `error`: the service would refuse the job, or no answer can change the reward."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""All severities, the least grave first."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a finding is.

    Attributes:
        file: the file's name as it was given; empty for a value that came from no file.
        line: the line in it, from 1; 0 for the file as a whole.
        path: the path in a JSON value, such as `graders.exact.input`; empty for none.
    """

    file: str = ""
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        """`train.jsonl:12`, `job.json: method.type`."""
        line = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (line, self.path)))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        id: the check's.
        severity: how grave it is.
        message: one or two sentences with their numbers, for people; no full stop is missing.
        fix: what to do about it; one sentence.
        where: the places to look at, the most telling first.
        rows: how many rows it concerns; None where that is no question.
        numbers: the numbers of the message, for programs.
        details: further lines: a caret, samples with what they earned.
        see: a command that shows it, to be copied; empty for none.
        silences: whether the checks that depend on this one are not asked. An error always does.
    """

    id: str
    severity: Severity
    message: str
    fix: str = ""
    where: Sequence[Location] = ()
    rows: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    details: Sequence[str] = ()
    see: str = ""
    silences: bool = False

    @property
    def is_root(self) -> bool:
        """Whether what depends on its check follows from it."""
        return self.silences or self.severity == "error"


@dataclass(frozen=True, slots=True)
class NotChecked:
    """What a check gives if it cannot be answered with these inputs.

    Attributes:
        why: a clause, such as `no reference answers: name their field with --reference-field`.
    """

    why: str
