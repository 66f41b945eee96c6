"""`graders sandbox`."""

from __future__ import annotations

import sys

import click

from graders_engine.cli.failing import FAILED
from graders_engine.sandbox import cgroup
from graders_engine.sandbox.probe import report


@click.command("sandbox")
def command() -> None:
    """Show tier by tier what keeps python graders in on this machine, and prove it by a self-test.

    Exits with 1 when there is no tier that holds.
    """
    tiers = report()
    for tier in tiers:
        click.secho(tier.name, bold=True, nl=False)
        click.echo(": available" if tier.available else f": not available; {tier.missing}")
        for heading, lines in (("covers", tier.covers), ("does not cover", tier.does_not_cover)):
            click.echo(f"  {heading}")
            for line in lines:
                click.echo(f"    - {line}")
        if tier.checks:
            click.echo("  self-test")
        for check in tier.checks:
            mark, color = ("held", "green") if check.held else ("BROKEN", "red")
            click.secho(f"    {mark:<7}", fg=color, nl=False)
            click.echo(f"{check.name}" + (f" ({check.said})" if check.said else ""))
    made = (
        "made around each worker"
        if cgroup.home()
        else "not permitted; limits a process and a watchdog"
    )
    click.echo(f"memory groups of the kernel (cgroup): {made}")
    if not any(tier.proved for tier in tiers):
        sys.exit(FAILED)
