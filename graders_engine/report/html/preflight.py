"""What preflight found, as one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graders_engine.preflight.findings import Finding
from graders_engine.preflight.report import PreflightReport
from graders_engine.report import formatting
from graders_engine.report.html.ladder import Ladder, as_written, ladder_of
from graders_engine.report.html.rendering import environment, policy_hash, style_of
from graders_engine.report.preflight_verdicts import counted, time_of, verdicts
from graders_engine.report.terminal.preflight import by_reason
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


def preflight_page(report: PreflightReport) -> str:
    """The whole page, as text to be encoded as UTF-8; it loads nothing and runs nothing.

    Args:
        report: what was found.
    """
    made = environment(_FILTERS)
    style = style_of(made, "preflight.css")
    inputs = report.inputs
    ladder = ladder_of(report.measured)
    page = made.get_template("preflight.html.jinja").render(
        name=inputs.grader.name if inputs.grader else "grader",
        report=report,
        measured=report.measured,
        verdicts=list(verdicts(report)),
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


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"; 95 % interval {low:.2f} to {high:.2f}"


def _statistics(report: PreflightReport) -> Iterator[tuple[str, str]]:
    measured = report.measured
    if scale := measured.get("scale"):
        origin = (
            "from the grader's form"
            if scale["from_spec"]
            else "the highest seen, or what its source can return"
        )
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
        p50, p95 = (time_of(seconds[name]) for name in ("p50", "p95"))
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
        if name not in ("limits", "ignore") and value not in (None, "", []):
            yield (
                name.replace("_", " "),
                ", ".join(value) if isinstance(value, list) else str(value),
            )
    for name, value in inputs.options.limits.items():
        yield f"limit {name}", str(value)
