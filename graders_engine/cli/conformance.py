"""`graders conformance`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.terminal.failing import FAILED
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.conformance.asking import Result, Server
from graders_engine.conformance.cases import Case, all_cases, topics
from graders_engine.conformance.comparing import quoted
from graders_engine.report.terminal.screen import Heading, Problem

_LISTED = 10
"""So many cases of a topic are listed on a screen."""
_EXAMPLE = """\
graders conformance --base-url http://127.0.0.1:8000/v1
graders conformance --write > cases.jsonl"""


@click.command("conformance", cls=Command, example=_EXAMPLE)
@click.option("--base-url", metavar="URL", help="The server: its address up to and with /v1.")
@click.option(
    "--key",
    metavar="KEY",
    default="",
    help="Its key; better in the variable GRADERS_CONFORMANCE_KEY, where no list of processes shows it.",
)
@click.option(
    "--topic",
    "chosen",
    multiple=True,
    metavar="TOPIC",
    type=click.Choice(topics()),
    help=f"Only the cases of this topic; repeatable: {', '.join(topics())}.",
)
@click.option("--concurrency", metavar="N", type=click.IntRange(1), default=4, show_default=True,
              help="Requests in flight at once.")  # fmt: skip
@click.option(
    "--write", is_flag=True, help="Print the cases, a line of JSON each, and ask nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print what differs as JSON.")
def command(
    *,
    base_url: str | None,
    key: str,
    chosen: tuple[str, ...],
    concurrency: int,
    write: bool,
    as_json: bool,
) -> None:
    """Compare a server's answers with those that the format asks for.

    The server may be ours, Azure's or any other with the routes `run` and `validate` of
    /fine_tuning/alpha/graders. No case needs a model. With Azure, the address is
    https://NAME.openai.azure.com/openai/v1?api-version=preview.

    With --json it prints {"server", "topics", "differing"}: for each topic {"cases", "as_expected"}, and of
    each case that differs {"topic", "name", "call", "request", "expected", "differences"}.

    Exit codes: 0 if all answers are as expected; 1 if some differ or the server cannot be asked; 2 if the
    request is wrong.
    """
    cases = [case for case in all_cases() if not chosen or case.topic in chosen]
    if write:
        for case in cases:
            click.echo(json.dumps(case.as_json()))
        return
    if base_url is None:
        raise click.UsageError("Name the server with --base-url, or print the cases with --write.")
    server = Server(base_url, key, concurrency=concurrency)
    results = asyncio.run(_asked(server, cases))
    if as_json:
        click.echo(format_value(_as_json(server, results), "json"))
    else:
        print_lines(_lines(server, results))
    if any(result.differences for result in results):
        sys.exit(FAILED)


async def _asked(server: Server, cases: Sequence[Case]) -> list[Result]:
    async with aclosing(server.ask(cases)) as results:
        return [result async for result in results]


def _counts(results: Sequence[Result]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for result in results:
        counts = found.setdefault(result.case.topic, {"cases": 0, "as_expected": 0})
        counts["cases"] += 1
        counts["as_expected"] += not result.differences
    return found


def _as_json(server: Server, results: Sequence[Result]) -> dict[str, Any]:
    differing = [
        {**result.case.as_json(), "differences": result.differences}
        for result in results
        if result.differences
    ]
    return {"server": server.address, "topics": _counts(results), "differing": differing}


def _lines(server: Server, results: Sequence[Result]) -> Iterator[str]:
    """A table of the topics, then what differs."""
    counts = _counts(results)
    differing = sum(1 for result in results if result.differences)
    yield Heading(f"{server.address}: {len(results):,} cases")
    width = max(map(len, counts), default=0)
    yield f"{'':{width}}  {'cases':>6}  {'as expected':>11}  {'differ':>6}"
    for topic, count in counts.items():
        differ = count["cases"] - count["as_expected"]
        row = f"{topic:{width}}  {count['cases']:>6,}  {count['as_expected']:>11,}  {differ or '-':>6}"
        yield Problem(row) if differ else row
    if not differing:
        yield "all answers are as expected"
    for topic in counts:
        yield from _differing(
            [one for one in results if one.case.topic == topic and one.differences]
        )


def _differing(results: Sequence[Result]) -> Iterator[str]:
    if not results:
        return
    yield ""
    yield Heading(f"{results[0].case.topic}: what differs")
    for result in results[:_LISTED]:
        yield f"  {result.case.name} ({result.case.call})"
        yield f"    {quoted(result.case.request)}"
        yield from (f"    - {difference}" for difference in result.differences)
    if len(results) > _LISTED:
        yield f"  and {len(results) - _LISTED:,} more cases: --json prints all"
