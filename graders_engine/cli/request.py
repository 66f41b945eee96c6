"""From flags, files and standard input to one request."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from graders_engine.cli.documents import load
from graders_engine.errors import InvalidRequest
from graders_engine.language.scope import kind_of

KEYS = ("grader", "model_sample", "item", "sample", "reference_answer")
"""The keys of a request; a document on standard input has these, and each has a flag."""

TEXT_FIELDS = frozenset(
    {
        "calculate_output",
        "content",
        "data",
        "detail",
        "evaluation_metric",
        "format",
        "id",
        "image_tag",
        "image_url",
        "input",
        "labels",
        "model",
        "name",
        "operation",
        "passing_labels",
        "reasoning_effort",
        "reference",
        "role",
        "source",
        "text",
        "type",
        "url",
    }
)
"""The keys of a grader that hold text; a test holds them against the grader's JSON Schema."""

PATIENCE_S = 1.0
"""How long a silent pipe on standard input is waited for when the flags already make a whole request."""


def read_request(
    flags: Mapping[str, str | None], needed: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    """Merge the flags over a document on standard input.

    Args:
        flags: by key, what was typed; None for a flag that was not given.
        needed: what makes a request whole: of each tuple, one of the keys.

    Returns:
        What was given, by key.

    Raises:
        InvalidRequest: something cannot be read, or is missing.
    """
    typed = {key: value for key, value in flags.items() if value is not None}
    dashes = [flag_name(key) for key, value in typed.items() if value == "-"]
    if len(dashes) > 1:
        raise InvalidRequest(
            f"Standard input can stand for one flag only, not for {' and '.join(dashes)}."
        )
    given: dict[str, Any] = {}
    whole = all(any(key in typed for key in keys) for keys in needed)
    if not dashes and stdin_has_document(whole=whole):
        given = _document(sys.stdin.read())
    given |= {key: read_flag(key, value) for key, value in typed.items()}
    missing = [
        " or ".join(map(flag_name, keys))
        for keys in needed
        if all(given.get(key) is None for key in keys)
    ]
    if missing:
        raise InvalidRequest(
            f"Missing: {', '.join(missing)}. Give it as a flag, or in a document on standard input."
        )
    return given


def flag_name(key: str) -> str:
    """The flag for a request's key."""
    return f"--{key.replace('_', '-')}"


def read_flag(key: str, value: str) -> Any:
    """The value of one flag: what was typed, `@FILE`, or `-` for standard input.

    Raises:
        InvalidRequest: the file or the text cannot be read.
    """
    flag = flag_name(key)
    if key == "model_sample":
        return sys.stdin.read() if value == "-" else inlined(value, Path())
    text_fields = TEXT_FIELDS if key == "grader" else frozenset[str]()
    if value == "-":
        loaded = load(sys.stdin.read(), f"{flag} (standard input)", text_fields)
        return _with_source(loaded, Path()) if key == "grader" else loaded
    if value.startswith("@"):
        path = Path(value[1:])
        loaded = load(read_file(path), str(path), text_fields)
        return _with_source(loaded, path.parent) if key == "grader" else loaded
    loaded = _inline_all(load(value, flag, text_fields))
    if key == "grader" and loaded is not None and not isinstance(loaded, dict):
        hint = f" (to read a file: {flag} @{value})" if isinstance(loaded, str) else ""
        raise InvalidRequest(f"{flag}: a grader is an object, but this is {kind_of(loaded)}{hint}.")
    return loaded


def read_file(path: Path) -> str:
    """A file's text.

    Raises:
        InvalidRequest: there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidRequest(f"{path}: {reason[0].lower()}{reason[1:]}.") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path}: not UTF-8 text (byte {error.start}).") from None


def inlined(text: str, folder: Path) -> str:
    r"""A text that may name a file: `@FILE` is the file's text, `\@x` is `@x`.

    As in the official command line, a word without a dot or a slash that is no file stays as it is.

    Raises:
        InvalidRequest: the file cannot be read.
    """
    if text.startswith("\\@"):
        return text[1:]
    if not text.startswith("@") or len(text) == 1:
        return text
    path = folder / text[1:]
    if not path.exists() and "." not in text and "/" not in text:
        return text
    return read_file(path)


def _inline_all(value: Any) -> Any:
    if isinstance(value, str):
        return inlined(value, Path())
    if isinstance(value, dict):
        return {key: _inline_all(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_inline_all(part) for part in value]
    return value


def _with_source(grader: Any, folder: Path) -> Any:
    """A grader from a file: only `source` names files in it, next to it. Its texts are data."""
    if not isinstance(grader, dict):
        return grader
    grader = {
        key: inlined(value, folder) if key == "source" and isinstance(value, str) else value
        for key, value in grader.items()
    }
    parts = grader.get("graders")
    if isinstance(parts, dict):
        grader["graders"] = {key: _with_source(part, folder) for key, part in parts.items()}
    elif isinstance(parts, list):
        grader["graders"] = [_with_source(part, folder) for part in parts]
    return grader


def _document(text: str) -> dict[str, Any]:
    document = load(text, "standard input", TEXT_FIELDS | {"model_sample"})
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidRequest(f"standard input: an object with {', '.join(KEYS)} was expected.")
    strange = [key for key in document if key not in KEYS]
    if strange:
        raise InvalidRequest(
            f"standard input: unknown key '{strange[0]}'; a request has {', '.join(KEYS)}."
        )
    # The item is data: its numbers are numbers, whatever its keys are called.
    plain = load(text, "standard input")
    document |= {key: plain[key] for key in ("item", "sample", "reference_answer") if key in plain}
    if "grader" in document:
        document["grader"] = _with_source(document["grader"], Path())
    return document


def stdin_has_document(*, whole: bool) -> bool:
    """Whether there is something to read on standard input: a file or a pipe, not a terminal.

    A pipe that stays open and silent is waited for if the flags do not make a whole request; else only
    for a moment, so that a caller's forgotten pipe does not hang the command.
    """
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (
        OSError,
        ValueError,
        AttributeError,
    ):  # closed, or replaced by something that is no file
        return False
    if stat.S_ISREG(mode):
        return True
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    if not whole:
        return True
    if select.select([descriptor], [], [], PATIENCE_S)[0]:
        return True
    click.echo(
        "graders: standard input is open but silent; going on without it "
        "(close it with </dev/null, or name it with '-' to wait for it).",
        err=True,
    )
    return False
