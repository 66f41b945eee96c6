"""`graders sandbox`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.terminal.failing import FAILED
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.report.terminal.screen import Heading, Problem
from graders_engine.sandbox import cgroup
from graders_engine.sandbox.probe import Tier, report


@click.command("sandbox", cls=Command, example="graders sandbox")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def command(*, as_json: bool) -> None:
    """Show how python graders are confined on this machine, and test it.

    Exits with 1 when no tier is available, or none passes its self-test.

    With --json it prints {"proved", "tiers", "memory_cgroup"}: whether a tier passed its self-test; for each
    tier {"name", "available", "unavailable_because", "covers", "does_not_cover", "checks"}, where a check is
    {"name", "passed", "detail"}; and whether there is a memory cgroup around each worker.
    """
    tiers, permitted = report(), cgroup.home() is not None
    proved = any(tier.is_proved for tier in tiers)
    if as_json:
        found = {
            "proved": proved,
            "tiers": [dataclasses.asdict(tier) for tier in tiers],
            "memory_cgroup": permitted,
        }
        click.echo(format_value(found, "json"))
    else:
        lines = [line for tier in tiers for line in _lines(tier)]
        if any(tier.available for tier in tiers):
            lines.append(
                "memory cgroup: one around each worker"
                if permitted
                else "memory cgroup: not permitted; limits on processes and a watchdog take its place"
            )
        print_lines(lines)
    if not proved:
        sys.exit(FAILED)


def _lines(tier: Tier) -> Iterator[str]:
    """What one tier covers and does not cover, and its self-test."""
    yield Heading(f"{tier.name}: {'available' if tier.available else 'not available'}")
    if not tier.available:
        yield f"  {tier.unavailable_because}"
    for heading, lines in (("covers", tier.covers), ("does not cover", tier.does_not_cover)):
        yield f"  {heading}"
        yield from (f"    - {line}" for line in lines)
    if tier.checks:
        yield "  self-test"
    for check in tier.checks:
        detail = f" ({check.detail})" if check.detail else ""
        line = f"    {'passed' if check.passed else 'FAILED'}  {check.name}{detail}"
        yield line if check.passed else Problem(line)
