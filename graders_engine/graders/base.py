"""What every grader type consists of: a spec, an evaluator, the services it uses, and `attempt`."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator

from graders_engine import errors
from graders_engine.errors import Mistake
from graders_engine.graders.templates import variables_in
from graders_engine.language.scope import Scope
from graders_engine.language.template import Variable
from graders_engine.outcome import BLAMES, Failure, Flag, Outcome, failed

if TYPE_CHECKING:
    from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
    from graders_engine.models.http import JsonClient
    from graders_engine.sandbox.base import Sandbox

_log = logging.getLogger("graders_engine")

DEFAULT_MAX_TEXT_CHARS = 300_000
"""Longest text that a metric compares; fuzzy_match of two such texts takes about 2 s, others less."""


class TextVectors(Protocol):
    """Embeds texts."""

    async def vector(self, text: str) -> array[float]:
        """The vector of a text, of length 1.

        Raises:
            BackendFailure: there is none to be had.
        """
        ...


class JudgeModels(Protocol):
    """Finds the backends of the models that graders name."""

    repeats: int
    """How often a judge is asked for each row."""

    def find(self, model: str, needs: Collection[str] = ()) -> ModelBackend:
        """What answers for a model.

        Args:
            model: its name.
            needs: what requests will have that not every model takes.

        Raises:
            UnavailableGrader: nothing does.
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What an engine provides to its evaluators.

    Attributes:
        metric_variants: by metric, the variant to compute in place of the default.
        max_text_chars: longest text that a metric compares, in characters.
        embeddings: computes the vectors for cosine; None if no backend was given.
        sandbox: where python graders run; None if they may not run.
        judges: the models that graders can ask; None if there are none.
        endpoints: sends rows to the addresses of endpoint graders; None if that is not allowed.
        shared_rows: whether the rows of a python grader share a process, and sources that execute text or
            data as code are refused.
        logged: judges' models one of whose numbers was clamped, and metrics that saw nothing of a row's
            texts: a warning of each was logged.
    """

    metric_variants: Mapping[str, str] = field(default_factory=dict)
    max_text_chars: int = DEFAULT_MAX_TEXT_CHARS
    embeddings: TextVectors | None = None
    sandbox: Sandbox | None = None
    judges: JudgeModels | None = None
    endpoints: JsonClient | None = None
    shared_rows: bool = False
    logged: set[str] = field(default_factory=set)


class Evaluator(Protocol):
    """A compiled grader.

    One with templates has their `variables`, in which `attempt` looks for the gravest of several faults.
    """

    waits: bool
    """Whether `evaluate` waits for something outside this process, such as a judge or a sandbox."""

    async def evaluate(self, scope: Scope) -> Outcome:
        """Grade one row.

        Raises:
            GradingError: the row gets no reward; `attempt`, the only caller, turns it into a Failure.
        """
        ...


@runtime_checkable
class Immediate(Evaluator, Protocol):
    """An evaluator that does not wait: it needs no event loop."""

    def compute(self, scope: Scope) -> Outcome:
        """As `evaluate`; `attempt_now` is the only caller."""
        ...


class Comparing(Immediate, Protocol):
    """An evaluator that compares two texts of a row, and may do so for several rows at the same time."""

    @property
    def in_batches(self) -> bool:
        """Whether `compute_all` is faster than `compute` where texts are long."""
        ...

    def texts(self, scope: Scope) -> tuple[str, str]:
        """What is compared; raises what `compute` raises."""
        ...

    def compute_all(self, pairs: Sequence[tuple[str, str]]) -> list[Outcome]:
        """The outcomes of rows with these `texts`, computed on all processors."""
        ...


class KnownKeys(BaseModel):
    """An object whose unknown keys are mistakes unless they are null, as in the API's own answers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_unknown_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict) or None not in value.values():
            return value
        known = cls.model_fields
        return {key: part for key, part in value.items() if part is not None or key in known}


class GraderSpec(KnownKeys):
    """The keys that all grader types have; `type` distinguishes the types."""

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())

    name: str | None = Field(None, description="Shown in the response; generated if missing.")
    pass_threshold: float | None = Field(
        None, description="Does not change the reward; in evals, an item passes from it on."
    )
    invalid_grade: float | None = Field(None, description="The reward of a multi if a part fails.")
    id: str | None = Field(None, description="Accepted; hosted evals add it.")
    sampling_parameters: Any = Field(None, description="Older spelling of `sampling_params`.")

    def compile(self, services: Services) -> Evaluator:
        """Make the evaluator.

        Raises:
            UnavailableGrader: this engine has no means to run such a grader.
        """
        raise errors.UnavailableGrader(
            f"{getattr(self, 'type', '?')} graders can be validated, but not run: they are not available "
            "in this version of graders-engine."
        )

    def parts(self) -> Mapping[str, GraderSpec]:
        """The graders inside it, by key; only a multi has any."""
        return {}

    def metrics(self) -> frozenset[str]:
        """The text metrics that it and its parts use."""
        return frozenset().union(*(part.metrics() for part in self.parts().values()))

    def judge_models(self) -> frozenset[str]:
        """The models that it and its parts ask."""
        return frozenset().union(*(part.judge_models() for part in self.parts().values()))

    def runs_python(self) -> bool:
        """Whether it or one of its parts runs python code."""
        return any(part.runs_python() for part in self.parts().values())

    def misreadings(self, path: str = "") -> Iterator[Mistake]:
        """What in its code probably means something else than was meant; the paths start with `path`."""
        for key, part in self.parts().items():
            yield from part.misreadings(f"{path}graders.{key}.")

    def reads_sample(self) -> bool:
        """Whether it or one of its parts reads the model's output."""
        own = (variable.namespace for variable in variables_in(self))
        return "sample" in own or any(part.reads_sample() for part in self.parts().values())

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """What is allowed but probably unintended; the paths start with `path`."""
        yield from ()


FLAG_OF: dict[type[errors.GradingError], Flag] = {
    errors.UndefinedVariable: Flag.INVALID_VARIABLE,
    errors.SampleNotJson: Flag.SAMPLE_PARSE,
    errors.UnrenderableValue: Flag.OTHER,
    errors.FormulaFailure: Flag.FORMULA_PARSE,
    errors.TextTooLong: Flag.OTHER,
    errors.NoSandbox: Flag.PYTHON_SERVER,
    errors.BackendFailure: Flag.MODEL_SERVER,
    errors.BackendBusy: Flag.MODEL_SERVER,
    errors.BackendRejected: Flag.MODEL_SERVER,
    errors.JudgeRefused: Flag.MODEL_REFUSAL,
    errors.JudgeCutOff: Flag.MODEL_EXCEEDED_MAX_TOKENS,
    errors.JudgeUnparsable: Flag.MODEL_PARSE,
    errors.EndpointFailure: Flag.ENDPOINT_SERVER,
    errors.EndpointUnparsable: Flag.ENDPOINT_INTERNAL,
}
"""The flag of each exception; a test checks that none is missing."""


def has_verdict(reply: ModelReply, request: ModelRequest) -> bool:
    """As `verdict.has_verdict`, which is imported when a judge has answered: most graders ask none."""
    from graders_engine.graders import verdict

    return verdict.has_verdict(reply, request)


class RewardsDiffer(errors.RunStopped):
    """Raised when a row has another reward in a process that rows share than in one of its own.

    `what` has both and the row's texts; `row` is the row's name, where it is known.
    """

    def __init__(self, what: str, row: str = "") -> None:
        self.what = what
        super().__init__(f"{row}: {what}" if row else f"{what[:1].upper()}{what[1:]}")

    def of(self, row: str) -> RewardsDiffer:
        """The same, with the row's name."""
        return RewardsDiffer(self.what, row)


async def attempt(evaluator: Evaluator, scope: Scope) -> Outcome:
    """Grade one row; here and in `attempt_now` an exception becomes a Failure, and nowhere else."""
    try:
        return await evaluator.evaluate(scope)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug of the engine must not end a whole run
        return _without_reward(error, evaluator, scope)


def attempt_now(evaluator: Immediate, scope: Scope) -> Outcome:
    """`attempt` for an evaluator that does not wait."""
    try:
        return evaluator.compute(scope)
    except Exception as error:  # noqa: BLE001 - as in `attempt`
        return _without_reward(error, evaluator, scope)


def _without_reward(raised: Exception, evaluator: Evaluator, scope: Scope) -> Outcome:
    """The outcome of a row whose evaluator raised this.

    Raises:
        BudgetSpent, DataSetError, RunStopped: it is not the row's fault: stop the run so that it can be
            resumed.
    """
    if isinstance(raised, errors.GradingError):
        error = _gravest(raised, getattr(evaluator, "variables", ()), scope)
        failure = Failure(
            FLAG_OF[type(error)],
            str(error),
            error.blame,
            type=error.type,
            cause=error.cause,
        )
        return failed(failure, error.usage, error.saved, error.left_out)
    if isinstance(raised, (errors.BudgetSpent, errors.DataSetError, errors.RunStopped)):
        raise raised
    _log.error(
        "an evaluator raised an unexpected exception; the row counts as failed, not as zero",
        exc_info=raised,
    )
    details = f"{type(raised).__name__}: {raised}"
    return failed(Failure(Flag.OTHER, details, "infrastructure"))


def _gravest(
    raised: errors.GradingError, variables: Iterable[Variable], scope: Scope
) -> errors.GradingError:
    """Of all variables that a row has no value for, the failure with the gravest blame, else the first.

    Otherwise the order of a grader's templates would decide whether its row or its sample is to blame.
    """
    if not isinstance(raised, (errors.UndefinedVariable, errors.SampleNotJson)):
        return raised
    gravest: errors.GradingError = raised
    for variable in variables:
        try:
            variable.value(scope)
        except errors.GradingError as error:
            if BLAMES.index(error.blame) > BLAMES.index(gravest.blame):
                gravest = error
    return gravest
