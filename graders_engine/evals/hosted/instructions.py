"""The report on an import of hosted evals: the commands to run next, and what was left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from graders_engine.evals.hosted.check import HostedCheck
from graders_engine.evals.hosted.dashboard import WITHOUT_GRADERS
from graders_engine.evals.hosted.imported import (
    ROWS,
    Criterion,
    Imported,
    ImportedEval,
    ImportedRun,
)
from graders_engine.evals.hosted.into_store import StoreImport
from graders_engine.evals.hosted.names import MAX_NAMED, alike, short, without_uuid
from graders_engine.report.width import columns_of, padded, short_names
from graders_engine.storage.ids import DEFAULT_PROJECT

AS_SERVED = " --templates as_served"
_CELL_CHARS, _LEAST_COLUMNS = 40, 8


def import_report(
    imported: Imported,
    checks: Sequence[HostedCheck] | None = None,
    max_entries: int | None = None,
    columns: int | None = None,
) -> str:
    """Markdown that is also readable in a terminal.

    Args:
        imported: what the import made.
        checks: comparisons of our rewards with the hosted scores; None if they were not asked for.
        max_entries: how many entries of each list to show; None for all.
        columns: those of the terminal, if lines that are longer are broken there.
    """
    return "\n".join(_report_lines(imported, checks, max_entries, columns))


def store_report(
    done: StoreImport, folder: Path, project: str, max_entries: int | None = None
) -> str:
    """The same of an import into a store.

    Args:
        done: what the import did.
        folder: of the store.
        project: whose the objects are.
        max_entries: how many entries of each list to show; None for all.
    """
    return "\n".join(_store_lines(done, folder, project, max_entries))


def _store_lines(
    done: StoreImport, folder: Path, project: str, max_entries: int | None
) -> Iterator[str]:
    kinds = ((done.evals, "eval"), (done.runs, "run"), (done.items, "output item"))
    added = ", ".join(_plural(one.new, what) for one, what in kinds)
    yield f"{added} added to {folder}"
    present = ", ".join(_plural(one.present, what) for one, what in kinds if one.present)
    if present:
        yield f"{present} unchanged: repeated, or there already"
    where = f"--jobs {shlex.quote(str(folder))}"
    of = "" if project == DEFAULT_PROJECT else f" --project {shlex.quote(project)}"
    yield from ("", "## Go on here", "")
    yield f"    graders evals list {where}{of}"
    yield f"    graders serve {where}"
    if done.notes:
        yield from ("", "## What is not as it was", "")
        yield from (f"- {line}" for line in _first_entries(done.notes, max_entries))


def _report_lines(
    imported: Imported,
    checks: Sequence[HostedCheck] | None,
    max_entries: int | None,
    columns: int | None,
) -> Iterator[str]:
    graders = sum(len(one.criteria) for one in imported.evals)
    runs = [(one, run) for one in imported.evals for run in one.runs]
    rows = sum(run.rows for _, run in runs)
    yield (
        f"{_plural(len(imported.evals), 'eval')}: {_plural(graders, 'grader')}, "
        f"{_plural(len(runs), 'run')} with {_plural(rows, 'row')}"
    )
    commands = [_score_command(one, run, one.grader) for one, run in runs if one.grader]
    if commands:
        yield from ("", "## Score them here", "")
        yield from (f"    {line}" for line in _first_entries(commands, max_entries))
        yield from _requirements(imported)
    if checks is not None:
        yield from ("", "## Our rewards and the hosted scores", "")
        yield from _comparison(imported, checks, max_entries, columns)
    renamed = list(_other_names(imported))
    if renamed:
        yield from ("", "## Names", "")
        yield from (f"- {line}" for line in _first_entries(renamed, max_entries))
    if imported.left_out:
        yield from ("", "## What could not be carried over", "")
        yield from (f"- {line}" for line in _first_entries(imported.left_out, max_entries))


def _other_names(imported: Imported) -> Iterator[str]:
    """The criteria whose files and scores in the rows have another name: a new one, or one that is cut."""
    for one in imported.evals:
        for criterion in one.criteria:
            name = without_uuid(criterion.names[0]) if criterion.names else ""
            if name and alike(name) != criterion.key.casefold():
                yield f"`{criterion.key}` ({_file_of(criterion)}): {short(name)}"


def _first_entries(lines: list[str], count: int | None) -> Iterator[str]:
    yield from lines[:count]
    if count is not None and len(lines) > count:
        yield f"… and {len(lines) - count} more"


def _score_command(imported: ImportedEval, run: ImportedRun, grader: Path) -> str:
    results = run.path.with_name(run.path.name.replace(ROWS, ".results.jsonl"))
    return (
        f"graders score --grader {shlex.quote(f'@{grader}')} --data {shlex.quote(str(run.path))} "
        f"--out {shlex.quote(str(results))}{AS_SERVED if imported.lenient else ''}"
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
        yield from _about_means(
            [one for made in imported.evals if made.multi for one in made.criteria]
        )
    if lenient := [_file_of(one) for one in criteria if one.lenient]:
        yield ""
        yield (
            f"{_listed(lenient)}: the service took templates here that cannot be read. With "
            f"`{AS_SERVED[1:]}` they run as it ran them: `{{{{` without `}}}}` is text, and whatever else "
            "cannot be read gives each row 0.0 with `invalid_variable_error`. `graders validate` says where "
            "they are."
        )
    models = sorted(
        {str(model) for one in criteria for model in one.models()},
    )
    if models:
        yield ""
        yield (
            f"Graders ask {', '.join(models)}: set OPENAI_API_KEY, or name an endpoint with --base-url "
            "and another model with --map OLD=NEW."
        )
    if any(one.grader.get("evaluation_metric") == "cosine" for one in criteria):
        yield ""
        yield "The metric cosine needs --embeddings, such as openai:text-embedding-3-large."


def _about_means(criteria: Sequence[Criterion]) -> Iterator[str]:
    """What makes the reward of a multi of these another number than one may take it for."""
    if scales := [(one, one.scale) for one in criteria if one.scale]:
        named = [f"{_file_of(one)} gives {low:g} to {high:g}" for one, (low, high) in scales]
        yield ""
        yield (
            f"{_listed(named)}: a mean of numbers on different scales says little. Look at the "
            "sub-rewards, or score with the graders' own files."
        )
    if empty := [_file_of(one) for one in criteria if one.without_values]:
        yield ""
        yield (
            f"{_listed(empty)}: no row can have a value here, so with `graders.json` no row is scored: "
            "all are invalid by the grader, the sub-rewards stand nevertheless, and `graders score` exits "
            "with 1. Take it out of `graders.json`, and out of its `calculate_output`, for a mean "
            "of the others."
        )


def _file_of(criterion: Criterion) -> str:
    return f"{criterion.path.parent.name}/{criterion.path.name}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


_COLUMNS = ("rows", "score", "hosted mean", "our mean", "compared", "equal")


def _comparison(
    imported: Imported,
    checks: Sequence[HostedCheck],
    max_entries: int | None,
    columns: int | None,
) -> Iterator[str]:
    """A table of the means and of how many rows are equal, and sentences about what is not."""
    if not any(not one.not_graded for one in checks):
        yield f"Nothing was compared: {_why_not_compared(imported, checks)}."
        if not checks:
            return
        yield ""
    yield from _table(checks[:max_entries], columns)
    if max_entries is not None and len(checks) > max_entries:
        yield f"… and {len(checks) - max_entries} more"
    sentences = [line for one in checks for line in _sentences(one)]
    if sentences:
        yield ""
        yield from (f"- {line}" for line in _first_entries(sentences, max_entries))


def _why_not_compared(imported: Imported, checks: Sequence[HostedCheck]) -> str:
    if any(one.eval.downloaded for one in imported.evals) and not any(
        one.criteria for one in imported.evals
    ):
        return WITHOUT_GRADERS
    if not checks:
        return "no row has a hosted score"
    return "there is no hosted score of a grader that runs without a judge"


def _table(checks: Sequence[HostedCheck], columns: int | None) -> Iterator[str]:
    names = [(short(one.rows.name, _CELL_CHARS), short(one.key, _CELL_CHARS)) for one in checks]
    if columns is not None:
        names = _fitting([(one.rows.name.removesuffix(ROWS), one.key) for one in checks], columns)
    cells = [
        _COLUMNS,
        *(
            (*(name.replace("|", "\\|") for name in both), *_numbers(one))
            for both, one in zip(names, checks, strict=True)
        ),
    ]
    widths = [max(columns_of(row[place]) for row in cells) for place in range(len(_COLUMNS))]
    for place, row in enumerate(cells):
        yield f"| {' | '.join(map(padded, row, widths))} |"
        if place == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def _fitting(names: list[tuple[str, str]], columns: int) -> list[tuple[str, str]]:
    """The names of rows and scores, cut so that a line of the table fits; different ones stay different."""
    room = columns - sum(len(name) + 3 for name in _COLUMNS[2:]) - len("|  |  |")
    rows, scores = (list(dict.fromkeys(side)) for side in zip(*names, strict=True))
    half, longest = room // 2, max(map(columns_of, scores))
    width = room - longest if longest < half else half
    width = max(min(max(map(columns_of, rows)), width), _LEAST_COLUMNS)
    short_rows = dict(zip(rows, short_names(rows, width), strict=True))
    rest = max(room - width, _LEAST_COLUMNS)
    short_scores = dict(zip(scores, short_names(scores, rest), strict=True))
    return [(short_rows[name], short_scores[score]) for name, score in names]


def _numbers(one: HostedCheck) -> tuple[str, ...]:
    means = (one.hosted_mean, None if one.not_graded else one.our_mean)
    hosted, ours = ("-" if mean is None else f"{mean:.4f}" for mean in means)
    equal = "-" if one.not_graded else f"{one.equal:,}"
    return hosted, ours, f"{0 if one.not_graded else one.compared:,}", equal


def _sentences(one: HostedCheck) -> Iterator[str]:
    name = f"{short(one.rows.name)}, {short(one.key)}"
    if one.not_graded:
        rows = _plural(one.compared, "hosted score")
        yield f"{name}: not compared, because {one.not_graded.rstrip('.')}; the rows keep its {rows}"
        return
    sentence = f"{name}: {one.equal:,} of {one.compared:,} equal"
    if one.failed:
        sentence += f", {one.failed:,} could not be graded here and are in no mean"
    if one.first_difference:
        row_id, ours, hosted = one.first_difference
        sentence += (
            f"; the first that differs is {short(row_id)}: {ours:.6g} here, {hosted:.6g} hosted"
        )
    yield sentence


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
