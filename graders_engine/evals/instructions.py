"""The report on an import of hosted evals: the commands to run next, and what was left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from graders_engine.evals.check import HostedCheck
from graders_engine.evals.conversion import Imported, ImportedRun


def import_report(
    imported: Imported, checks: Sequence[HostedCheck] = (), max_entries: int | None = None
) -> str:
    """Markdown that is also readable in a terminal.

    Args:
        imported: what the import made.
        checks: comparisons of our rewards with the hosted scores.
        max_entries: how many entries of each list to show; None for all.
    """
    return "\n".join(_report_lines(imported, checks, max_entries))


def _report_lines(
    imported: Imported, checks: Sequence[HostedCheck], max_entries: int | None
) -> Iterator[str]:
    graders = sum(len(one.criteria) for one in imported.evals)
    runs = [(one, run) for one in imported.evals for run in one.runs]
    rows = sum(run.rows for _, run in runs)
    yield (
        f"{_plural(len(imported.evals), 'eval')}: {_plural(graders, 'grader')}, "
        f"{_plural(len(runs), 'run')} with {_plural(rows, 'row')}"
    )
    commands = [_score_command(run, one.grader) for one, run in runs if one.grader]
    if commands:
        yield from ("", "## Score them here", "")
        yield from (f"    {line}" for line in _first_entries(commands, max_entries))
        yield from _requirements(imported)
    if checks:
        yield from ("", "## Our rewards and the hosted scores", "")
        sentences = [_comparison(one) for one in checks]
        yield from (f"- {line}" for line in _first_entries(sentences, max_entries))
    if imported.left_out:
        yield from ("", "## What could not be carried over", "")
        yield from (f"- {line}" for line in _first_entries(imported.left_out, max_entries))


def _first_entries(lines: list[str], count: int | None) -> Iterator[str]:
    yield from lines[:count]
    if count is not None and len(lines) > count:
        yield f"… and {len(lines) - count} more"


def _score_command(run: ImportedRun, grader: Path) -> str:
    results = run.path.with_name(run.path.name.replace(".rows.jsonl", ".results.jsonl"))
    return (
        f"graders score --grader {shlex.quote(f'@{grader}')} --data {shlex.quote(str(run.path))} "
        f"--out {shlex.quote(str(results))}"
    )


def _requirements(imported: Imported) -> Iterator[str]:
    """What one must know before running the commands."""
    criteria = [criterion for one in imported.evals for criterion in one.criteria]
    if any(one.multi for one in imported.evals):
        yield ""
        yield (
            "`graders.json` holds all graders of an eval: the number of each is a sub-reward, and the "
            "reward is their mean, which the hosted evals do not have. Each grader also has a file of its "
            "own."
        )
    models = sorted({str(one.grader.get("model")) for one in criteria if one.asks_a_model})
    if models:
        yield ""
        yield (
            f"Graders ask {', '.join(models)}: set OPENAI_API_KEY, or name an endpoint with --base-url "
            "and another model with --map OLD=NEW."
        )
    if any(one.grader.get("evaluation_metric") == "cosine" for one in criteria):
        yield ""
        yield "The metric cosine needs --embeddings, such as openai:text-embedding-3-large."


def _comparison(one: HostedCheck) -> str:
    name = f"{one.rows.name}, {one.criterion.key}"
    if one.unavailable:
        return f"{name}: not compared: {one.unavailable}"
    sentence = f"{name}: {one.equal:,} of {one.compared:,} equal"
    if one.failed:
        sentence += f", {one.failed:,} could not be graded here"
    if one.first_difference:
        row_id, ours, hosted = one.first_difference
        sentence += f"; the first that differs is {row_id}: {ours:.6g} here, {hosted:.6g} hosted"
    return sentence


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
