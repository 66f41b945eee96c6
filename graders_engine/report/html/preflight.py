"""What preflight found, as one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.preflight.findings import SEVERITIES, Finding
from graders_engine.preflight.planned import planned_calls
from graders_engine.preflight.report import PreflightReport
from graders_engine.report import formatting
from graders_engine.report.html.ladder import Ladder, as_written, ladder_of
from graders_engine.report.html.rendering import environment, policy_hash, source_of
from graders_engine.report.terminal.preflight import answers_name, best_attack, by_reason, counted
from graders_engine.report.visible import one_line, start_of, visible
from graders_engine.version import __version__

_FILTERS = (
    as_written,
    formatting.format_count,
    formatting.format_number,
    formatting.format_percent,
    formatting.format_seconds,
    one_line,
    start_of,
)
_FAIR = (
    "reference-not-rewarded", "unstable", "constant-reward", "weak-contrast", "constant-answer",
    "corruption-unnoticed", "right-answer-rejected",
)  # fmt: skip
_GAMEABLE = ("hackable", "insensitive", "beats-baseline", "follows-length")
_SHORT_S = 1e-3
_COST = ("cost", "slow-grader", "long-prompts")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one of the five questions.

    Attributes:
        question: the question.
        state: "error", "warning", "info", "fine" or "unknown".
        word: the state in words, with counts.
        sentence: the answer, with its number.
    """

    question: str
    state: str
    word: str
    sentence: str


def preflight_page(report: PreflightReport) -> str:
    """The whole page, as text to be encoded as UTF-8; it loads nothing and runs nothing.

    Args:
        report: what was found.
    """
    made = environment(_FILTERS)
    style = source_of(made, "page.css") + source_of(made, "preflight.css")
    inputs = report.inputs
    ladder = ladder_of(report.measured)
    page = made.get_template("preflight.html.jinja").render(
        name=inputs.grader.name if inputs.grader else "grader",
        report=report,
        measured=report.measured,
        verdicts=list(_verdicts(report)),
        ladder=ladder,
        statistics=list(_statistics(report)),
        sections=list(_sections(report, ladder)),
        fine=_by_group(report),
        not_checked=by_reason(report.not_checked),
        origin=list(_origin(report)),
        place=_place,
        version=__version__,
        style=style,
        style_hash=policy_hash(style),
    )
    # Jinja has escaped markup; this does the same for characters that hide or change the reading direction.
    return visible(page)


def _place(finding: Finding) -> list[str]:
    """The places of a finding, without the folders of their files."""
    places = [
        ": ".join(
            filter(
                None,
                (f"{Path(at.file).name}{f':{at.line}' if at.line else ''}", at.path),
            )
        )
        for at in finding.where
    ]
    return list(filter(None, places))


def _sections(report: PreflightReport, ladder: Ladder | None) -> Iterator[tuple[str, str]]:
    """(id, heading) of the sections that are not empty."""
    measured = report.measured
    for id_, heading, shown_if in (
        ("findings", "Findings", True),
        ("ladder", "Ladder of rewards", ladder),
        ("attacks", "Attacks", measured.get("attacks")),
        ("corruptions", "Corruptions", measured.get("corruptions")),
        ("tolerance", "Tolerance", measured.get("tolerance")),
        ("statistics", "Statistics", True),
        ("fine", "Fine", report.fine),
        ("not-checked", "Not checked", report.not_checked),
        ("ignored", "Ignored", report.ignored),
        ("origin", "Origin", True),
    ):
        if shown_if:
            yield id_, heading


def _by_group(report: PreflightReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id_ in report.fine:
        found.setdefault(report.groups[id_], []).append(id_)
    return found


def _verdicts(report: PreflightReport) -> Iterator[Verdict]:
    groups = report.groups
    apart = (*_FAIR, *_GAMEABLE, *_COST)
    others = [id_ for id_ in groups if id_ not in apart]
    learn = [id_ for id_ in others if groups[id_] == "samples"]
    valid = [id_ for id_ in others if groups[id_] != "samples"]
    for question, ids, sentence in (
        ("Valid?", valid, _valid(report)),
        ("Fair?", _FAIR, _fair(report.measured)),
        ("Anything to learn?", learn, _learn(report.measured)),
        ("Gameable?", _GAMEABLE, _gameable(report.measured)),
        ("Cost?", _COST, _cost(report)),
    ):
        yield _verdict(report, question, ids, sentence)


def _verdict(report: PreflightReport, question: str, ids: Sequence[str], clauses: str) -> Verdict:
    found = [finding for finding in report.findings if finding.id in ids]
    left_out = [id_ for id_ in ids if id_ in report.not_checked]
    fine = [id_ for id_ in report.fine if id_ in ids]
    counts = [
        counted(count, severity)
        for severity in reversed(SEVERITIES)
        if (count := sum(finding.severity == severity for finding in found))
    ]
    state: str
    if found:
        state = max((finding.severity for finding in found), key=SEVERITIES.index)
        word = ", ".join(counts)
    else:
        state, word = ("fine", "fine") if fine else ("unknown", "not checked")
    if state != "unknown" and left_out:
        word += f", {len(left_out)} not checked"
    why = next((report.not_checked[id_] for id_ in left_out), "") if state == "unknown" else ""
    why = f"{why[:1].upper()}{why[1:]}." if why else ""
    return Verdict(question, state, word, clauses or (found[0].message if found else why))


def _valid(report: PreflightReport) -> str:
    rows = sum(file.rows for file in report.inputs.files)
    checks = sum(group != "samples" for id_, group in report.groups.items() if id_ in report.fine)
    return f"{counted(rows, 'row')} read; {counted(checks, 'check')} found nothing."


def _fair(measured: Mapping[str, Any]) -> str:
    right, floor = measured.get("references") or {}, measured.get("floor") or {}
    clauses = []
    if right.get("mean") is not None:
        clauses.append(f"{answers_name(right)} earn {right['mean']:.2f}")
    if floor:
        clauses.append(f"other rows' answers {'' if clauses else 'earn '}{floor['mean']:.2f}")
    return _sentence(", ".join(clauses))


def _learn(measured: Mapping[str, Any]) -> str:
    baseline, signal = measured.get("baseline"), measured.get("signal")
    clauses = [f"the base model earns {baseline['mean']:.2f}"] if baseline else []
    if signal:
        clauses.append(
            f"in {signal['share']:.0%} of groups of {signal['group_size']} the rewards differ"
        )
    return _sentence("; ".join(clauses))


def _gameable(measured: Mapping[str, Any]) -> str:
    best = best_attack(measured)
    if best is None:
        return ""
    full = (measured.get("scale") or {}).get("full")
    of = "" if full is None else f" of {formatting.format_number(full)}"
    return f"The best of {len(measured['attacks'])} attacks, {best['name']}, earns {best['mean']:.2f}{of}."


def _cost(report: PreflightReport) -> str:
    cost, seconds = report.measured.get("cost"), report.measured.get("seconds")
    if cost:
        money = "" if cost["money"] is None else f", {formatting.format_cost(cost['money'])}"
        return f"{cost['calls']:,} answers, {cost['tokens']:,.0f} tokens{money}."
    if seconds:
        calls, each = planned_calls(report.inputs), _time(seconds["p50"])
        return f"{calls:,} answers in a job, {each} each; no judge is paid."
    return ""


def _time(seconds: float) -> str:
    return formatting.format_seconds(seconds) if seconds >= _SHORT_S else "under 1 ms"


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"; 95 % interval {low:.2f} to {high:.2f}"


def _statistics(report: PreflightReport) -> Iterator[tuple[str, str]]:
    measured = report.measured
    if scale := measured.get("scale"):
        origin = "from the grader's form" if scale["from_spec"] else "the highest seen"
        yield (
            "Scale",
            f"{scale['lowest']:.2f} to {scale['full']:.2f} ({origin}); ignorance earns {scale['honest']:.2f}",
        )
    if right := measured.get("references"):
        origin = f"field `{right['field']}`" if right["field"] else "the templates"
        mean = "-" if right["mean"] is None else f"{right['mean']:.2f}"
        ends = _ends(right["low"], right["high"])
        yield (
            "Right answers",
            (
                f"mean {mean}{ends}; {right['rewarded']} of {right['rows']} earn full marks; "
                f"{right['confidence']}, from {origin}"
            ),
        )
    if floor := measured.get("floor"):
        yield (
            "Other rows' answers",
            f"mean {floor['mean']:.2f} over {counted(floor['pairs'], 'pair')}",
        )
    if base := measured.get("baseline"):
        yield (
            "Base model",
            (
                f"mean {base['mean']:.2f}{_ends(base['low'], base['high'])}; "
                f"{counted(base['samples'], 'sample')} of {counted(base['prompts'], 'prompt')}"
            ),
        )
    if signal := measured.get("signal"):
        ends, prompts = _ends(signal["low"], signal["high"]), counted(signal["prompts"], "prompt")
        yield (
            f"Groups of {signal['group_size']} with a signal",
            f"{signal['share']:.0%}{ends}; {prompts}",
        )
    if seconds := measured.get("seconds"):
        p50, p95 = (_time(seconds[name]) for name in ("p50", "p95"))
        yield "Time of one answer", f"median {p50}, 95th percentile {p95}"
    if cost := measured.get("cost"):
        yield (
            "Judges",
            f"{cost['tokens_per_call']:,.0f} tokens an answer; {cost['tokens']:,.0f} for "
            f"{cost['calls']:,} answers of the job"
            + ("" if cost["money"] is None else f", which cost {cost['money']:,.2f}"),
        )
    if chars := measured.get("prompts"):
        yield (
            "Characters of a prompt",
            f"median {chars['p50']:,.0f}, 95th percentile {chars['p95']:,.0f}, longest {chars['max']:,}",
        )


def _origin(report: PreflightReport) -> Iterator[tuple[str, str]]:
    inputs = report.inputs
    yield "Engine", f"graders-engine {__version__}"
    for file in inputs.files:
        yield (
            "Training rows" if file.role == "train" else "Validation rows",
            f"{Path(file.name).name}: {counted(file.rows, 'row')}, sha256 {file.sha256 or 'unknown'}",
        )
    if inputs.samples_file:
        yield (
            "Samples",
            f"{Path(inputs.samples_file).name}: {counted(inputs.samples_read, 'sample')}",
        )
    for name, value in inputs.options.to_json().items():
        if name != "limits" and value not in (None, "", []):
            yield (
                name.replace("_", " "),
                ", ".join(value) if isinstance(value, list) else str(value),
            )
    for name, value in inputs.options.limits.items():
        yield f"limit {name}", str(value)
