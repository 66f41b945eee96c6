"""The answers to the five questions of preflight, each in a sentence with its number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.preflight.findings import SEVERITIES, Finding
from graders_engine.preflight.planned import planned_calls_in_words
from graders_engine.preflight.report import PreflightReport
from graders_engine.report import formatting

_FAIR = (
    "reference-not-rewarded", "unstable", "constant-reward", "weak-contrast", "constant-answer",
    "corruption-unnoticed", "right-answer-rejected",
)  # fmt: skip
_GAMEABLE = ("hackable", "insensitive", "beats-baseline", "follows-length")
_SHORT_S = 1e-3
_SAME = 5e-3
"""Rewards that differ by less are equal as they are shown."""
_HALF, _MOSTLY, _NO_GAIN = 0.5, 0.99, 0.01
"""Shares of the scale between which it is said what an attack is compared with."""
_COST = ("cost", "slow-grader", "long-prompts")
_CORE = {
    "Fair?": "reference-not-rewarded", "Anything to learn?": "baseline-floor", "Gameable?": "hackable",
}  # fmt: skip
"""The check that a question stands for: without it, that the others are fine is no answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one of the five questions.

    Attributes:
        question: the question.
        state: "error", "warning", "info", "fine" or "unknown".
        count: the state in words: how many findings of which severity.
        left_out: how many checks were not asked, or were and could not tell.
        clauses: the numbers; empty without any.
        findings: what was found.
        why: why there is no answer; empty if there is one.
    """

    question: str
    state: str
    count: str
    left_out: int
    clauses: str
    findings: Sequence[Finding]
    why: str

    @property
    def word(self) -> str:
        """The state in words, with how much was not checked."""
        more = f", {self.left_out} not checked" if self.left_out and self.state != "unknown" else ""
        return self.count + more

    @property
    def sentence(self) -> str:
        """The answer, with its numbers."""
        found = self.findings[0].message if self.findings else ""
        return _sentence(self.why) or _sentence(self.clauses) or found

    @property
    def line(self) -> str:
        """The answer in a line, below findings that were shown."""
        numbers = (
            self.why or self.clauses or ", ".join(dict.fromkeys(one.id for one in self.findings))
        )
        if self.question == "Cost?" and self.state in ("fine", "info") and self.clauses:
            return numbers
        return f"{self.word}: {numbers}" if numbers else self.word


def verdicts(report: PreflightReport) -> Iterator[Verdict]:
    """The five questions, answered."""
    groups = report.groups
    apart = (*_FAIR, *_GAMEABLE, *_COST)
    others = [id_ for id_ in groups if id_ not in apart]
    learn = [id_ for id_ in others if groups[id_] == "samples"]
    valid = [id_ for id_ in others if groups[id_] != "samples"]
    for question, ids, sentence in (
        ("Valid?", valid, _valid(report)),
        ("Fair?", _FAIR, _fair(report.measured)),
        ("Anything to learn?", learn, _learn(report.measured)),
        ("Gameable?", _GAMEABLE, _gameable(report.measured, report.findings)),
        ("Cost?", _COST, _cost(report)),
    ):
        yield _verdict(report, question, ids, sentence)


def _verdict(report: PreflightReport, question: str, ids: Sequence[str], clauses: str) -> Verdict:
    found = [finding for finding in report.findings if finding.id in ids]
    left_out = [id_ for id_ in ids if id_ in report.not_checked]
    fine = [id_ for id_ in report.fine if id_ in ids]
    counts = [
        counted(number, severity)
        for severity in reversed(SEVERITIES)
        if (number := sum(finding.severity == severity for finding in found))
    ]
    ignored = sum(finding.id in ids for finding, _ in report.ignored)
    why = "" if found or ignored else _why_unknown(report, _CORE.get(question), left_out, fine)
    state: str = "unknown" if why or not (found or fine) else "fine"
    if found:
        state = max((finding.severity for finding in found), key=SEVERITIES.index)
    if state == "fine":
        counts.append("fine")
    if ignored:
        counts.append(f"{ignored} ignored")
    count = ", ".join(counts) or "not checked"
    return Verdict(question, state, count, len(left_out), clauses, found, why)


def _why_unknown(
    report: PreflightReport, core: str | None, left_out: Sequence[str], fine: Sequence[str]
) -> str:
    """Why a question without findings has no answer; empty if it has one."""
    if core is not None and core not in fine:
        return report.not_checked.get(core, f"{core} is not selected")
    return report.not_checked[left_out[0]] if left_out and not fine else ""


def _valid(report: PreflightReport) -> str:
    rows = sum(file.rows for file in report.inputs.files)
    return f"{counted(rows, 'row')} read" if report.inputs.files else "no rows were given"


def _fair(measured: Mapping[str, Any]) -> str:
    right, floor = measured.get("references") or {}, measured.get("floor") or {}
    clauses = []
    if right.get("mean") is not None:
        clauses.append(f"{answers_name(right)} {right['mean']:.2f}")
    if floor:
        clauses.append(f"other rows' answers {floor['mean']:.2f}")
    return ", ".join(clauses)


def _learn(measured: Mapping[str, Any]) -> str:
    baseline, signal = measured.get("baseline"), measured.get("signal")
    clauses = [f"base model {baseline['mean']:.2f}"] if baseline else []
    if signal:
        few, all_ = signal["fewer_samples"], signal["prompts"]
        which = f"all {all_:,}" if few == all_ else f"{few:,} of {all_:,}"
        tail = f" ({which} prompts have fewer samples)" if few else ""
        size = signal["group_size"]
        clauses.append(f"rewards differ in {signal['share']:.0%} of groups of {size}{tail}")
    return "; ".join(clauses)


def _gameable(measured: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    best = best_attack(measured)
    if best is None:
        return ""
    full = (measured.get("scale") or {}).get("full")
    of = "" if full is None else f" of {formatting.format_number(full)}"
    failing = sum(bool(attack.get("fails")) for attack in measured["attacks"])
    tail = f"; the grader fails on {failing} of them" if failing else ""
    left_out = measured.get("attacks_left_out") or {}
    if ruled_out := left_out.get("ruled_out"):
        tail += f"; the response format rules out {len(ruled_out)} more"
    if lost := left_out.get("lost"):
        tail += f"; {len(lost)} more got no reward"
    worst = _worst_beside(findings, best, of)
    compared = _compared(measured, best)
    attacks = measured["attacks"]
    count = len([one for one in attacks if one["kind"] != "informed"] if worst else attacks)
    return f"{worst}best of {count} attacks: {best['name']}, {best['mean']:.2f}{of}{compared}{tail}"


def _worst_beside(findings: Sequence[Finding], best: Mapping[str, Any], of: str) -> str:
    """The gravest finding that the best attack without the right answer is not about; empty without one."""
    gravest = max(
        (one for one in findings if one.id in _GAMEABLE),
        key=lambda one: SEVERITIES.index(one.severity),
        default=None,
    )
    if gravest is None or gravest.id in ("hackable", "beats-baseline"):
        return ""
    attacks = gravest.numbers.get("attacks")
    if not attacks:
        return f"{gravest.id}; "
    if attacks[0]["mean"] <= best["mean"]:
        return f"{gravest.id}; "
    name, mean = attacks[0]["attack"], attacks[0]["mean"]
    return f"{gravest.id}: {name}, made of the right answer, {mean:.2f}{of}; without that answer, "


def _compared(measured: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """What the best attack is more than: the base model, and where half of the mark, what ignorance earns."""
    baseline, scale = measured.get("baseline"), measured.get("scale") or {}
    found = []
    if baseline and best["mean"] > baseline["mean"] + _SAME:
        found.append(f"base model {baseline['mean']:.2f}")
    honest = scale.get("honest")
    if honest is not None and _HALF <= best["share"] < _MOSTLY and best["gain"] > _NO_GAIN:
        found.append(f"ignorance {honest:.2f}")
    return f" ({', '.join(found)})" if found else ""


def _cost(report: PreflightReport) -> str:
    cost, seconds = report.measured.get("cost"), report.measured.get("seconds")
    if not report.inputs.train:
        return ""
    answers = planned_calls_in_words(report.inputs)
    if cost:
        money = "" if cost["money"] is None else f", {formatting.format_cost(cost['money'])}"
        return f"{answers}, {cost['tokens']:,.0f} tokens{money}"
    facts = report.inputs.grader
    judge = "" if facts is None or facts.judges else ", no judge"
    return f"{answers}, {time_of(seconds['p50'])} each{judge}" if seconds else ""


def time_of(seconds: float) -> str:
    """How long one answer takes, as text."""
    return formatting.format_seconds(seconds) if seconds >= _SHORT_S else "under 1 ms"


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


def answers_name(references: Mapping[str, Any]) -> str:
    """What the reference answers are called: a guess of which few are rewarded is no right answer."""
    return (
        "right answers" if references.get("sure", True) else f"`{references['field']}` as guessed"
    )


def best_attack(measured: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The attack that earned the most of those that do not know the answer; None without any."""
    blind: list[Mapping[str, Any]] = [
        attack for attack in measured.get("attacks", ()) if attack["kind"] in ("free", "blind")
    ]
    return max(blind, key=lambda attack: attack["mean"], default=None)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 check`, `2 checks`; `info` has no plural."""
    return f"{count:,} {noun}{'' if count == 1 or noun == 'info' else 's'}"
