"""`graders sandbox`."""

from __future__ import annotations

import sys

import click

from graders_engine.cli.failing import FAILED
from graders_engine.sandbox import cgroup
from graders_engine.sandbox.probe import Tier, report

_COLUMNS = 80


@click.command("sandbox")
def command() -> None:
    """Show how python graders are confined on this machine, and test it.

    Exits with 1 when no tier is available, or none passes its self-test.
    """
    tiers = report()
    for tier in tiers:
        _show(tier)
    permitted = cgroup.home() is not None
    click.echo(
        "memory cgroup: one around each worker"
        if permitted
        else "memory cgroup: not permitted; limits on processes and a watchdog take its place"
    )
    if not any(tier.is_proved for tier in tiers):
        sys.exit(FAILED)


def _show(tier: Tier) -> None:
    """Print what one tier covers and does not cover, and its self-test."""
    click.secho(tier.name, bold=True, nl=False)
    click.echo(": available" if tier.available else ": not available")
    if not tier.available:
        click.echo(_wrapped(tier.unavailable_because, "  "))
    for heading, lines in (("covers", tier.covers), ("does not cover", tier.does_not_cover)):
        click.echo(f"  {heading}")
        for line in lines:
            click.echo(_wrapped(line, "    - "))
    if tier.checks:
        click.echo("  self-test")
    for check in tier.checks:
        mark, color = ("passed", "green") if check.passed else ("FAILED", "red")
        click.secho(f"    {mark}  ", fg=color, nl=False)
        detail = f" ({check.detail})" if check.detail else ""
        click.echo(_wrapped(f"{check.name}{detail}", " " * 12).lstrip())


def _wrapped(text: str, indent: str) -> str:
    """Text in lines of 80 columns; the first begins with `indent`, the others are blank to there."""
    return click.wrap_text(
        text, _COLUMNS, initial_indent=indent, subsequent_indent=" " * len(indent)
    )
