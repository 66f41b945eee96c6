"""`graders evals run`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from graders_engine.body_fields import InvalidBody
from graders_engine.cli.evals.progress import run_progress
from graders_engine.cli.evals.run_report import show_run
from graders_engine.cli.evals.source import check, data_source, require_runnable
from graders_engine.cli.evals.stored import find, show_command
from graders_engine.cli.evals.text import threshold_lines
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.documents import load
from graders_engine.cli.parsing.engine_options import engine_settings
from graders_engine.cli.parsing.flags import percent
from graders_engine.cli.parsing.input_files import read_file
from graders_engine.cli.parsing.judge_options import JUDGE_FLAGS
from graders_engine.cli.parsing.locations import DATA
from graders_engine.cli.parsing.store import EVALS, PROJECT
from graders_engine.cli.terminal.failing import FAILED, INTERRUPTED, MISSED, caution, complain
from graders_engine.cli.terminal.printing import print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.evals.creating import DIGEST, create_eval, create_run
from graders_engine.evals.data_file import KeptData, keep_data
from graders_engine.evals.requests.eval_body import new_eval
from graders_engine.evals.requests.rows import FILE
from graders_engine.evals.requests.run_body import new_run
from graders_engine.evals.run.reading import counts_of, pass_rate
from graders_engine.evals.run.reasons import reasons_of
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.language import strict_json
from graders_engine.report.terminal.screen import screen_of
from graders_engine.settings import EngineSettings
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from graders_engine.urls import Location

_USEFUL = (
    *JUDGE_FLAGS, "metric_variants", "embeddings", "max_text_chars", "sandbox", "limits",
    "python_isolation", "trust_source",
)  # fmt: skip
"""The engine's flags but for `--templates`: runs of evals have them as they were served."""
_SHOWN = 5
"""Items that are printed at the end."""
_EXAMPLE = """\
graders evals run eval_68b1... --data rows.jsonl --jobs DIR
graders evals run eval.json --data items.jsonl --model NAME --messages @messages.json --jobs DIR"""


@click.command("run", cls=Command, example=_EXAMPLE)
@click.argument("eval_name", metavar="EVAL")
@click.option(
    "--data",
    metavar="FILE",
    required=True,
    type=DATA,
    help="The rows: JSONL, a JSON array, CSV or Parquet.",
)
@EVALS
@PROJECT
@click.option("--name", metavar="NAME", help="Name of the run.")
@click.option("--model", metavar="NAME", help="Ask this model for an output for each item.")
@click.option(
    "--messages",
    metavar="M",
    help="What it is asked: messages with templates such as {{item.question}}, or item.PATH where the items "
    "have messages (default: those of the eval's newest run that asked a model).",
)
@click.option(
    "--sampling-params",
    metavar="P",
    help="Sampling parameters of this model, such as {temperature: 0, max_completion_tokens: 500} (default: "
    "without --messages those of the run that the messages are from, else none).",
)
@click.option(
    "--fail-under",
    metavar="X",
    type=click.FloatRange(0, 1),
    help="Exit with code 3 if the pass rate, from 0 to 1, is lower.",
)
@click.option(
    "--max-errored",
    metavar="P%",
    type=percent,
    help="Exit with code 3 if a larger share of the items is errored, and so in no rate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.option("--quiet", is_flag=True, help="Print no progress and no result.")
@engine_settings(useful=_USEFUL)
def run(
    settings: EngineSettings,
    eval_name: str,
    data: Location,
    jobs: Path,
    project: str,
    fail_under: float | None,
    max_errored: float | None,
    *,
    as_json: bool,
    quiet: bool,
    **asked: str | None,
) -> None:
    """Run an eval over a file of rows, and print how many pass.

    EVAL is the id of an eval in the folder, or a JSON or YAML file with what `client.evals.create` takes;
    equal files share one eval. A row is {"item": …, "sample": {…}} or {"item": …, "model_sample": "…"}; with
    --model, the item is enough. --messages and --sampling-params take JSON, YAML or @FILE.

    The run is kept in the folder, where `graders evals show` and a server find it. It is a process of its
    own; Ctrl-C cancels it, and what was graded stays. With --model, all items are sampled before the first
    is graded: a run that is canceled before lists what was sampled, ungraded. A server that uses the folder
    may start the run first, with its own settings. Judges and models are found as in `graders score`.

    Exit codes: 0 if items are graded; 3 if a limit is not kept (--fail-under, --max-errored); 1 if nothing is
    graded, the run has failed, or the rows cannot be read; 2 if the request is wrong; 130 if interrupted.

    With --json it prints what `graders evals show --json` does.
    """
    screen = screen_of(sys.stdout)
    with Store(jobs) as store:
        owner = _eval_of(store, project, eval_name)
        for line in threshold_lines(owner):
            print_lines([line], err=True)
        source = data_source(store, owner, **asked)
        check(source, asked["name"])
        require_runnable(store, settings, owner, source)
        kept = keep_data(store, project, data)
        for note in () if quiet else kept.notes:
            caution(f"note: {note}")
        source["source"] = {"type": "file_id", "id": kept.file.id}
        made = _create(store, owner, {"data_source": source, "name": asked["name"]}, kept, data)
        done, code = _finish(store, made, settings, kept.rows, quiet=quiet)
        if done is None:
            raise InvalidRequest(f"The run {made.id} was deleted meanwhile.")
        if as_json or not quiet:
            show_run(store, done, _SHOWN, screen, as_json=as_json)
        if not (as_json or quiet):
            print_lines(["", f"kept in {jobs}: {show_command(done, jobs)}"])
        reasons = reasons_of(store, done)
    sys.exit(code or _exit_code(done, _Limits(fail_under, max_errored), reasons))


def _eval_of(store: Store, project: str, name: str) -> StoredEval:
    """The eval of an id, or that of a file.

    Raises:
        InvalidRequest: there is none, or the file holds none.
    """
    path = Path(name.removeprefix("@"))
    if not path.is_file():
        if name.startswith("@") or path.suffix in (".json", ".yaml", ".yml"):
            raise InvalidRequest(f"There is no file {path}.")
        found = find(store, project, name)
        if isinstance(found, StoredRun):
            raise InvalidRequest(f"{name} is a run; its eval is {found.eval_id}.")
        return found
    body = load(read_file(path), str(path), name=path.name)
    digest = hashlib.sha256(strict_json.encode(["file", body])).hexdigest()
    page = Page(None, 200, "desc")
    while True:
        some = store.evals.page(project, page)
        for one in some.data:
            if one.body.get(DIGEST) == digest:
                return one
        if not some.has_more:
            try:
                new = new_eval(body)
            except InvalidBody as error:
                raise InvalidRequest(f"{path} is no eval that can be made:\n\n{error}") from None
            return create_eval(store, project, new, now=int(time.time()), digest=digest)
        page = Page(some.data[-1].id, 200, "desc")


def _create(
    store: Store, owner: StoredEval, body: dict[str, Any], kept: KeptData, data: Location
) -> StoredRun:
    """Make the run; where that is refused, its rows are not kept.

    Raises:
        InvalidRequest: with all mistakes.
    """
    try:
        made = create_run(store, owner, new_run(body), now=int(time.time()))
        if made is None:
            raise InvalidRequest(f"The eval {owner.id} was deleted meanwhile.")
    except InvalidRequest as error:
        if kept.is_new:
            store.files.delete(owner.project, kept.file.id)
        # The rows have an id in the folder, which the caller does not know.
        text = str(error).replace(f"Invalid '{FILE}': ", "").replace(f"'{kept.file.id}'", str(data))
        raise InvalidRequest(text) from None
    return made


def _finish(
    store: Store, made: StoredRun, settings: EngineSettings, rows: int, *, quiet: bool
) -> tuple[StoredRun | None, int]:
    """Work on a run until it has ended, or is canceled; the run, and the exit code if it was interrupted."""
    supervisor = Supervisor(store, settings)
    with run_progress(store, made.id, rows, quiet=quiet) as on_look:
        try:
            return supervisor.finish(made.id, on_look), 0
        except (KeyboardInterrupt, SystemExit) as error:
            store.runs.note(made.id, wanted="canceled")
            code = error.code if isinstance(error, SystemExit) else INTERRUPTED
            click.echo("\nInterrupted. The run is canceled.", err=True)
            return supervisor.finish(made.id), code if isinstance(code, int) else FAILED


class _Limits(NamedTuple):
    """What a run has to keep: the lowest pass rate, and the most errored items in percent; None for any."""

    fail_under: float | None
    max_errored: float | None


def _exit_code(done: StoredRun, limits: _Limits, reasons: Sequence[str]) -> int:
    """The exit code of a run that has ended; why it is not 0 is printed on standard error."""
    rate, errored = pass_rate(done), counts_of(done)["errored"]
    if done.status != "completed":
        reason = done.error.get("message") if done.error else "it was canceled"
        complain(f"The run has not been completed: {reason}")
        return FAILED
    if rate is None:
        why = f": {', '.join(reasons)}" if reasons else ""
        complain(f"No item is graded: {errored:,} errored{why}.")
        return FAILED
    missed = [*_missed(limits, rate, errored, counts_of(done)["total"])]
    for reason in missed:
        complain(reason)
    return MISSED if missed else 0


def _missed(limits: _Limits, rate: float, errored: int, total: int) -> Iterator[str]:
    """Each limit that is not kept; items in no rate are said where nothing limits them."""
    fail_under, max_errored = limits
    if fail_under is not None and rate < fail_under:
        yield f"The pass rate is {rate:.4f}, lower than --fail-under {fail_under:g}."
    share = f"{errored:,} of {total:,} items are errored"
    if max_errored is not None and 100 * errored > max_errored * total:
        yield f"{share}, more than --max-errored {max_errored:g}%."
    elif errored and fail_under is not None and max_errored is None:
        complain(f"warning: {share}, and so in no rate: --max-errored P% limits them.")
