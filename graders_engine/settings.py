"""The settings of an engine: one record, whose fields are the keywords of both engines."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, get_args

from graders_engine import metrics
from graders_engine.graders.base import DEFAULT_MAX_TEXT_CHARS
from graders_engine.language.as_served import Strictness
from graders_engine.language.spelling import require_settings
from graders_engine.models.judges import DEFAULT as DEFAULT_ENDPOINT
from graders_engine.models.judges import JudgeSettings
from graders_engine.sandbox.base import Isolation, Limits, Sandbox
from graders_engine.sandbox.ondemand import OnDemand

if TYPE_CHECKING:
    from graders_engine.models.base import ModelBackend
    from graders_engine.models.embeddings import EmbeddingBackend
    from graders_engine.models.policies import Observer
    from graders_engine.models.retry import OnRetry

P = ParamSpec("P")

DEFAULT_CONCURRENCY = 64
"""Rows in flight at once, if grading a row waits for something outside this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The settings of an engine. `Engine` and `AsyncEngine` take the same names as keywords.

    Example::

        settings = EngineSettings(concurrency=16, metric_variants={"bleu": "nltk_method4"})
        with Engine.from_settings(settings) as engine:
            print(engine.run(grader, item=item, model_sample=text).reward)

    Attributes:
        metric_variants: by metric, the variant to compute in place of the default, such as {"bleu":
            "nltk_method4"}; `metrics.METRICS` lists all variants.
        embeddings: the source of vectors for cosine: "openai:MODEL", "model2vec:FOLDER-OR-NAME",
            "lexical", or an object with the methods of `models.embeddings.EmbeddingBackend`.
        max_text_chars: longest text that a metric compares, in characters; a row with a longer one is
            invalid.
        templates: what a template that cannot be read is: "strict", a mistake; "as_served", what it was at
            the service, which hardly checked templates when an eval was created: `{{` without `}}` is text,
            and for anything else no row has a value.
        sandbox: where python graders run: "auto" (the strongest available on this machine), "namespaces",
            "landlock", "none" (no isolation: only for sources and outputs that you trust), or an object
            with the methods of `sandbox.base.Sandbox`.
        limits: limits on each call of a python grader; the API's limits by default.
        python_isolation: what the rows of a python grader have for themselves: "call", a process for each;
            "worker", only its turn in a process that the rows of one grader share, which is some 15 times
            faster. Use it for sources that execute nothing of what a model wrote: a row that does can
            change the rewards of the rows that follow it.
        trust_source: whether, with "worker", a source is run that names `exec` and the like.
        concurrency: rows in flight at once in `score`, for graders that wait for something outside this
            process; other graders grade one row after the other.
        judges: what model graders ask: the address of an endpoint, a backend (an object with the methods
            of `models.base.ModelBackend`), or a `JudgeSettings`. By default the endpoint in
            OPENAI_BASE_URL, or OpenAI's if OPENAI_API_KEY is set.
        observe: called with each request to a judge, and with its reply or exception.
        on_retry: called before each retry of a request to a judge, an embedding model or the endpoint of an
            endpoint grader.
        allow_endpoints: whether endpoint graders may run; they send rows to the address in the grader.

    Addresses may hold keys, so `repr` leaves `embeddings` and `judges` out. An engine refuses an address that
    is none with an InvalidRequest.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is out of range, or a metric or variant does not exist; the message lists
            those that exist.
    """

    metric_variants: Mapping[str, str] = field(default_factory=dict)
    embeddings: str | EmbeddingBackend | None = field(default=None, repr=False)
    max_text_chars: int = DEFAULT_MAX_TEXT_CHARS
    templates: Strictness = "strict"
    sandbox: str | Sandbox = "auto"
    limits: Limits | None = None
    python_isolation: Isolation = "call"
    trust_source: bool = False
    concurrency: int = DEFAULT_CONCURRENCY
    judges: str | ModelBackend | JudgeSettings | None = field(default=None, repr=False)
    observe: Observer | None = None
    on_retry: OnRetry | None = None
    allow_endpoints: bool = True

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_text_chars"):
            count = getattr(self, name)
            if not isinstance(count, int):
                raise TypeError(f"{name} must be an integer, but it is {count!r}")
            if count < 1:
                raise ValueError(f"{name} must be at least 1, but it is {count}")
        if self.templates not in get_args(Strictness):
            known = " or ".join(map(repr, get_args(Strictness)))
            raise ValueError(f"templates must be {known}, but it is {self.templates!r}")
        if not isinstance(self.limits, Limits | None):
            raise TypeError(
                f"limits must be a Limits, as in Limits(wall_s=10), not {self.limits!r}"
            )
        if not isinstance(self.sandbox, str) and not hasattr(self.sandbox, "grade"):
            raise TypeError(
                "sandbox must be a name or an object with the methods of `sandbox.base.Sandbox`, "
                f"not {self.sandbox!r}"
            )
        self._check_isolation()
        if not isinstance(self.metric_variants or {}, Mapping):
            raise TypeError(
                'metric_variants must be a mapping, as in {"bleu": "nltk_method4"}, '
                f"not {self.metric_variants!r}"
            )
        # A copy: changes that a caller makes to its mapping later must not change rewards.
        variants = dict(self.metric_variants or {})
        object.__setattr__(self, "metric_variants", variants)
        for metric, variant in variants.items():
            metrics.signature(metric, variant)

    def _check_isolation(self) -> None:
        given = self.python_isolation
        if given not in get_args(Isolation):
            known = " or ".join(map(repr, get_args(Isolation)))
            raise ValueError(f"python_isolation must be {known}, but it is {given!r}")
        if not isinstance(self.trust_source, bool):
            raise TypeError(f"trust_source must be True or False, but it is {self.trust_source!r}")
        is_named = isinstance(self.sandbox, str)
        if not is_named and given != getattr(self.sandbox, "isolation", "call"):
            raise ValueError(
                f"python_isolation={given!r} needs a sandbox by its name: an object decides that itself"
            )

    @property
    def shares_rows(self) -> bool:
        """Whether rows of python graders share processes."""
        return self.python_isolation != "call"

    def judge_settings(self) -> JudgeSettings:
        """`judges` as a `JudgeSettings`."""
        if isinstance(self.judges, JudgeSettings):
            return self.judges
        endpoints = {} if self.judges is None else {DEFAULT_ENDPOINT: self.judges}
        return JudgeSettings(endpoints=endpoints, concurrency=self.concurrency)


def sandbox_of(settings: EngineSettings) -> Sandbox:
    """The sandbox that the settings name, or the object that they have."""
    if isinstance(settings.sandbox, str):
        return OnDemand(settings.sandbox, settings.limits, settings.python_isolation)
    return settings.sandbox


def keywords(settings: EngineSettings) -> dict[str, Any]:
    """The settings as the keywords that an engine takes."""
    return {entry.name: getattr(settings, entry.name) for entry in dataclasses.fields(settings)}


def settings_of(given: Mapping[str, Any]) -> EngineSettings:
    """The settings that the keywords of an engine make.

    Raises:
        TypeError: there is no such keyword.
        ValueError: as from `EngineSettings`.
    """
    known = [entry.name for entry in dataclasses.fields(EngineSettings)]
    require_settings(given, known, "An engine")
    return EngineSettings(**given)


def takes(
    record: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Gives an `__init__` the keywords of a record's constructor: its type, its signature and its text."""

    def decorate(init: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        keywords_of = inspect.signature(record).replace(return_annotation=None)
        first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        # `help` shows both; type checkers take the keywords from this function's own type.
        signature = keywords_of.replace(parameters=[first, *keywords_of.parameters.values()])
        init.__signature__ = signature  # type: ignore[attr-defined] # `inspect` reads it
        described = inspect.cleandoc(record.__doc__ or "").partition("Attributes:")[2]
        init.__doc__ = f"All settings have defaults.\n\nArgs:{described}"
        return init

    return decorate
