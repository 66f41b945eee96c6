"""`graders completion`."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from graders_engine.cli.parsing.command import Command

SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command("completion", cls=Command, example='eval "$(graders completion bash)"')
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands and options.

    Put the example into ~/.bashrc, with zsh in place of bash into ~/.zshrc. For fish, write the script to
    ~/.config/fish/completions/graders.fish.
    """
    script = SHELLS[shell](ctx.find_root().command, {}, "graders", "_GRADERS_COMPLETE")
    click.echo(script.source())
