"""`graders schema`."""

from __future__ import annotations

import json

import click

from graders_engine.graders.parse import json_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a grader.

    \b
    graders schema > grader.schema.json
    # VS Code: "json.schemas": [{"fileMatch": ["*grader*.json"], "url": "./grader.schema.json"}]
    """  # noqa: D301 - \b is the character by which click keeps lines apart
    click.echo(json.dumps(json_schema(), indent=2))
