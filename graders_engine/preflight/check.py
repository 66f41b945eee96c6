"""What a check is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from sys import modules
from typing import TYPE_CHECKING, Literal, get_args

from graders_engine.preflight.findings import Finding, NotChecked

if TYPE_CHECKING:
    from graders_engine.preflight.data_file import Collector
    from graders_engine.preflight.inputs import Inputs

Group = Literal["request", "files", "grader", "rows", "samples"]
"""What a check looks at: the job's request, the files, the grader alone, what it gives, the samples."""
GROUPS: tuple[Group, ...] = get_args(Group)

Need = Literal["job", "train", "validation", "grader", "references", "samples"]
"""What a check needs to be asked at all."""
WHY_NOT: dict[Need, str] = {
    "job": "no --job",
    "train": "no --train",
    "validation": "no --validation",
    "grader": "no grader that can be compiled",
    "references": "no reference answers: name their field with --reference-field",
    "samples": "no --samples",
}
"""Why a check is not asked, by what is missing."""

BUDGET_SPENT = "the budget for judges was spent before"
"""Why a check is not asked whose answers were not all graded."""

Answer = Iterable[Finding] | NotChecked
Ask = Callable[["Inputs"], Answer]


@dataclass(frozen=True, slots=True)
class Check:
    """One question of preflight.

    Attributes:
        id: its name, which findings, `--ignore` and `--select` use.
        group: what it looks at.
        ask: gives its findings; none at all means that all is well.
        needs: what must be there.
        collects: makes what sees every row of each file while it is read, from the inputs that need no file;
            `DataFile.collected` gives it back, by its class.
        silenced_by: the checks of which this one's findings would be consequences: if one of them has a
            finding that `is_root`, this one is not asked.
        again: whether it is asked again when answers have been graded: what they earn tells how grave its
            findings are.
    """

    id: str
    group: Group
    ask: Ask
    needs: frozenset[Need] = field(default_factory=frozenset)
    collects: Callable[[Inputs], Collector] | None = None
    silenced_by: tuple[str, ...] = ()
    again: bool = False

    @property
    def page(self) -> str:
        """What it means, why, an example, how to mend it, when to ignore it: the text of its module."""
        return inspect.cleandoc(modules[self.ask.__module__].__doc__ or "")
