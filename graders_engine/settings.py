"""What an engine is made with: one record, whose fields are the keywords of both engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

from graders_engine import metrics
from graders_engine.graders.base import DEFAULT_MAX_TEXT_CHARS
from graders_engine.models.base import ModelBackend
from graders_engine.models.embeddings import EmbeddingBackend
from graders_engine.models.judges import DEFAULT as DEFAULT_ENDPOINT
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Observer
from graders_engine.sandbox.base import Limits, Sandbox

P = ParamSpec("P")

DEFAULT_CONCURRENCY = 64
"""Rows in flight at once, where grading a row waits for something outside this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an engine is made with. `Engine` and `AsyncEngine` take the same names as keywords.

    Attributes:
        metric_variants: for a metric's name, the variant to compute in place of the default one, such
            as {"bleu": "nltk_method4"}; `metrics.METRICS` lists them.
        embeddings: the source of vectors for cosine: "openai:MODEL", "model2vec:FOLDER-OR-NAME",
            "lexical", or an object with the methods of `models.embeddings.EmbeddingBackend`.
        max_text_chars: longest text that a metric compares; a row with a longer one is invalid.
        sandbox: where python graders run: "auto" (the strongest that this machine has), "namespaces",
            "landlock", "none" (no isolation: only for sources and outputs that you trust), or an
            object with the methods of `sandbox.base.Sandbox`.
        limits: of one call of a python grader; the API's limits when left out.
        concurrency: rows in flight at once in `score`, for graders that wait for something outside
            this process; the others grade row after row.
        judges: what model graders ask: an endpoint's address, a backend (an object with the methods of
            `models.base.ModelBackend`), or a `JudgeSettings`. When left out, the endpoint in
            OPENAI_BASE_URL, or OpenAI's where OPENAI_API_KEY is set.
        observe: called with each request to a judge, and its reply or the exception in its place.
        allow_endpoints: whether endpoint graders may run: they send rows to the address in the grader.

    Raises:
        ValueError: a value is out of range, or a metric or variant does not exist; the message lists
            those that do.
    """

    metric_variants: Mapping[str, str] = field(default_factory=dict)
    embeddings: str | EmbeddingBackend | None = None
    max_text_chars: int = DEFAULT_MAX_TEXT_CHARS
    sandbox: str | Sandbox = "auto"
    limits: Limits | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    judges: str | ModelBackend | JudgeSettings | None = None
    observe: Observer | None = None
    allow_endpoints: bool = True

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, but it is {self.concurrency}")
        for metric, variant in self.metric_variants.items():
            metrics.signature(metric, variant)

    def judge_settings(self) -> JudgeSettings:
        """`judges` in its full form."""
        if isinstance(self.judges, JudgeSettings):
            return self.judges
        endpoints = {} if self.judges is None else {DEFAULT_ENDPOINT: self.judges}
        return JudgeSettings(endpoints=endpoints, concurrency=self.concurrency)


def keywords(settings: EngineSettings) -> dict[str, Any]:
    """The settings as the keywords that an engine takes."""
    return {entry.name: getattr(settings, entry.name) for entry in dataclasses.fields(settings)}


def takes(
    record: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Types an `__init__` as one that takes the same keywords as a record."""
    return lambda init: init
