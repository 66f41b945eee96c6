"""JSON or YAML 1.2 text that users type on a command line, to JSON values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from graders_engine.cli.terminal import failing
from graders_engine.documents import load as documents
from graders_engine.documents.invalid_document import InvalidDocument as InvalidDocument


def load(
    text: str,
    what: str,
    text_fields: Collection[str] = (),
    *,
    name: str = "",
    quiet: bool = False,
) -> Any:
    """Parse a document: as `documents.load.load`, with what may surprise printed as notes.

    Args:
        text: JSON or YAML.
        what: its origin, for messages: "--grader".
        text_fields: keys whose scalars stay text.
        name: of the file that holds it.
        quiet: whether nothing is said of what is read in a way that may surprise.

    Raises:
        InvalidDocument: with the line and a caret.
    """
    return documents.load(text, what, text_fields, name=name, on_note=None if quiet else _print)


def _print(note: str) -> None:
    failing.caution(f"note: {note}")
