"""The exceptions of the package, as a tree.

::

    GradersError
    ├── InvalidRequest            the caller's request is wrong (exit code 2, HTTP 400)
    │   ├── InvalidGrader         the grader cannot be parsed or compiled; lists all mistakes
    │   ├── UnavailableGrader     the grader is valid, but this engine cannot run it
    │   └── InvalidRow            a row that is not an item with a model's output
    │       ├── UnknownForm       the model's output is in no form that is known
    │       └── NoOutput          the row has an error in place of the model's output
    ├── DataSetError              a data set or its results file cannot be used as asked
    ├── BudgetSpent               the budget for judges, in money or tokens, is exhausted
    ├── RunStopped                the rows so far show that the others cannot be graded either
    │   └── ClusterLost           the cluster that grades is gone
    ├── LifecycleError            an engine used before it was opened or after it was closed
    ├── NoReward                  a reward was wanted for a row that has none, and no number stands for it
    ├── OutOfResources            this system refuses a thread, a process or a descriptor
    └── GradingError              this row has no reward; `graders.base.attempt` turns it into a Failure
        ├── UndefinedVariable     a template names a value that the item or sample does not have
        ├── SampleNotJson         `output_json` is needed, but the model's text is not JSON
        ├── UnrenderableValue     a template was given a value that has no JSON form
        ├── FormulaFailure        `calculate_output` has no value: zero division, domain, overflow
        ├── NoSandbox             no sandbox is available to run graded code, or it failed
        ├── TextTooLong           a text is longer than the engine's limit for comparisons
        ├── BackendFailure        a model's backend gave no answer; not the row's fault
        │   ├── BackendBusy       a retry may help: no connection, a timeout, 429, a server error
        │   └── BackendRejected   the endpoint rejected the request as invalid
        ├── JudgeRefused          the judge declined to answer
        ├── JudgeCutOff           the judge's answer was cut off
        ├── JudgeUnparsable       the judge's answer is not a verdict of the requested form
        ├── EndpointFailure       an endpoint grader's server gave no answer; not the row's fault
        └── EndpointUnparsable    an endpoint grader's server answered without a score
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from graders_engine.outcome import Blame, Cause, RowOutcome, Usage


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a grader, in the hosted API's words.

    Attributes:
        message: one sentence; the `message` of the API's error object.
        param: path of the wrong value inside the grader (`graders.name.input`); None for the whole body.
        code: the API's code for this kind of mistake; None if it has none.
        detail: more lines for people: the source line, with a caret under what is wrong.
        hint: how to correct it, one sentence.
    """

    message: str
    param: str | None = None
    code: str | None = None
    detail: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """The message, the detail and the hint, on separate lines."""
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)


class GradersError(Exception):
    """Base of all exceptions that this package raises on purpose. They can be sent to other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the constructor, which may take something else than what is shown."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class InvalidRequest(GradersError):
    """Raised when the caller's request cannot be served."""


class InvalidGrader(InvalidRequest):
    """Raised when a grader cannot be parsed or compiled.

    Attributes:
        mistakes: all mistakes, at least one, in the order of the grader's fields.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n\n".join(str(mistake) for mistake in self.mistakes))


class UnavailableGrader(InvalidRequest):
    """Raised when a valid grader needs something that this engine does not have."""


class InvalidRow(InvalidRequest):
    """Raised when a row is not an item with a model's output.

    Attributes:
        blame: whose fault it is.
        item: the row's item in a tuple, where it is the output alone that cannot be read; else empty.
    """

    blame: Blame = "row"
    item: tuple[Any, ...] = ()


class UnknownForm(InvalidRow):
    """Raised when a row or its output is in no form that is known: the other rows will fare alike."""


NO_OUTPUT = ", but an error: "
"""Stands in the reason of each `NoOutput`; results files have nothing else that tells it from an outage."""
NO_ROW = "This is no row of the data: "
"""Begins the reason of what stands for outputs without a row; results files have nothing else that tells."""


class NoOutput(InvalidRow):
    """Raised when a row has an error in place of the model's output: the model was not asked, or failed."""

    blame: Blame = "infrastructure"


class DataSetError(GradersError):
    """Raised when a data set or a results file cannot be read, written or resumed."""


class BudgetSpent(GradersError):
    """Raised when another judge request would exceed the budget; rows scored before are kept."""


class RunStopped(GradersError):
    """Raised when the first rows, or an outage, show that the other rows cannot be graded either.

    Attributes:
        reason: what shows it.
        way_on: what was written, and how to go on; empty where nothing is written.
    """

    def __init__(self, reason: str, way_on: str = "") -> None:
        self.reason, self.way_on = reason, way_on
        super().__init__("\n".join(filter(None, (reason, way_on))))


class ClusterLost(RunStopped):
    """Raised when the Ray cluster that grades is gone; the same run can be resumed once it is back."""


class LifecycleError(GradersError):
    """Raised when an engine is used before it was opened or after it was closed."""


class NoReward(GradersError):
    """Raised where another framework wants a reward for a row that has none.

    Attributes:
        outcome: the row's outcome.
    """

    def __init__(self, text: str, outcome: RowOutcome) -> None:
        self.outcome = outcome
        super().__init__(text)


class OutOfResources(GradersError):
    """Raised when this system refuses what an engine needs: a thread, a process or a descriptor."""


class GradingError(GradersError):
    """Raised below `attempt` when a row gets no reward; callers never see it.

    Attributes:
        usage: the tokens that were used nonetheless, by model.
        saved: those among them that were not spent: the reply was kept.
        left_out: the parts of the request to a judge that were not sent, by its model.
        blame: whose fault it is.
        type: a short word for programs, where the wire has one.
        cause: why an endpoint gave no answer, where the other rows will fare alike.
    """

    blame: Blame
    type = ""
    cause: Cause = ""

    def __init__(self, text: str, usage: Mapping[str, Usage] | None = None) -> None:
        self.usage: Mapping[str, Usage] = usage or {}
        self.saved: Mapping[str, Usage] = {}
        self.left_out: Mapping[str, list[str]] = {}
        super().__init__(text)


class UndefinedVariable(GradingError):
    """Raised when a template names a value that the item or sample does not have.

    Args:
        text: which step of the path failed.
        blame: "row" if it is a step into the item, "sample" if it is one into the sample, "grader" if the
            template has no variable there.
    """

    def __init__(self, text: str, blame: Blame) -> None:
        self.blame = blame
        super().__init__(text)


class SampleNotJson(GradingError):
    """Raised when `output_json` is needed, but the model's text is not JSON."""

    blame: Blame = "sample"


class UnrenderableValue(GradingError):
    """Raised when a template is given a value that JSON cannot express."""

    blame: Blame = "row"


class NoSandbox(GradingError):
    """Raised when graded python code cannot be run at all; `type` is that of the sandbox's error."""

    blame: Blame = "infrastructure"

    def __init__(self, message: str, type: str) -> None:  # noqa: A002 - the wire's word
        self.type = type
        super().__init__(f"{type}: {message}")


class TextTooLong(GradingError):
    """Raised when a text is longer than the engine's limit for comparisons.

    Nothing tells whether the model or the item is behind it; training would see the zero.
    """

    blame: Blame = "grader"


class ErrorFields(TypedDict, total=False):
    """What an HTTP answer says of an error; `models.error_body` reads it."""

    status: int | None
    code: str | None
    param: str | None
    message: str | None
    details: str
    cause: Cause


class BackendFailure(GradingError):
    """Raised when a model's backend cannot be reached, or answers what cannot be used.

    Attributes:
        status: the HTTP status; None where there was no answer.
        code: the endpoint's code for the error, such as "content_filter".
        param: the field of the request that the endpoint names as wrong.
        message: the endpoint's own message, without the address.
        details: everything that the error object says, the message included.
        cause: what kind of failure it is.
    """

    blame: Blame = "infrastructure"

    def __init__(self, text: str, **answer: Unpack[ErrorFields]) -> None:
        self.status = answer.get("status")
        self.code = answer.get("code")
        self.param = answer.get("param")
        self.message = answer.get("message")
        self.details = answer.get("details", "")
        self.cause = answer.get("cause", "")
        super().__init__(text)

    def answer(self) -> ErrorFields:
        """The fields again, for an exception that replaces this one."""
        return ErrorFields(
            status=self.status, code=self.code, param=self.param, message=self.message,
            details=self.details, cause=self.cause,
        )  # fmt: skip


class BackendBusy(BackendFailure):
    """Raised for one attempt that failed where another may succeed.

    Attributes:
        wait_s: seconds to wait before it, where the server says so.
        overloaded: whether the server asked for fewer requests (429, 503).
    """

    def __init__(
        self,
        text: str,
        wait_s: float | None = None,
        *,
        overloaded: bool = False,
        **answer: Unpack[ErrorFields],
    ) -> None:
        self.wait_s = wait_s
        self.overloaded = overloaded
        super().__init__(text, **answer)


class BackendRejected(BackendFailure):
    """Raised when the endpoint answers that the request is wrong (400, 404, 422, ...)."""


class JudgeRefused(GradingError):
    """Raised when a judge declines to answer."""

    blame: Blame = "judge"


class JudgeCutOff(GradingError):
    """Raised when a judge's answer was cut off at its token limit."""

    blame: Blame = "judge"


class JudgeUnparsable(GradingError):
    """Raised when a judge's answer is not JSON of the requested form, or has no number or label."""

    blame: Blame = "judge"


class EndpointFailure(GradingError):
    """Raised when an endpoint grader's server cannot be reached or answers with an error."""

    blame: Blame = "infrastructure"

    def __init__(self, text: str, cause: Cause = "") -> None:
        self.cause = cause
        super().__init__(text)


class EndpointUnparsable(GradingError):
    """Raised when an endpoint grader's server answers without a finite number as `score`."""

    blame: Blame = "judge"


class FormulaFailure(GradingError):
    """Raised when a formula has no finite value for these numbers.

    Attributes:
        kind: "zero_division", "domain" or "overflow".
    """

    blame: Blame = "grader"

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)
