"""The help of each command fits the terminal, in groups; mistakes are answered with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from graders_engine.cli.parsing.groups import OTHER, group_of
from graders_engine.metrics import core
from graders_engine.report.width import columns_of
from graders_engine.version import __version__


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    for name in cli.COMMANDS:
        command = cli.graders.get_command(click.Context(cli.graders), name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, sub) for sub in command.commands)


COMMANDS = list(commands())


def command_of(words: tuple[str, ...]) -> click.Command:
    found: click.Command = cli.graders
    for word in words:
        assert isinstance(found, click.Group)
        below = found.get_command(click.Context(found), word)
        assert below is not None
        found = below
    return found


def help_of(words: tuple[str, ...], columns: int = 80) -> str:
    ended = CliRunner().invoke(
        cli.graders, [*words, "--help"], env={"COLUMNS": str(columns), "LINES": None}
    )
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_stands_in_a_group(words: tuple[str, ...]) -> None:
    command = command_of(words)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            flags = [*option.opts, *option.secondary_opts]
            assert group_of(words[-1], flags)[0] != OTHER, flags


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_that_is_a_command_of_ours(words: tuple[str, ...]) -> None:
    example = help_of(words).partition("Example:\n")[2].partition("\n\n")[0]
    assert re.match(r'  (eval "\$\()?graders ' + words[0], example)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_line_of_a_help_is_wider_than_the_terminal(words: tuple[str, ...], columns: int) -> None:
    code = re.compile(r"^ +(import |client|with |for |print|items?\b|packages|\[images)")
    for line in help_of(words, columns).splitlines():
        word = max(map(columns_of, line.split()), default=0)
        assert columns_of(line) <= max(columns, word + 6) or code.match(line), line


def test_the_most_used_options_come_first() -> None:
    options = help_of(("score",)).partition("Main options:")[2]
    flags = re.findall(r"^  (--[a-z-]+)", options, re.MULTILINE)
    assert flags[:3] == ["--grader", "--data", "--out"]
    headings = re.findall(r"^([A-Z][a-z ]+):$", help_of(("score",)), re.MULTILINE)
    assert headings[:3] == ["Example", "Main options", "Data"]
    assert headings.index("Data") < headings.index("Judge") < headings.index("Sandbox")


def test_validate_lists_only_the_flags_that_change_what_it_says() -> None:
    flags = set(re.findall(r"^  (--[a-z-]+)", help_of(("validate",)), re.MULTILINE))
    assert {"--grader", "--json", "--sandbox", "--base-url", "--config"} <= flags
    assert not flags & {"--max-cost", "--concurrency", "--no-cache", "--record", "--limit"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], "No such command 'check'. Did you mean 'validate'?"),
        (["scroe"], "No such command 'scroe'. Did you mean 'score'?"),
        (["cache", "cleer"], "No such command 'cleer'. Did you mean 'clear'?"),
        (["qqqq"], "No such command 'qqqq'.\n"),
        (["validate", "--sandbx", "auto"], "Did you mean '--sandbox'?"),
        (["validate", "--sandbox", "landlok"], "Did you mean 'landlock'?"),
        (["completion", "zhs"], "Did you mean 'zsh'?"),
        (["score", "--dat", "x"], "No such option '--dat'. Did you mean '--data'?"),
        (["score", "--ou", "x"], "No such option '--ou'. Did you mean '--out'?"),
        (["score", "--Data", "x"], "No such option '--Data'. Did you mean '--data'?"),
        (["validate", "--hlep"], "No such option '--hlep'. Did you mean '--help'?"),
        (["help"], "No such command 'help'. Did you mean 'graders --help'?"),
        (["help", "score"], "No such command 'help'. Did you mean 'graders score --help'?"),
        (["cache", "help"], "No such command 'help'. Did you mean 'graders cache --help'?"),
        (["version"], "No such command 'version'. Did you mean 'graders --version'?"),
        (["diff"], "No such command 'diff'. Did you mean 'diff-graders'?"),
        (["cache", "show"], "No such command 'show'. The commands are: clear, info."),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(arguments: list[str], sentence: str) -> None:
    ended = CliRunner().invoke(cli.graders, arguments)
    assert ended.exit_code == 2
    assert sentence in ended.stderr.replace("Did you mean --sandbox?", "Did you mean '--sandbox'?")


def test_the_version_is_printed_with_the_text_metrics_in_use_and_why_they_are_pure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core, "ACTIVE", "compiled")
    monkeypatch.setattr(core, "REASON", None)
    ended = CliRunner().invoke(cli.graders, ["--version"])
    assert (ended.exit_code, ended.stdout) == (
        0,
        f"graders-engine {__version__} (metrics: compiled)\n",
    )
    monkeypatch.setattr(core, "ACTIVE", "pure")
    monkeypatch.setattr(core, "REASON", "GRADERS_PURE is set")
    ended = CliRunner().invoke(cli.graders, ["--version"])
    assert ended.stdout.endswith(" (metrics: pure; GRADERS_PURE is set)\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell: str) -> None:
    ended = CliRunner().invoke(cli.graders, ["completion", shell])
    assert ended.exit_code == 0
    assert f"_GRADERS_COMPLETE={shell}_complete" in ended.stdout


def test_commands_and_options_are_completed() -> None:
    def completed(words: str, at: int) -> list[str]:
        env = {"_GRADERS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        ended = CliRunner().invoke(cli.graders, [], env=env, prog_name="graders")
        return [line.partition(",")[2] for line in ended.stdout.splitlines()]

    assert completed("graders s", 1) == ["score", "serve", "sandbox", "schema"]
    assert completed("graders score --sha", 2) == ["--shape"]
    assert completed("graders score --shape sam", 3) == ["samples"]
