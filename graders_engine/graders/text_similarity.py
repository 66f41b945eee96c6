"""text_similarity: how similar two texts are, by one of several metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from graders_engine import metrics
from graders_engine.errors import Mistake, TextTooLong, UnavailableGrader
from graders_engine.graders.base import GraderSpec, Services, TextVectors
from graders_engine.graders.fields import TemplateField, one_of
from graders_engine.graders.templates import variables_in
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome, rewarded

MetricName = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
]  # fmt: skip

_CAUTIONS = {
    "rouge": "sees the letters a-z and the digits only: text in other scripts scores 0, even when both texts "
    "are the same. The variant `unicode` supports every script; its numbers differ from those of other tools",
    "meteor": "gives less than 1.0 for two identical texts if they are short: 0.5 for one word, 0.9375 for "
    "two",
    "cosine": "is accepted by the hosted evals, but not by their reinforcement fine-tuning; its numbers "
    "depend on the embedding model",
}
"""What may surprise a user of a metric, by the first part of the metric's name."""


_UNSEEN = (
    "'%s' gave 0 for two texts of which it saw nothing, be they equal or not: it sees the letters a-z and "
    "the digits only. The variant `unicode` (--variant %s=unicode) supports every script; its numbers "
    "differ from those of other tools"
)
_log = logging.getLogger("graders_engine")


class TextSimilarityGrader(GraderSpec):
    """Compares `input` with `reference`: 0.0 (nothing in common) to 1.0."""

    type: Literal["text_similarity"]
    input: TemplateField
    reference: TemplateField
    evaluation_metric: Annotated[MetricName, one_of(MetricName)]

    def metrics(self) -> frozenset[str]:
        """Its one metric."""
        return frozenset({self.evaluation_metric})

    def compile(self, services: Services) -> TextSimilarity | Cosine:
        """Make the evaluator.

        Raises:
            UnavailableGrader: the metric is cosine, and the engine has no embedding backend.
        """
        if self.evaluation_metric != "cosine":
            return TextSimilarity(self, services)
        if services.embeddings is None:
            from graders_engine.models.embeddings import HOW

            raise UnavailableGrader(f"The metric 'cosine' needs embeddings: {HOW}.")
        return Cosine(self, services, services.embeddings)

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """Limits of the metric, and literal texts that are too long in every row."""
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
    """Renders the two texts of a row and checks their length."""

    def __init__(self, spec: TextSimilarityGrader, services: Services) -> None:
        self._input = spec.input.render
        self._reference = spec.reference.render
        self._max_chars = services.max_text_chars

    def render(self, scope: Scope) -> tuple[str, str]:
        left, right = self._input(scope), self._reference(scope)
        if len(left) > self._max_chars or len(right) > self._max_chars:
            side, length = max(
                ("input", len(left)), ("reference", len(right)), key=lambda pair: pair[1]
            )
            raise TextTooLong(
                f"`{side}` is {length} characters long; at most {self._max_chars} are compared "
                "(the setting max_text_chars)"
            )
        return left, right


class TextSimilarity:
    """Evaluates a `TextSimilarityGrader` whose metric is a function."""

    waits = False

    def __init__(self, spec: TextSimilarityGrader, services: Services) -> None:
        self.variables = variables_in(spec)
        name = spec.evaluation_metric
        variant = services.metric_variants.get(name)
        self._metric = metrics.load(name, variant)
        self._batch = metrics.load_batch(name, variant)
        self._render = _Pair(spec, services).render
        self._name, self._logged = name, services.logged
        self._sees_latin_only = name.startswith("rouge") and variant != "unicode"

    async def evaluate(self, scope: Scope) -> Outcome:
        """As `compute`."""
        return self.compute(scope)

    def compute(self, scope: Scope) -> Outcome:
        """The metric's value for the two rendered texts."""
        left, right = self._render(scope)
        value = self._metric(left, right)
        if not value and self._sees_latin_only and self._name not in self._logged:
            self._log_unseen(left, right)
        return rewarded(value)

    @property
    def in_batches(self) -> bool:
        """As in `Comparing`: whether the metric is compiled."""
        return self._batch is not None

    def texts(self, scope: Scope) -> tuple[str, str]:
        """The two rendered texts."""
        return self._render(scope)

    def compute_all(self, pairs: Sequence[tuple[str, str]]) -> list[Outcome]:
        """The metric's values for these pairs."""
        assert self._batch is not None  # noqa: S101 - `in_batches`
        values = self._batch([left for left, _ in pairs], [right for _, right in pairs])
        if self._sees_latin_only and self._name not in self._logged:
            for value, texts in zip(values, pairs, strict=True):
                if not value:
                    self._log_unseen(*texts)
        return [rewarded(value) for value in values]

    def _log_unseen(self, *texts: str) -> None:
        """Warn, if the metric saw nothing of two texts that are there."""
        from graders_engine.metrics.tokens import latin_tokens  # loaded with the metric

        if not any(text.isascii() or latin_tokens(text) for text in texts):
            self._logged.add(self._name)
            _log.warning(_UNSEEN, self._name, self._name)


class Cosine:
    """Evaluates a `TextSimilarityGrader` whose metric is cosine."""

    waits = True

    def __init__(
        self, spec: TextSimilarityGrader, services: Services, embeddings: TextVectors
    ) -> None:
        self.variables = variables_in(spec)
        self._render = _Pair(spec, services).render
        self._embeddings = embeddings

    async def evaluate(self, scope: Scope) -> Outcome:
        """The cosine of the two texts' vectors; an empty text has no vector and equals only an empty one."""
        left, right = self._render(scope)
        if not left or not right:
            return rewarded(float(left == right))
        from graders_engine.models.embeddings import cosine
        from graders_engine.tasks import together

        vectors = await together(map(self._embeddings.vector, (left, right)))
        return rewarded(cosine(*vectors))
