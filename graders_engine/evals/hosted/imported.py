"""What an import of hosted evals made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.evals.hosted.export import ExportedEval, ExportedRun
from graders_engine.graders.parse import parse
from graders_engine.graders.templates import templates_in
from graders_engine.language.as_served import LenientTemplate

ROWS = ".rows.jsonl"
"""How the names of files with rows end."""
_ASKS_A_MODEL = ("score_model", "label_model")


@dataclass(slots=True)
class Criterion:
    """A testing criterion as a grader.

    Attributes:
        key: its name in file names, formulas and the rows' `hosted`.
        path: the grader's file.
        names: what hosted scores may be named that it gave: its name, its id.
        lenient: whether it has templates that run only as they were served.
    """

    key: str
    grader: dict[str, Any]
    path: Path
    names: tuple[str, ...] = ()
    lenient: bool = False

    @property
    def asks_a_model(self) -> bool:
        """Whether its rewards come from a judge."""
        return bool(self.models())

    @property
    def scale(self) -> tuple[float, float] | None:
        """The lowest and the highest number of a judge that does not give 0 to 1; None for others."""
        range_ = self.grader.get("range")
        if self.grader.get("type") != "score_model" or not isinstance(range_, list):
            return None
        low, high = range_
        return None if (low, high) == (0, 1) else (low, high)

    @property
    def without_values(self) -> bool:
        """Whether a template of it has a variable that no row has a value for."""
        if not self.lenient:
            return False
        templates = templates_in(parse(self.grader, check_sources=False, templates="as_served"))
        return any(isinstance(one, LenientTemplate) and one.faulty for _, one in templates)

    def models(self) -> list[Any]:
        """The models that it asks."""
        parts = (part for part in _parts(self.grader) if part.get("type") in _ASKS_A_MODEL)
        return [part.get("model") for part in parts]


def _parts(grader: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A grader and, of a multi, those inside it."""
    yield grader
    inside = grader.get("graders") or ()
    for part in inside.values() if isinstance(inside, dict) else inside:
        if isinstance(part, dict):
            yield part


@dataclass(slots=True)
class ImportedRun:
    """A run as a file of rows.

    Attributes:
        run: its description in the export.
        path: the file with rows `{"id", "item", "sample", "hosted"}`.
        rows: how many rows it has.
        scores: the keys of `hosted` in its rows, in their order.
    """

    run: ExportedRun
    path: Path
    rows: int = 0
    scores: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class ImportedEval:
    """An eval as a folder.

    Attributes:
        eval: its description in the export.
        folder: where its files are.
        criteria: its graders.
        multi: if there are several, a multi of all of them with their mean as the reward; each criterion's
            number is a sub-reward.
        runs: its runs that have rows.
    """

    eval: ExportedEval
    folder: Path
    criteria: list[Criterion] = field(default_factory=list)
    multi: Path | None = None
    runs: list[ImportedRun] = field(default_factory=list)

    @property
    def grader(self) -> Path | None:
        """The file to score with."""
        return self.multi or (self.criteria[0].path if self.criteria else None)

    @property
    def lenient(self) -> bool:
        """Whether that file has templates that run only as they were served."""
        return any(one.lenient for one in (self.criteria if self.multi else self.criteria[:1]))


@dataclass(slots=True)
class Imported:
    """What an import made.

    Attributes:
        evals: one for each folder.
        left_out: sentences about what could not be imported.
        lost: how many lines or objects of the export were nothing known.
    """

    evals: list[ImportedEval] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    lost: int = 0
