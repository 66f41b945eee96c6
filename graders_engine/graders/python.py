"""python: a function of the user's gives the reward."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from graders_engine.errors import (
    Mistake,
    NoSandbox,
    UnavailableGrader,
    UnrenderableValue,
)
from graders_engine.graders import mistakes, python_source
from graders_engine.graders.base import GraderSpec, RewardsDiffer, Services
from graders_engine.graders.fields import field_error, parse_options
from graders_engine.graders.python_source import SourceReport
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.language.span import Span
from graders_engine.nothing import NOTHING
from graders_engine.outcome import Failure, Flag, Outcome
from graders_engine.sandbox import images
from graders_engine.sandbox.base import Kind, Program, RowsMix, Sandbox, SandboxError
from graders_engine.sandbox.inside.plan import NONE
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
    options = parse_options(info)
    if options.shared_rows:
        _require_no_execution(source)
    if not options.check_sources:
        return source
    report = python_source.inspect(source)
    if report.fault:
        reason, caret = _located(source, report)
        raise field_error(lambda path: [mistakes.invalid(path, reason, detail=caret)]) from None
    if report.misfit:
        hint = "Define it at the top level: def grade(sample, item): ..."
        raise field_error(lambda path: [mistakes.invalid(path, report.misfit, hint=hint)])
    return source


def _require_no_execution(source: str) -> None:
    """Refuse a source that executes text or data, where its rows share a process."""
    found = python_source.inspect(source).executions
    if found:
        named = ", ".join(f"`{name}` (line {line})" for name, line in found)
        reason = (
            f"the source names {named}: what a row's data execute could change the rewards of the rows that "
            "share its process."
        )
        raise field_error(lambda path: [mistakes.invalid(path, reason, hint=_TRUST_HINT)])


_TRUST_HINT = (
    'Grade it with a process for each row (python_isolation "call", the default); or, if no row executes '
    "what a model wrote, add trust_source (--trust-grader)."
)


def _located(source: str, report: SourceReport) -> tuple[str, str]:
    """What Python says, with the place; and the line with a caret."""
    if not report.line:
        return report.fault, ""
    line, column = report.line, max(report.column, 1)
    lines = source.split("\n")
    start = min(sum(len(text) + 1 for text in lines[: line - 1]) + column - 1, len(source))
    span = Span(source, start, start + max(report.width, 1))
    return f"{report.fault} (line {line}, column {column}).", span.caret()


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

    def misreadings(self, path: str = "") -> Iterator[Mistake]:
        """Arguments in the wrong order, and where its source takes the model's output from the item."""
        report = python_source.inspect(self.source)
        if report.swapped:
            yield Mistake(
                f"`grade` names its arguments as if the item came first (line {report.swapped}): they are "
                "(sample, item), whatever their names, so it reads the row where it means the answer.",
                f"{path}source",
                hint=SWAPPED_HINT,
            )
        if report.item_reads:
            read, line = report.item_reads[0]
            yield Mistake(
                f"The source reads `{read}` (line {line}): the code evaluators of Azure AI Foundry "
                'have the model\'s output there, but here it is `sample["output_text"]`, '
                "and the item is the row alone.",
                f"{path}source",
                hint="If the rows have such a key of their own, nothing is wrong.",
            )

    def reads_sample(self) -> bool:
        """Whether its code uses the first argument of `grade`, or might."""
        return python_source.inspect(self.source).reads_sample

    def item_fields(self) -> tuple[str, ...]:
        """The fields of the item that its code reads by name."""
        return python_source.inspect(self.source).item_fields

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """An image that is not there, and modules that the environment does not have."""
        image = images.find(self.image_tag) if self.image_tag else None
        lacking = missing(
            image.interpreter if image else None, sorted(python_source.inspect(self.source).imports)
        )
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


SWAPPED_HINT = "Write `def grade(sample, item):`, with the sample first."
_BUILD_HINT = (
    "`graders image build 2025-05-08` makes an environment with the documented packages, and `image_tag` "
    "picks it."
)


_DEFINE_HINT = (
    "It is none of the documented ones: define it in graders.toml under [images.NAME], and build it with "
    "`graders image build NAME`."
)


def _how_to_build(tag: str) -> str:
    known = tag in images.DOCUMENTED or tag in images.ALIASES
    return f"`graders image build {tag}` builds it." if known else _DEFINE_HINT


_REFUSALS = (
    (
        r"PermissionError",
        "there is no network, no shared memory, and no file of the system to be written",
    ),
    (r"\[Errno 37\]", "there are no file locks"),
    (r"\[Errno 24\]", "few files can be open at a time"),
    (r"\[Errno 30\]", "only the working folder and /tmp can be written"),
    (
        r"gaierror|URLError|Name or service not known|Temporary failure in name",
        "there is no network",
    ),
)
"""By what stands in the last line of a traceback: what the sandbox refuses, but few machines."""


def _refusal(details: str) -> str:
    last = details.rstrip().rpartition("\n")[2]
    refused = next((what for pattern, what in _REFUSALS if re.search(pattern, last)), "")
    return f"\nThe sandbox refuses this: {refused}." if refused else ""


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
        """The reward that `grade` returned, or a failure when the code did not return a number."""
        try:
            sample, item = scope.sample_json(), strict_json.encode_exactly(scope.item)
        except ValueError as error:
            raise UnrenderableValue(str(error)) from None
        try:
            result = await self._sandbox.grade(self._program, sample, item)
        except RowsMix as error:
            raise RewardsDiffer(str(error)) from None
        except SandboxError as error:
            raise NoSandbox(str(error), error.type) from None
        printed = NOTHING
        if result.stdout or result.stderr:
            streams = {"stdout": result.stdout, "stderr": result.stderr}
            printed = {name: text for name, text in streams.items() if text}
        if result.kind is Kind.VALUE and result.reward is not None:
            return Outcome(result.reward, result.reward, printed=printed)
        details = result.details or result.kind.value
        # Graded code chooses this name and the text, so they may decide a hint, and nothing else.
        if result.exception == ModuleNotFoundError.__name__:
            details += f"\n{_BUILD_HINT}"
        elif result.exception and getattr(self._sandbox, "tier", NONE) != NONE:
            details += _refusal(details)
        return Outcome(
            None, 0.0, (Failure(Flag.PYTHON_RUNTIME, details, "grader"),), printed=printed
        )
