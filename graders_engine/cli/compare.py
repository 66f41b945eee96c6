"""`graders compare`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.locations import DATA, FILE, RESULTS
from graders_engine.cli.parsing.numbers import Finite
from graders_engine.cli.terminal.failing import complain
from graders_engine.cli.terminal.printing import STDOUT, format_value, print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.urls import Location

if TYPE_CHECKING:  # numpy and scipy take a while to import
    from graders_engine.dataset.results.compare import Comparison
    from graders_engine.dataset.results.same_data import Sources

WORSE = 3
"""Exit code of --fail-if-worse if B is worse than A, or if nothing shows that it is not."""
NOTHING_COMPARED = 1
"""Exit code without that flag if no row counts in both means."""
FAIL_IF_WORSE = "--fail-if-worse"
PAGE_ROWS = 100
"""Changed rows of each kind on the HTML page."""


class Margin(Finite):
    """A finite number from 0: a gate with another margin would pass whatever the runs are."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that the text says."""
        number = super().convert(value, param, ctx)
        if number < 0:
            self.fail(f"'{value}' is less than 0.", param, ctx)
        return number


class WithMargin(Command):
    """A command whose --fail-if-worse takes an optional margin, as in `--fail-if-worse=0.1`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the flag alone means a margin of 0."""
        return super().parse_args(
            ctx, [f"{FAIL_IF_WORSE}=0" if arg == FAIL_IF_WORSE else arg for arg in args]
        )


def comparison_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags for printing a comparison to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON."),
        click.option(
            "--top",
            metavar="N",
            type=click.IntRange(0),
            default=10,
            help="Changed rows to print (default: 10).",
        ),
        click.option(
            "--out",
            "page",
            metavar="FILE",
            type=FILE,
            help="Also write one HTML file, with both texts of the rows that changed side by side; or -.",
        ),
        click.option(
            FAIL_IF_WORSE,
            "margin",
            metavar="[=MARGIN]",
            type=Margin(),
            help="Exit with code 3 if B is worse than A by more than MARGIN (default: 0).",
        ),
    ):
        command = option(command)
    return command


def show_comparison(
    results: tuple[Path, Path],
    sources: Sources,
    *,
    names: tuple[str, str] | None = None,
    page: Path | None,
    as_json: bool,
    top: int,
    margin: float | None,
) -> None:
    """Compare two results files, print that, and write the page if one is wanted.

    With a margin, it exits with `WORSE` if the second run is worse by more than that, or if that is unknown.

    Args:
        results: the two files.
        sources: where their data sets are, and how to pair the rows.
        names: names for the two runs in place of the files'.
        page: the HTML file to write; None for none.
        as_json: whether to print JSON.
        top: changed rows of each kind to print.
        margin: of --fail-if-worse; None without it.
    """
    from msgspec import to_builtins

    from graders_engine.dataset.results.compare import compare
    from graders_engine.report.terminal.compare import comparison_text
    from graders_engine.report.terminal.screen import screen_of

    rows = top if page is None else max(top, PAGE_ROWS)
    whole = compare(*results, top=rows, sources=sources)
    if names is not None:
        whole = replace(
            whole,
            before=replace(whole.before, name=names[0]),
            after=replace(whole.after, name=names[1]),
        )
    comparison = replace(
        whole, changed_most=whole.changed_most[:top], status_changes=whole.status_changes[:top]
    )
    printed = page == STDOUT
    click.echo(
        format_value(to_builtins(comparison), "json")
        if as_json
        else comparison_text(comparison, screen_of(sys.stderr if printed else sys.stdout)),
        err=printed,
    )
    if page is not None:
        _write_page(page, whole, results, sources)
        if not printed:
            print_lines(["", f"comparison in {page}"], err=as_json)
    _exit_if_worse(comparison, margin)


def require_page(
    page: Path | None,
    runs: Sequence[tuple[Path, Location | None]],
    inputs: Collection[Location] = (),
) -> None:
    """Check, before anything is computed, that a page can be written.

    Args:
        page: the file; None for none, - for standard output.
        runs: the results files, each with its data set if that was moved.
        inputs: other files that the command reads.
    """
    if page is None or page == STDOUT:
        return
    from graders_engine.report.html.place import require_ending, require_place

    require_ending(page)
    require_place(page, runs, "comparison", inputs)


def _write_page(
    page: Path, comparison: Comparison, results: tuple[Path, Path], sources: Sources
) -> None:
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.html.comparison import comparison_page  # takes a while to import
    from graders_engine.report.html.place import write_page
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import texts_of

    changed = (*comparison.changed_most, *comparison.status_changes)
    moved = sources.before, sources.after
    origins = [
        Provenance(path, read_meta(path), data) for path, data in zip(results, moved, strict=True)
    ]
    sides = [[row.before for row in changed], [row.after for row in changed]]
    before, after = (
        texts_of(rows, origin.meta, origin.moved, file=origin.results)
        for rows, origin in zip(sides, origins, strict=True)
    )
    text = comparison_page(comparison, (before, after), origins)
    if page == STDOUT:
        click.echo(text)
    else:
        write_page(page, text, "comparison")


def _exit_if_worse(comparison: Comparison, margin: float | None) -> None:
    """Exit with a code that says so if B is worse, or if nothing could be compared at all."""
    found = comparison.difference
    if found is None:
        reason, code = "No row counts in both means, so nothing was compared.", NOTHING_COMPARED
    elif margin is not None and not found.computed:
        reason, code = "Rewards are too large to compute the difference, so B may be worse.", WORSE
    elif margin is not None and found.direction(margin) == "lower":
        reason, code = f"B is worse than A{f' by more than {margin:g}' if margin else ''}.", WORSE
    else:
        return
    complain("", reason)
    sys.exit(code if margin is None else WORSE)


def _require_no_run(results: Path) -> None:
    """Check that what is named is not a run of an eval, whose results are in a file of its store."""
    if results.name.startswith("evalrun_") and not results.is_file():
        raise InvalidRequest(
            f"{results.name} is a run of an eval, and this compares results files. Those of a run that was "
            f"graded here are in its store: DIR/runs/{results.name}/results.jsonl, where DIR is "
            "what --jobs names."
        )


@click.command("compare", cls=WithMargin, example="graders compare before.jsonl after.jsonl")
@click.argument("a", type=RESULTS)
@click.argument("b", type=RESULTS)
@click.option(
    "--by",
    metavar="PATH",
    help="Pair rows by a value: item.id, a column, or `item` for equal items (default: detected).",
)
@click.option(
    "--data-a", metavar="FILE", type=DATA, help="The data set of A, if it was moved or is at a URL."
)
@click.option(
    "--data-b", metavar="FILE", type=DATA, help="The data set of B, if it was moved or is at a URL."
)
@click.option(
    "--force",
    is_flag=True,
    help="Compare though few rows have a partner; if the data cannot be read, pair rows by line number.",
)
@comparison_options
def command(
    a: Path,
    b: Path,
    *,
    by: str | None,
    data_a: Location | None,
    data_b: Location | None,
    force: bool,
    **printing: Any,
) -> None:
    """Compare two results files over the same rows.

    A and B are files that `graders score` has written for the same rows, with two graders or with the outputs
    of two models. Rows of one data set are paired by line and sample; those of two data sets by an id that
    each row has alone, or else by equal items, whatever their order; --by names another value.

    Each mean is that of `graders report`: rows whose output or grader is to blame for a missing reward count
    at what the hosted API serves. The difference is over the pairs that count in both means; the samples of a
    prompt count as one draw. Where their numbers differ, or nothing says which sample of a prompt belongs to
    which of the other run, the difference is that of the prompts' means.

    --json prints `before` and `after` (each `rows`, `statuses`, `blames`, `mean`, `scored_mean`,
    `hosted_mean`, `complete`), `pairs` (`by`, `matched`, `only_before`, `only_after`, `other_items`,
    `unchecked`, `prompts`: null, or how many are compared, `before` and `after` with how many samples),
    `moved`, `left_out`, the `difference` of the means and that of the rows `scored` in both (each `before`,
    `after`, `difference`, `p_value`, `test`, `wins`, `ties`, `losses`, …), `sub_rewards`, `changed_most`,
    `status_changes`, `grader_changes` and `setting_changes`. Each mean is `value`, `low` and `high` (its
    95 % interval), `rows` and `groups`; what is no finite number is null.

    Exit codes: 0 done, 1 no row counts in both means, 3 with --fail-if-worse: the same, or B is worse (the
    95 % interval of the difference ends below -MARGIN; without one, the difference is below and p < 0.05), or
    the difference cannot be computed.
    """
    from graders_engine.dataset.results.same_data import Sources

    for one in (a, b):
        _require_no_run(one)
    require_page(printing["page"], [(a, data_a), (b, data_b)])
    show_comparison((a, b), Sources(data_a, data_b, by, force), **printing)
