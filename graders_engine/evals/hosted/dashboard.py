"""The dashboard's own export of a run: its lines have items, outputs and scores, but no eval and no graders.

The evals and graders that belong to them are found by the names of their scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from graders_engine.evals.hosted.export import ExportedEval, Survey
from graders_engine.evals.hosted.names import MAX_NAMED, alike, short, without_uuid
from graders_engine.graders.parts import by_name

WITHOUT_GRADERS = (
    "the dashboard's export has no graders: pass --grader FILE, with the name of a hosted score"
)
_WITHOUT_EVAL = "the eval itself is not in the export, so there is no grader: pass --grader FILE"


@dataclass(slots=True)
class GivenGrader:
    """A grader for the rows of evals that are not in the export.

    Attributes:
        what: how the user named it.
        grader: its JSON.
        used: whether a hosted score has been found for it.
    """

    what: str
    grader: dict[str, Any]
    used: bool = field(default=False, init=False)

    def named(self) -> Iterator[tuple[set[str], dict[str, Any]]]:
        """The grader and, of a multi, each of its parts, with the names that scores may have for it."""
        yield _names_of(self.grader), self.grader
        parts = self.grader.get("graders")
        if isinstance(parts, list):
            parts = by_name(parts)
        for key, part in parts.items() if isinstance(parts, dict) else ():
            if isinstance(part, dict):
                yield {str(key), *_names_of(part)}, part


def _names_of(grader: dict[str, Any]) -> set[str]:
    return {name for key in ("name", "id") if isinstance(name := grader.get(key), str)}


def complete(found: Survey, given: Sequence[GivenGrader]) -> list[str]:
    """Find the eval of each run that names none, and graders for evals that are not in the export.

    Returns:
        Sentences about what was found by names alone, and what was not found.
    """
    notes = [*_evals_of_runs(found)]
    unknown = [one for one in found.evals.values() if not one.known]
    for one in unknown:
        notes += _give_graders(one, found.score_names(one.id), given)
        if not one.criteria and not given:
            how = WITHOUT_GRADERS if one.downloaded else _WITHOUT_EVAL
            notes.append(f"{one.name}: {how}.")
    notes += [f"{one.what}: {_why_unused(one, unknown)}." for one in given if not one.used]
    return notes


def _why_unused(one: GivenGrader, unknown: Sequence[ExportedEval]) -> str:
    names = [name for own, _ in one.named() for name in sorted(own)]
    if not names:
        return "this grader has no name, so it belongs to no hosted score"
    named = "this grader has the name of no hosted score"
    if not unknown:
        return f"{named}: the evals in the export have their own graders"
    return f"{named} (its own: {_listed(names)})"


def _evals_of_runs(found: Survey) -> Iterator[str]:
    """Give each run without an eval that of the names of its scores, or else one of its own."""
    by_names = [(one, _criteria_names(one)) for one in found.evals.values() if one.known]
    for run in found.runs.values():
        if run.eval_id:
            continue
        names = {without_uuid(name) for name in run.scores}
        fitting = [one for one, own in by_names if names and names <= own]
        if len(fitting) == 1:
            run.eval_id = fitting[0].id
            yield (
                f"{run.name}: taken for a run of {fitting[0].name}, whose criteria have the names of its "
                "scores."
            )
            continue
        run.eval_id = run.id
        found.evals[run.id] = ExportedEval(run.id, run.name, known=False, downloaded=True)
        if fitting:
            yield (
                f"{run.name}: {len(fitting)} evals have criteria of the names of its scores, so it is not "
                "known which one it is a run of."
            )


def _criteria_names(one: ExportedEval) -> set[str]:
    names = (_names_of(criterion) for criterion in one.criteria if isinstance(criterion, dict))
    return {without_uuid(name) for own in names for name in own}


def _give_graders(
    one: ExportedEval, scores: Iterable[str], given: Sequence[GivenGrader]
) -> Iterator[str]:
    """Make criteria of the given graders that have the names of an eval's scores."""
    names = list(scores)
    if len(names) == len(given) == 1:
        found = _named(names[0], given) or [(given[0], given[0].grader)]
        found = found[:1]
        _take(one, names[0], *found[0])
        return
    missing = []
    for name in names:
        found = _named(name, given)
        if len(found) > 1:
            yield f"{one.name}: {len(found)} of the graders given have the name {_listed([name])}."
        elif found:
            _take(one, name, *found[0])
        else:
            missing.append(name)
    if missing and given:
        what = _listed(missing)
        yield (
            f"{one.name}: no grader given has the name of the hosted {'scores' if ', ' in what else 'score'} "
            f"{what}: set the `name` of each grader to that of its score."
        )


def _listed(scores: Sequence[str]) -> str:
    """Different names without what identifies a run."""
    names = list(dict.fromkeys(short(without_uuid(score)) for score in scores))
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(map(repr, names[:MAX_NAMED])) + more


def _take(one: ExportedEval, score: str, given: GivenGrader, grader: dict[str, Any]) -> None:
    given.used = True
    one.criteria.append(grader)
    one.score_names.append(score)


def _named(score: str, given: Sequence[GivenGrader]) -> list[tuple[GivenGrader, dict[str, Any]]]:
    """The graders that have the name of a score: exactly, or else but for what a formula does not allow."""
    plain = without_uuid(score)
    every = [(one, names, grader) for one in given for names, grader in one.named()]
    exact = [(one, grader) for one, names, grader in every if names & {score, plain}]
    return exact or [
        (one, grader)
        for one, names, grader in every
        if alike(plain) and alike(plain) in map(alike, names)
    ]
