"""python: a function of the user's gives the reward."""

from __future__ import annotations

import ast
import warnings
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from graders_engine.graders import wording
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.fields import found
from graders_engine.language.span import Span

MAX_SOURCE_BYTES = 256 * 1024
"""The API guide's limit on a source."""


def _runnable(source: str) -> str:
    """Check a source without running a line of it."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size >= MAX_SOURCE_BYTES:
        reason = f"the source is {size} bytes long; it must stay below {MAX_SOURCE_BYTES}."
        raise found(lambda path: [wording.invalid(path, reason)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # an invalid escape in a user's string is not our warning
            tree = ast.parse(source)
    except SyntaxError as error:
        reason, caret = _located(source, error)
        raise found(lambda path: [wording.invalid(path, reason, detail=caret)]) from None
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; nesting without end
        reason = f"Python cannot parse the source: {error or type(error).__name__}."
        raise found(lambda path: [wording.invalid(path, reason)]) from None
    if reason := _lacks_grade(tree):
        hint = "Define it at the top level: def grade(sample, item): ..."
        raise found(lambda path: [wording.invalid(path, reason, hint=hint)])
    return source


def _located(source: str, error: SyntaxError) -> tuple[str, str]:
    """What Python says, with the place; and the line with a caret."""
    line, column = error.lineno or 1, error.offset or 1
    lines = source.split("\n")
    start = min(sum(len(text) + 1 for text in lines[: line - 1]) + max(column, 1) - 1, len(source))
    width = (error.end_offset or 0) - column if error.end_lineno == error.lineno else 1
    span = Span(source, start, start + max(width, 1))
    return f"{error.msg} (line {line}, column {max(column, 1)}).", span.caret()


def _lacks_grade(tree: ast.Module) -> str:
    """Why running the module cannot leave a fitting `grade`; empty when it may, in whatever way."""
    defined = [node for node in tree.body if getattr(node, "name", "") == "grade"]
    if defined and isinstance(defined[-1], ast.AsyncFunctionDef):
        return "`grade` is async: it must return a number, not a coroutine."
    if defined and isinstance(defined[-1], ast.FunctionDef):
        return _unfit(defined[-1].args)
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if node.name == "grade":
                return ""
            continue  # a new scope: what it binds is its own
        if isinstance(node, ast.alias) and (node.asname or node.name) in ("grade", "*"):
            return ""
        if isinstance(node, ast.Name) and node.id in ("grade", "exec", "globals"):
            return ""
        stack.extend(ast.iter_child_nodes(node))
    return "the source defines no function `grade`."


def _unfit(arguments: ast.arguments) -> str:
    """Why a function cannot be called with two positional arguments; empty when it can."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults)
    named_only = [default for default in arguments.kw_defaults if default is None]
    if needed <= 2 and (positional >= 2 or arguments.vararg) and not named_only:
        return ""
    return "`grade` must take two positional arguments, sample and item."


class PythonGrader(GraderSpec):
    """Runs `source` in a sandbox and calls its `grade(sample, item)`."""

    type: Literal["python"]
    source: Annotated[str, AfterValidator(_runnable)]
    image_tag: str | None = Field(None, description="The environment to run in.")
