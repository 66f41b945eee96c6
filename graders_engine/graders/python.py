"""python: a function of the user's gives the reward."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from graders_engine.errors import Mistake, NoSandbox, UnavailableGrader, UnrenderableValue
from graders_engine.graders import mistakes
from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import field_error, parse_options
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.language.span import Span
from graders_engine.outcome import Failure, Flag, Outcome
from graders_engine.sandbox import images
from graders_engine.sandbox.base import Kind, Program, Sandbox, SandboxError
from graders_engine.sandbox.interpreter import missing

_log = logging.getLogger("graders_engine")

MAX_SOURCE_BYTES = 256 * 1024
"""The API guide's limit on a source."""


def _runnable(source: str, info: ValidationInfo) -> str:
    """Check a source without running a line of it."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size >= MAX_SOURCE_BYTES:
        reason = f"the source is {size} bytes long; it must stay below {MAX_SOURCE_BYTES}."
        raise field_error(lambda path: [mistakes.invalid(path, reason)])
    if not parse_options(info).check_sources:
        return source
    try:
        tree = _parsed(source)
    except SyntaxError as error:
        reason, caret = _located(source, error)
        raise field_error(lambda path: [mistakes.invalid(path, reason, detail=caret)]) from None
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; nesting without end
        reason = f"Python cannot parse the source: {error or type(error).__name__}."
        raise field_error(lambda path: [mistakes.invalid(path, reason)]) from None
    if reason := _lacks_grade(tree):
        hint = "Define it at the top level: def grade(sample, item): ..."
        raise field_error(lambda path: [mistakes.invalid(path, reason, hint=hint)])
    return source


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a user's string is not our warning
        return ast.parse(source)


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
        return _unfit(defined[-1].args) or _generates(defined[-1])
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


def _generates(function: ast.FunctionDef) -> str:
    """Why a function gives no number but a generator; empty when it does not."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return "`grade` is a generator: it must return a number, not yield."
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))
    return ""


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

    def compile(self, services: Services) -> Python:
        """Make the evaluator.

        Raises:
            UnavailableGrader: the engine has no sandbox.
        """
        if services.sandbox is None:
            raise UnavailableGrader(
                "python graders are not run here: the engine was given no sandbox."
            )
        return Python(self, services.sandbox)

    def runs_python(self) -> bool:
        """It does."""
        return True

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """An image that is not there, and modules that the environment does not have."""
        image = images.find(self.image_tag) if self.image_tag else None
        lacking = missing(image.interpreter if image else None, sorted(_imported(self.source)))
        for name in lacking:
            yield Mistake(
                f"The source imports '{name}', which its environment does not have.",
                f"{path}source",
                hint=_BUILD_HINT,
            )
        if self.image_tag and not image:
            yield Mistake(
                f"The image '{self.image_tag}' is not built here: the engine's own Python runs the grader.",
                f"{path}image_tag",
                hint=_how_to_build(self.image_tag),
            )


_BUILD_HINT = (
    "`graders image build 2025-05-08` makes an environment with the documented packages, and `image_tag` "
    "picks it."
)


def _imported(source: str) -> set[str]:
    """The modules that a source names in an import, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def _how_to_build(tag: str) -> str:
    known = tag in images.DOCUMENTED or tag in images.ALIASES
    return f"graders image build {tag}" if known else "No image of this name is known."


class Python:
    """Evaluates a `PythonGrader`."""

    waits = True

    def __init__(self, spec: PythonGrader, sandbox: Sandbox) -> None:
        image = images.find(spec.image_tag) if spec.image_tag else None
        if spec.image_tag and not image:
            _log.warning(
                "the image %r is not built here; the engine's own Python runs the grader. %s",
                spec.image_tag,
                _how_to_build(spec.image_tag),
            )
        self._program = Program(spec.source, interpreter=image.interpreter if image else None)
        self._sandbox = sandbox

    async def evaluate(self, scope: Scope) -> Outcome:
        """What `grade` returned; a fault of the code's own is no reward."""
        try:
            sample, item = strict_json.encode(scope.sample()), strict_json.encode(scope.item)
        except ValueError as error:
            raise UnrenderableValue(str(error)) from None
        try:
            result = await self._sandbox.grade(self._program, sample, item)
        except SandboxError as error:
            raise NoSandbox(str(error), error.type) from None
        printed = {name: text for name in ("stdout", "stderr") if (text := getattr(result, name))}
        if result.kind is Kind.VALUE and result.reward is not None:
            return Outcome(result.reward, result.reward, printed=printed)
        details = result.details or result.kind.value
        # Graded code chooses this name, so it may decide a hint, and nothing else.
        if result.exception == ModuleNotFoundError.__name__:
            details += f"\n{_BUILD_HINT}"
        return Outcome(None, 0.0, (Failure(Flag.PYTHON_RUNTIME, details),), printed=printed)
