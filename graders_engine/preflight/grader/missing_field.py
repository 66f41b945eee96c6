"""The grader reads a field that rows do not have.

Why: a template without a value gives no reward, and neither does a python source that raises: each
row without the field is graded 0.0 whatever the model answers. A job does not say so; its reward is
just flat.

Example: a grader compares with `{{item.answer}}`, but the rows call it `solution`. It is an error
if no row of a file has a field that a template reads, a warning if some rows lack it or if a python
source needs it as `item["answer"]`, and only a note for `item.get("answer")`, which does without,
unless the rows have a field with nearly that name, or no right answer is rewarded.

To mend it: rename the field in the rows or in the grader, or take out the rows that have none. The
nearest name in the rows is suggested.

Ignore it when: rows of several kinds are mixed on purpose, and those without it should earn
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from graders_engine.graders.python import SWAPPED_HINT
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.commands import run_command
from graders_engine.preflight.findings import Finding, Location, NotChecked, Severity
from graders_engine.preflight.grader.field_counts import FieldCount, FieldCounts, FieldUse
from graders_engine.preflight.grader.phrases import and_joined, count_of
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.showing import alike

_MOST_NAMED = 6


@dataclass(slots=True)
class _Lack:
    """A field that rows lack, with what each file has of it.

    `effect` is what the answers that were graded earn without it, if none of them can have been right for
    the grader; empty if some were, or none was graded. With `swapped` the source takes its
    item for the sample.
    """

    use: FieldUse
    files: Sequence[tuple[str, int, FieldCount]]
    severity: Severity
    effect: str = ""
    swapped: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether a file has it in no row."""
        return any(count.missing == rows for _, rows, count in self.files)

    @property
    def extent(self) -> tuple[object, ...]:
        """Equal for fields that the same number of rows lack."""
        return (
            self.severity,
            self.swapped,
            tuple((name, rows, count.missing) for name, rows, count in self.files),
        )

    @property
    def near(self) -> str:
        return next((count.near for *_, count in self.files if count.near), "")

    @property
    def near_line(self) -> str:
        """The first line that has what `near` names, with its file."""
        lines = (Location(name, count.near_line) for name, _, count in self.files if count.near)
        return str(next(lines, ""))


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or not inputs.files:
        return NotChecked("no --train")
    counts = [(file.name, file.collected(FieldCounts)) for file in inputs.files]
    uses = counts[0][1].uses
    if not uses:
        return NotChecked("the grader names no field of the rows")
    if not any(found.rows for _, found in counts):
        return NotChecked("no row can be read")
    effect = _without_it(inputs)
    lacks = [
        lack
        for use in uses
        if (lack := _lack(use, [(name, f.rows, f.counts[use.steps]) for name, f in counts], effect))
    ]
    for lack in lacks:
        if lack.use.path in facts.swapped and lack.everywhere:
            lack.severity, lack.swapped = "warning", True
    return _findings(inputs, lacks)


def _without_it(inputs: Inputs) -> str:
    """What is earned where no answer was right for the grader, though some must be; empty if some were."""
    if not inputs.rewards or not (inputs.sure_references or inputs.samples):
        return ""
    known, scale = inputs.rewards, inputs.scale
    if max(known) - min(known) <= SAME:
        return f"all {alike(known)}" if len(known) > 1 else ""
    right = inputs.trials.get("references", ())
    if inputs.sure_references and scale and not any(scale.rewarded(one.reward) for one in right):
        return f"none of {len(right)} right answers earns full marks"
    return ""


def _lack(use: FieldUse, files: Sequence[tuple[str, int, FieldCount]], effect: str) -> _Lack | None:
    graded_without_it = files[0][2].missing == files[0][1]  # what is graded is drawn from the first
    files = [(name, rows, count) for name, rows, count in files if count.missing]
    if not files:
        return None
    everywhere = any(count.missing == rows for _, rows, count in files)
    if use.template:
        return _Lack(use, files, "error" if everywhere else "warning")
    if use.needed:
        return _Lack(use, files, "warning")
    if not everywhere:
        return None  # `get` is there for rows without the field
    if effect and graded_without_it:
        return _Lack(use, files, "warning", effect)
    misspelt = any(count.missing == rows and count.misspelt for _, rows, count in files)
    return _Lack(use, files, "warning" if misspelt else "info")


def _findings(inputs: Inputs, lacks: Iterable[_Lack]) -> Iterator[Finding]:
    groups: dict[object, list[_Lack]] = {}
    for lack in lacks:
        groups.setdefault(lack.extent, []).append(lack)
    for group in groups.values():
        yield _finding(inputs, group)


def _finding(inputs: Inputs, group: Sequence[_Lack]) -> Finding:
    first = group[0]
    names = [f"`{lack.use.name}`" for lack in group]
    more = [f"{len(names) - _MOST_NAMED} others"] if len(names) > _MOST_NAMED else []
    verb = "is" if len(group) == 1 else "are"
    where = and_joined(_extent(rows, count, name) for name, rows, count in first.files)
    lines = [
        Location(name, line) for name, _, count in first.files for line in count.missing_lines[:3]
    ]
    place = Location(inputs.grader_file, 0, first.use.path)
    proven = first.use.needed or bool(first.effect)
    return Finding(
        "missing-field",
        first.severity,
        f"{and_joined([*names[:_MOST_NAMED], *more])} {verb} missing in {where}. {_effect(first)}",
        _fix(group),
        where=[place, *lines] if first.everywhere else [*lines, place],
        rows=sum(count.missing for *_, count in first.files),
        numbers={
            "fields": [lack.use.name for lack in group],
            "missing": {name: count.missing for name, _, count in first.files},
            "of": {name: rows for name, rows, _ in first.files},
        },
        see=run_command(inputs, first.files[0][2].item) if proven else "",
        silences=proven and first.everywhere,
    )


def _extent(rows: int, count: FieldCount, name: str) -> str:
    if count.missing == rows:
        return f"all {rows:,} rows of {name}" if rows > 1 else f"the one row of {name}"
    return f"{count.missing:,} of {rows:,} rows of {name}"


def _effect(lack: _Lack) -> str:
    use = lack.use
    part = use.path.split(".")[1] if use.path.startswith("graders.") else ""
    gets = f"`{part}` gives 0.0 for such a row" if part else "such a row gets 0.0"
    if use.template:
        return f"Whatever the answer, {gets}."
    line = f"line {use.line} of the source"
    if use.needed:
        return f"The source raises there ({line}), and {gets}."
    without = f"The source does without it ({line})"
    return f"{without}, and {lack.effect}." if lack.effect else f"{without}."


def _fix(group: Sequence[_Lack]) -> str:
    if group[0].swapped:
        return f"The arguments of `grade` are (sample, item). {SWAPPED_HINT}"
    near = [lack for lack in group if lack.near][:_MOST_NAMED]
    if near and not group[0].everywhere:  # another name in the grader would fail the other rows
        meant = and_joined(f"`{lack.near}` for `{lack.use.name}`" for lack in near)
        rest = "" if _is_only_one(group[0]) else " Add the field to the others, or leave them out."
        return f"{near[0].near_line} has {meant}: name it there as in the other rows.{rest}"
    if near:
        meant = and_joined(f"`{lack.near}` in place of `{lack.use.name}`" for lack in near)
        return f"Did you mean {meant}?"
    if group[0].severity == "info":
        return "Nothing needs to be done if the field is optional."
    if group[0].everywhere:
        return f"Name a field that the rows have, or add it to {count_of(group[0].files, 'file')}."
    return "Add the field to these rows, or leave them out."


def _is_only_one(lack: _Lack) -> bool:
    """Whether one row lacks it in all files."""
    return sum(count.missing for *_, count in lack.files) == 1


CHECK = Check(
    "missing-field",
    "grader",
    _ask,
    frozenset({"grader"}),
    collects=lambda inputs: FieldCounts(inputs.grader),
    silenced_by=("invalid-grader",),
    again=True,
)
