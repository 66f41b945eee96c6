"""`graders run`."""

from __future__ import annotations

import sys
from textwrap import indent
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import keep_inputs
from graders_engine.cli.request import read_request, require_given
from graders_engine.cli.terminal.failing import caution, warn
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.compiled import CompiledGrader
from graders_engine.errors import InvalidRequest
from graders_engine.graders.base import Services
from graders_engine.report.terminal.screen import Heading, screen_of

_OUTPUT = ("model_sample", "sample")


@click.command(
    "run", cls=Command, example="graders run grader.yaml --model-sample cat --item '{label: cat}'"
)
@takes_grader(required=False)
@click.option("--model-sample", metavar="S", help="The model's text, @FILE, or -.")
@click.option("--item", metavar="I", help="The data-set row: JSON or YAML, @FILE, or -.")
@click.option("--sample", metavar="JSON", help="A whole sample object, in place of --model-sample.")
@click.option(
    "--reference-answer", metavar="JSON", help="Short for --item '{\"reference_answer\": …}'."
)
@click.option(
    "--field",
    "--transform",
    metavar="NAME",
    help="Print only one value: reward, metadata.errors, …",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "pretty", "json", "jsonl", "raw", "yaml"]),
    default="auto",
    help="Output format; jsonl and raw are one line.",
)
@click.option(
    "--show-output", is_flag=True, help="Print the output of python graders on standard error."
)
@click.option(
    "--explain",
    is_flag=True,
    help="Show step by step how it is graded, as `graders explain` does for rows.",
)
@click.option("--api-key", hidden=True, expose_value=False, help="Accepted and ignored.")
@engine_options()
def command(
    engine: Engine,
    field: str | None,
    form: str,
    show_output: bool,
    explain: bool,
    **flags: str | None,
) -> None:
    """Grade one model output and print the response as JSON.

    A grader that reads the item only needs no output.

    A JSON or YAML document on standard input can have the same keys as the flags (grader, model_sample, item,
    …); flags take precedence. In YAML, put templates in quotes.
    """
    request = read_request(flags, needed=[("grader",)], usual=[_OUTPUT])
    keep_inputs(engine.settings)
    with engine:
        if all(request.get(key) is None for key in _OUTPUT):
            _require_no_output(engine, request)
        if explain:
            click.echo(_explanation(engine, request))
            return
        response = engine.run(**request)
    for misreading in CompiledGrader(
        request["grader"], Services(), check_sources=False
    ).misreadings():
        warn(misreading)
    for flag, details in response.flags.items():
        caution(_flag_text(flag, details))
    if show_output:
        for name, text in response.printed.items():
            print_lines([Heading(f"{name}:"), text], err=True)
    answer = response.model_dump()
    click.echo(format_value(answer if field is None else _pick(answer, field), form))


def _flag_text(flag: str, details: str) -> str:
    """A flag with its details; several lines of them, such as those of several parts, stand below it."""
    if "\n" in details:
        return f"{flag}:\n{indent(details, '    ')}"
    return f"{flag}: {details}" if details else flag


def _explanation(engine: Engine, request: dict[str, Any]) -> str:
    """How the output is graded, step by step."""
    from graders_engine.report.explain import explain
    from graders_engine.report.terminal.explain import explanation_text

    row = {key: value for key, value in request.items() if key != "grader"}
    explanation = explain(engine.settings, request["grader"], row, 1)
    return explanation_text(explanation, screen_of(sys.stdout))


def _require_no_output(engine: Engine, request: dict[str, Any]) -> None:
    """Check that a request without a model's output has a grader that reads none."""
    try:
        compiled = engine.compile(request["grader"])
    except InvalidRequest:  # what is missing is said first
        require_given(request, [_OUTPUT])
        raise
    # Without an item, there is nothing that could be graded.
    nothing = request.get("item") is None and request.get("reference_answer") is None
    if compiled.reads_sample or nothing:
        require_given(request, [_OUTPUT])


def _pick(answer: Any, field: str) -> Any:
    for step in field.split("."):
        if not isinstance(answer, dict) or step not in answer:
            known = (
                f"there are: {', '.join(answer)}"
                if isinstance(answer, dict)
                else "nothing is inside"
            )
            raise InvalidRequest(f"--field {field}: the response has no '{step}' there ({known}).")
        answer = answer[step]
    return answer
