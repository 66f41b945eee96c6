"""What an import of hosted evals came to: the commands to run next, and what was left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from graders_engine.evals.check import Checked
from graders_engine.evals.conversion import Imported, ImportedEval, ImportedRun


def render(imported: Imported, checks: Sequence[Checked] = (), most: int | None = None) -> str:
    """Markdown that is as readable in a terminal.

    Args:
        imported: what the import made.
        checks: our rewards beside the hosted scores, where they were compared.
        most: commands, comparisons and sentences of each list that are shown; all of them when None.
    """
    return "\n".join(_lines(imported, checks, most))


def _lines(imported: Imported, checks: Sequence[Checked], most: int | None) -> Iterator[str]:
    graders = sum(len(own.criteria) for own in imported.evals)
    runs = [(own, made) for own in imported.evals for made in own.runs]
    rows = sum(made.rows for _, made in runs)
    yield (
        f"{_count(len(imported.evals), 'eval')}: {_count(graders, 'grader')}, "
        f"{_count(len(runs), 'run')} with {_count(rows, 'row')}"
    )
    commands = [_command(own, made, own.grader) for own, made in runs if own.grader]
    if commands:
        yield from ("", "## Score them here", "")
        yield from (f"    {line}" for line in _most(commands, most))
        yield from _needs(imported)
    if checks:
        yield from ("", "## Our rewards beside the hosted scores", "")
        yield from (f"- {line}" for line in _most([_told(one) for one in checks], most))
    if imported.left_out:
        yield from ("", "## What could not be carried over", "")
        yield from (f"- {line}" for line in _most(imported.left_out, most))


def _most(lines: list[str], most: int | None) -> Iterator[str]:
    yield from lines[:most]
    if most is not None and len(lines) > most:
        yield f"… and {len(lines) - most} more"


def _command(own: ImportedEval, made: ImportedRun, grader: Path) -> str:
    results = made.path.with_name(made.path.name.replace(".rows.jsonl", ".results.jsonl"))
    return (
        f"graders score --grader {shlex.quote(f'@{grader}')} --data {shlex.quote(str(made.path))} "
        f"--out {shlex.quote(str(results))}"
    )


def _needs(imported: Imported) -> Iterator[str]:
    """What the commands need besides."""
    criteria = [criterion for own in imported.evals for criterion in own.criteria]
    if any(own.multi for own in imported.evals):
        yield ""
        yield (
            "`graders.json` holds all graders of an eval: each one's number is a sub-reward, and the "
            "reward is their mean, which the hosted evals do not have. Each has its own file, too."
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


def _told(one: Checked) -> str:
    name = f"{one.rows.name}, {one.criterion.key}"
    if one.unavailable:
        return f"{name}: not compared: {one.unavailable}"
    told = f"{name}: {one.equal} of {one.compared} equal"
    if one.failed:
        told += f", {one.failed} could not be graded here"
    if one.first_difference:
        own_id, ours, hosted = one.first_difference
        told += f"; the first that differs is {own_id}: {ours:.6g} here, {hosted:.6g} hosted"
    return told


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
