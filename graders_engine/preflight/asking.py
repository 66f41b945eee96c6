"""Asks the checks: those that are selected, whose needs are met, and that follow from no other finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graders_engine.errors import InvalidRequest
from graders_engine.language.spelling import nearest
from graders_engine.preflight.check import GROUPS, WHY_NOT, Check, Need
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs


@dataclass(slots=True)
class Answers:
    """What the checks have said so far.

    Attributes:
        findings: in the order of the checks.
        fine: ids of those that found nothing.
        not_checked: ids of those that were not asked, with the reason.
    """

    findings: list[Finding] = field(default_factory=list)
    fine: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)

    @property
    def roots(self) -> dict[str, Finding]:
        """The findings that silence what depends on their checks."""
        return {found.id: found for found in self.findings if found.is_root}

    def cause_of(self, check: Check) -> str:
        """The id of the finding that a check's findings would follow from; empty if there is none."""
        return next((id_ for id_ in check.silenced_by if id_ in self.roots), "")

    def ask(self, checks: Iterable[Check], inputs: Inputs) -> None:
        """Ask some checks."""
        for check in checks:
            answer = _answer(check, inputs, self.cause_of(check))
            if isinstance(answer, NotChecked):
                self.not_checked[check.id] = answer.why
            elif answer:
                self.findings += answer
            else:
                self.fine.append(check.id)

    def ask_again(self, checks: Iterable[Check], inputs: Inputs) -> None:
        """Ask those checks again that found something: what was graded may make it graver, or a root."""
        for check in checks:
            places = [at for at, found in enumerate(self.findings) if found.id == check.id]
            answer = _answer(check, inputs, "") if places else ()
            if places and not isinstance(answer, NotChecked):
                self.findings[places[0] : places[-1] + 1] = answer


def _answer(check: Check, inputs: Inputs, cause: str) -> Sequence[Finding] | NotChecked:
    for need in sorted(check.needs, key=list(WHY_NOT).index):
        if not _has(inputs, need):
            return NotChecked(WHY_NOT[need])
    if cause:
        return NotChecked(f"follows from {cause}")
    if check.group in ("rows", "samples") and inputs.lacking:
        return NotChecked(inputs.lacking)
    for need, file in (("train", inputs.train), ("validation", inputs.validation)):
        if need in check.needs and file is not None and not file.readable:
            return NotChecked(
                "no row can be read" if need == "train" else "no validation row can be read"
            )
    answer = check.ask(inputs)
    return answer if isinstance(answer, NotChecked) else list(answer)


def _has(inputs: Inputs, need: Need) -> bool:
    if need == "samples":
        return bool(inputs.samples_file)
    return getattr(inputs, need) is not None


def selected(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    """The checks with these ids, or of these groups; all if there are no names.

    Raises:
        InvalidRequest: there is no such check or group.
    """
    require_known(checks, [name for name in names if name not in GROUPS], groups=True)
    return [check for check in checks if not names or check.id in names or check.group in names]


def require_known(checks: Sequence[Check], ids: Iterable[str], *, groups: bool = False) -> None:
    """Make sure that each of these is the id of a check.

    Raises:
        InvalidRequest: one is not.
    """
    known = [*(check.id for check in checks), *(GROUPS if groups else ())]
    for id_ in ids:
        if id_ not in known:
            near = nearest(id_, tuple(known))
            meant = f" Did you mean `{near}`?" if near else ""
            raise InvalidRequest(
                f"There is no check `{id_}`.{meant} `graders preflight --explain list` lists them."
            )
