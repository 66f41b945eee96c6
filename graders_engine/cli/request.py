"""Reads one request from flags, files and standard input."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graders_engine.cli.parsing.documents import load
from graders_engine.cli.parsing.input_files import files_read, read_file
from graders_engine.cli.terminal import failing
from graders_engine.documents.load import TEXT_FIELDS
from graders_engine.errors import InvalidRequest
from graders_engine.files import STDIN
from graders_engine.graders.parts import PYTHON_SOURCE, map_parts, wrapped
from graders_engine.language.scope import kind_of

KEYS = ("grader", "model_sample", "item", "sample", "reference_answer")
"""The keys of a request: those of a document on standard input, each with a flag of the same name."""

STDIN_TIMEOUT_S = 1.0
"""How long to wait for a silent pipe on standard input if the flags already make a complete request."""


def read_request(
    flags: Mapping[str, str | None],
    needed: Sequence[tuple[str, ...]],
    usual: Sequence[tuple[str, ...]] = (),
) -> dict[str, Any]:
    """Read the flags, and a document on standard input, over which flags take precedence.

    Args:
        flags: the text of each flag by key; None for a flag that was not given.
        needed: what a request must have: one key of each tuple.
        usual: what a complete request has, too; `require_given` checks it where it is needed.

    Returns:
        The values by key.

    Raises:
        InvalidRequest: something cannot be read, or is missing.
    """
    typed = {key: value for key, value in flags.items() if value is not None}
    dashes = [flag_name(key) for key, value in typed.items() if value == "-"]
    if len(dashes) > 1:
        raise InvalidRequest(
            f"Standard input can be the value of one flag only, not of {' and '.join(dashes)}."
        )
    given: dict[str, Any] = {}
    complete = all(any(key in typed for key in keys) for keys in (*needed, *usual))
    if not dashes and stdin_has_document(complete=complete):
        given = _document(_read_stdin())
    given |= {key: read_flag(key, value) for key, value in typed.items()}
    require_given(given, needed)
    return given


def require_given(given: Mapping[str, Any], needed: Sequence[tuple[str, ...]]) -> None:
    """Check that a request has one key of each tuple.

    Raises:
        InvalidRequest: it does not.
    """
    missing = [
        " or ".join(map(flag_name, keys))
        for keys in needed
        if all(given.get(key) is None for key in keys)
    ]
    if missing:
        alone = missing == ["--grader"]
        raise InvalidRequest(
            "The grader is missing: name its file, or pass --grader or a document on standard input."
            if alone
            else f"Missing: {', '.join(missing)}. Give it as a flag, or in a document on standard input."
        )


def flag_name(key: str) -> str:
    """The flag for a key of the request."""
    return f"--{key.replace('_', '-')}"


def read_flag(key: str, value: str) -> Any:
    """The value of one flag, given as text, as `@FILE`, or as `-` for standard input.

    Raises:
        InvalidRequest: the file or the text cannot be read.
    """
    flag = flag_name(key)
    if key == "model_sample":
        return _read_stdin() if value == "-" else expand_file(value, Path())
    if key == "grader":
        return _read_grader(value)
    if value == "-":
        return load(_read_stdin(), f"{flag} (standard input)")
    if value.startswith("@"):
        path = Path(value[1:])
        return load(read_file(path), value[1:], name=path.name)
    return _expand_files(load(value, flag))


def _read_grader(value: str) -> Any:
    if value == "-":
        what = "--grader (standard input)"
        return _one_grader(_load_grader(_read_stdin(), what), what, Path())
    if value.startswith("@"):
        path = Path(value[1:])
        text = read_file(path)
        if path.suffix == ".py":
            return {"type": "python", "source": text}
        loaded = _load_grader(text, str(path), name=path.name)
        return _one_grader(loaded, str(path), path.parent)
    loaded = _load_grader(value, "--grader")
    if isinstance(loaded, str) and not _holds_object(loaded):
        raise InvalidRequest(
            "--grader: a grader is an object, but this is a string "
            f"(to read a file: --grader @{value})."
        )
    return _one_grader(_expand_files(loaded), "--grader", None)


def _one_grader(loaded: Any, what: str, folder: Path | None) -> Any:
    """A grader, taken out of what it was pasted with; its source may name a file relative to the folder."""
    if isinstance(loaded, str) and _holds_object(loaded):
        loaded = load(loaded, what, TEXT_FIELDS)
        failing.caution(f"note: {what}: the grader is JSON in a JSON text; it is read.")
    if loaded is None:
        raise InvalidRequest(f"{what}: the grader is empty.")
    grader, path, problem = wrapped(loaded)
    if isinstance(grader, list):
        raise InvalidRequest(f"{what}: {_several(grader, path)}")
    if problem:
        raise InvalidRequest(f"{what}: {problem}")
    if path:
        failing.caution(f"note: {what}: the grader is taken from `{path}`.")
    if isinstance(grader, str) and path:
        return _one_grader(grader, f"{what}, {path}", folder)
    if not isinstance(grader, dict):
        raise InvalidRequest(f"{what}: a grader is an object, but this is {kind_of(grader)}.")
    return grader if folder is None else _with_source(grader, folder)


def _holds_object(text: str) -> bool:
    return text.lstrip()[:1] == "{"


def _several(graders: list[Any], path: str) -> str:
    """What to do with several graders in place of one."""
    count = len(graders)
    if path == "testing_criteria":
        return (
            f"this is an eval with {count} testing criteria: pass one of them as the grader, or import all "
            "with `graders import evals`."
        )
    if not graders:
        return "a grader is an object, but this is an empty array."
    return (
        f"a grader is an object, but this is an array of {count}: pass one of them, or join them: "
        "{type: multi, graders: [...], calculate_output: (a + b) / 2}, with the names as a and b."
    )


def _load_grader(text: str, what: str, *, name: str = "") -> Any:
    if PYTHON_SOURCE.search(text) and text.lstrip()[:1] != "{":
        raise InvalidRequest(
            f"{what}: this is Python source. Save it as FILE.py and pass --grader @FILE.py, or name it in a "
            'grader: {type: python, source: "@FILE.py"}.'
        )
    return load(text, what, TEXT_FIELDS, name=name)


def _read_stdin() -> str:
    files_read().append(STDIN)
    return sys.stdin.read()


def expand_file(text: str, folder: Path) -> str:
    r"""The text, or the content of the file that it names: `@FILE` is the file's text, `\@x` is `@x`.

    As in the official command line, `@word` without a dot or slash is text if that file does not exist; a
    note says so.

    Raises:
        InvalidRequest: the file cannot be read.
    """
    if text.startswith("\\@"):
        return text[1:]
    if not text.startswith("@") or len(text) == 1:
        return text
    path = folder / text[1:]
    if not os.path.exists(path) and "." not in text and "/" not in text:
        failing.caution(f"note: there is no file '{text[1:]}', so '{text}' is kept as text.")
        return text
    return read_file(path)


def _expand_files(value: Any) -> Any:
    if isinstance(value, str):
        return expand_file(value, Path())
    if isinstance(value, dict):
        return {key: _expand_files(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_expand_files(part) for part in value]
    return value


def _with_source(grader: Any, folder: Path) -> Any:
    """A grader from a file: only its `source` may name a file, relative to the folder; other text is data."""

    def expand_source(part: dict[str, Any]) -> dict[str, Any]:
        source = part.get("source")
        return {**part, "source": expand_file(source, folder)} if isinstance(source, str) else part

    return map_parts(grader, expand_source)


def _document(text: str) -> dict[str, Any]:
    document = load(text, "standard input", TEXT_FIELDS | {"model_sample"})
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidRequest(f"standard input: expected an object with {', '.join(KEYS)}.")
    if "grader" not in document and ("type" in document or _is_pasted(document)):
        failing.caution("note: standard input is read as the grader.")
        document = {"grader": document}
    unknown = [key for key in document if key not in KEYS]
    if unknown:
        raise InvalidRequest(
            f"standard input: unknown key '{unknown[0]}'; a request has {', '.join(KEYS)}."
        )
    # The item is data: its numbers stay numbers, even under keys that are text fields of a grader.
    plain = load(text, "standard input", quiet=True)
    document |= {key: plain[key] for key in ("item", "sample", "reference_answer") if key in plain}
    if "grader" in document:
        document["grader"] = _one_grader(document["grader"], "standard input", Path())
    return document


def _is_pasted(document: dict[str, Any]) -> bool:
    pasted = wrapped(document)
    return bool(pasted.path or pasted.problem)


def stdin_has_document(*, complete: bool) -> bool:
    """Whether there is a document to read on standard input: a file or a pipe, not a terminal.

    Waits for a silent pipe if the flags do not make a complete request; else only briefly, so that a pipe
    that the caller forgot to close does not hang the command.
    """
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (
        OSError,
        ValueError,
        AttributeError,
    ):  # closed, or replaced by an object that is not a file
        return False
    if stat.S_ISREG(mode):
        return True
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    if not complete:
        return True
    if select.select([descriptor], [], [], STDIN_TIMEOUT_S)[0]:
        return True
    failing.caution(
        "graders: standard input is open but silent; it is not read "
        "(close it with </dev/null, or pass '-' as a flag's value to wait for it)."
    )
    return False
