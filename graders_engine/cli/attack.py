"""`graders attack`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options, flags_given
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import keep_inputs
from graders_engine.cli.parsing.locations import DATA, FILE
from graders_engine.cli.parsing.preflight_options import max_calls_option, reference_options
from graders_engine.cli.preflight import show_plan
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.failing import FAILED, complain
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.errors import DataSetError
from graders_engine.files import FilesInUse, require_writable, write_whole
from graders_engine.preflight.attacks.plan import ROWS
from graders_engine.preflight.attacks.results import attack_scale, measured, right_and_other
from graders_engine.preflight.attacks.run import (
    checks_asked,
    hostile_rows,
    require_attacks,
    why_unattacked,
)
from graders_engine.preflight.options import USUAL_ROWS, Options
from graders_engine.preflight.report import PreflightReport
from graders_engine.report.preflight_verdicts import counted
from graders_engine.report.terminal.screen import screen_of
from graders_engine.urls import Location, files_among

_UNWRITTEN = "The hostile samples cannot be written"


@click.command(
    "attack",
    cls=Command,
    example="graders attack --grader @grader.json --data train.jsonl --out attacks.jsonl",
)
@takes_grader(required=True)
@click.option("--data", metavar="FILE", type=DATA, required=True, help="The training rows.")
@click.option(
    "--out",
    metavar="FILE",
    type=FILE,
    help="Write the hostile samples as rows for `graders score`.",
)
@reference_options
@click.option("--only", metavar="NAME,…", multiple=True, help="Try these attacks only.")
@click.option(
    "--rows",
    "attacked",
    metavar="N",
    type=click.IntRange(2),
    default=ROWS,
    help=f"Rows that are attacked (default: {ROWS}).",
)
@max_calls_option
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
@engine_options(use_cache=True)
def command(
    engine: Engine,
    grader: str,
    *,
    data: Location,
    out: Path | None,
    only: tuple[str, ...],
    attacked: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Try to be rewarded by a grader without being right.

    Builds hostile samples for some of the rows (an empty answer, a copy of the prompt, all labels at once, an
    order to the judge, …), grades them, and prints for each attack the best sample with what it earned, and
    above them what right answers and other rows' answers earn. These are the attacks of `graders preflight`.

    With --out, every hostile sample becomes a row {"item", "model_sample" or "sample", "attack", "variant",
    "kind", "line", "earned"}: score a mended grader on them.

    Exit codes: 0 if attacks were graded, whatever they earn; 1 if no hostile sample got a reward or all of
    them failed, if more than a tenth got none, if a file cannot be read or written, or if the budget for
    judges is spent; 2 if the request is wrong.

    With --json it prints {"grader", "full", "right", "other", "attacks", "findings"}.
    """
    names = tuple(name for listed in only for name in listed.split(","))
    require_attacks(names)
    value = read_flag("grader", grader)
    keep_inputs(engine.settings, data)
    if out is not None:
        require_writable(out, _UNWRITTEN)
        rows = dict.fromkeys(files_among([data]), "the training rows")
        FilesInUse(rows).write({out: "the hostile samples"})
    options = Options(
        **{name: part for name, part in given.items() if part is not None},
        rows=max(round(attacked * USUAL_ROWS / ROWS), 2),
        select=checks_asked(),
        attacks=names,
        flags=flags_given(),
    )
    with engine:
        engine.compile(value)  # or the mistakes would be findings of checks that are not asked
        report = engine.preflight(
            value,
            train=data,
            options=options,
            grader_file=grader[1:] if grader.startswith("@") else "",
            on_plan=lambda plan, inputs: show_plan(engine, plan, inputs),
        )
    if out is not None:
        _write(out, report)
    if as_json:
        click.echo(format_value(_json(report), "json"))
    else:
        from graders_engine.report.terminal.attacks import attacks_text

        click.echo(attacks_text(report, screen_of(sys.stdout)))
        if out is not None:
            print_lines(["", f"{counted(len(list(hostile_rows(report.inputs))), 'row')} in {out}"])
    if faults := [file.fault for file in report.inputs.files if file.fault]:
        complain(*faults)
        sys.exit(FAILED)
    if report.inputs.stopped:
        complain(report.inputs.stopped)
        sys.exit(FAILED)
    if not measured(report.inputs):
        why = report.not_checked.get("hackable") or "none was tried"
        complain(f"No hostile sample got a reward ({why}).")
        sys.exit(FAILED)
    if why := why_unattacked(report.inputs):
        complain(f"The hostile samples say nothing of the grader: {why}.")
        sys.exit(FAILED)


def _write(out: Path, report: PreflightReport) -> None:
    try:
        write_whole(out, _lines(report))
    except OSError as error:
        raise DataSetError(f"{_UNWRITTEN}: {out}: {error.strerror}.") from None


def _lines(report: PreflightReport) -> bytes:
    rows = hostile_rows(report.inputs)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def _json(report: PreflightReport) -> dict[str, Any]:
    inputs, scale = report.inputs, attack_scale(report.inputs)
    right, other = right_and_other(inputs)
    return {
        "grader": inputs.grader.name if inputs.grader else "",
        "full": None if scale is None else scale.full,
        "right": right,
        "other": other,
        "attacks": measured(inputs) or [],
        "findings": report.to_json()["findings"],
    }
