"""text_similarity: how alike two texts are, by one of the field's metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Literal

from graders_engine import metrics
from graders_engine.errors import Mistake, TextTooLong, UnavailableGrader
from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import TemplateField, one_of
from graders_engine.language.scope import Scope
from graders_engine.models.embeddings import HOW, BatchedEmbeddings, cosine
from graders_engine.outcome import Outcome, rewarded

MetricName = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
]  # fmt: skip
METRIC_NAMES = (
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
)  # fmt: skip


_CAUTIONS = {
    "rouge": "counts the letters a-z and the digits only: text in other scripts scores 0, even when it is "
    "the same. The variant `unicode` takes every script; its numbers are no other tool's",
    "meteor": "gives less than 1.0 for the same text twice when it is short: 0.5 for one word, 0.9375 "
    "for two",
    "cosine": "is accepted by the hosted evals, but not by their reinforcement fine-tuning; its numbers are "
    "those of the embedding model that is asked",
}
"""What a user may not expect of a metric, by the first part of its name."""


class TextSimilarityGrader(GraderSpec):
    """Compares `input` with `reference`: 0.0 (nothing in common) to 1.0."""

    type: Literal["text_similarity"]
    input: TemplateField
    reference: TemplateField
    evaluation_metric: Annotated[MetricName, one_of(*METRIC_NAMES)]

    def metrics(self) -> frozenset[str]:
        """Its metric."""
        return frozenset({self.evaluation_metric})

    def compile(self, services: Services) -> TextSimilarity | Cosine:
        """Make the evaluator.

        Raises:
            UnavailableGrader: the metric is cosine, and no embedding backend was named.
        """
        if self.evaluation_metric != "cosine":
            return TextSimilarity(self, services)
        if services.embeddings is None:
            raise UnavailableGrader(f"The metric 'cosine' needs embeddings: {HOW}.")
        return Cosine(self, services, services.embeddings)

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """What the metric cannot do, and texts that are too long in any row."""
        metric, where = self.evaluation_metric, f"{path}evaluation_metric"
        reason = _CAUTIONS.get(metric.partition("_")[0])
        if reason and services.metric_variants.get(metric) != "unicode":
            yield Mistake(f"'{metric}' {reason}.", where)
        for field in ("input", "reference"):
            length = getattr(self, field).literal_length
            if length > services.max_text_chars:
                message = (
                    f"'{path}{field}' is {length} characters long; every row will fail, because"
                )
                yield Mistake(
                    f"{message} at most {services.max_text_chars} are compared.", f"{path}{field}"
                )


class _Pair:
    """The two texts of a row, rendered, and bounded in length."""

    def __init__(self, spec: TextSimilarityGrader, services: Services) -> None:
        self._input = spec.input.render
        self._reference = spec.reference.render
        self._longest = services.max_text_chars

    def render(self, scope: Scope) -> tuple[str, str]:
        left, right = self._input(scope), self._reference(scope)
        if len(left) > self._longest or len(right) > self._longest:
            side, length = max(
                ("input", len(left)), ("reference", len(right)), key=lambda pair: pair[1]
            )
            raise TextTooLong(
                f"`{side}` is {length} characters long; at most {self._longest} are compared "
                "(the setting max_text_chars)"
            )
        return left, right


class TextSimilarity:
    """Evaluates a `TextSimilarityGrader` whose metric is a function."""

    waits = False

    def __init__(self, spec: TextSimilarityGrader, services: Services) -> None:
        name = spec.evaluation_metric
        self._metric = metrics.load(name, services.metric_variants.get(name))
        self._render = _Pair(spec, services).render

    async def evaluate(self, scope: Scope) -> Outcome:
        """The metric's value for the two rendered texts."""
        return rewarded(self._metric(*self._render(scope)))


class Cosine:
    """Evaluates a `TextSimilarityGrader` whose metric is cosine."""

    waits = True

    def __init__(
        self, spec: TextSimilarityGrader, services: Services, embeddings: BatchedEmbeddings
    ) -> None:
        self._render = _Pair(spec, services).render
        self._embeddings = embeddings

    async def evaluate(self, scope: Scope) -> Outcome:
        """The cosine of the two texts' vectors; an empty text has none, and equals only another one."""
        left, right = self._render(scope)
        if not left or not right:
            return rewarded(float(left == right))
        vectors = await asyncio.gather(
            self._embeddings.vector(left), self._embeddings.vector(right)
        )
        return rewarded(cosine(*vectors))
