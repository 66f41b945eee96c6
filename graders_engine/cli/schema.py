"""`graders schema`."""

from __future__ import annotations

import json

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.graders.parse import json_schema


@click.command("schema", cls=Command, example="graders schema > grader.schema.json")
def command() -> None:
    """Print the JSON Schema of a grader, for editors.

    VS Code takes it from its settings: "json.schemas": [{"fileMatch": ["*grader*.json"], "url":
    "./grader.schema.json"}]
    """
    click.echo(json.dumps(json_schema(), indent=2))
