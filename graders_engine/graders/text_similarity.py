"""text_similarity: how alike two texts are, by one of the field's metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from graders_engine import metrics
from graders_engine.errors import UnavailableGrader
from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import TemplateField, one_of
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome, rewarded

MetricName = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
]  # fmt: skip
METRIC_NAMES = (
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
)  # fmt: skip


class TextSimilarityGrader(GraderSpec):
    """Compares `input` with `reference`: 0.0 (nothing in common) to 1.0."""

    type: Literal["text_similarity"]
    input: TemplateField
    reference: TemplateField
    evaluation_metric: Annotated[MetricName, one_of(*METRIC_NAMES)]

    def metrics(self) -> frozenset[str]:
        """Its metric."""
        return frozenset({self.evaluation_metric})

    def compile(self, services: Services) -> TextSimilarity:
        """Make the evaluator.

        Raises:
            UnavailableGrader: the metric is not to be had.
        """
        if self.evaluation_metric not in metrics.METRICS:
            raise UnavailableGrader(
                f"the metric '{self.evaluation_metric}' is not available in this version of graders-engine"
            )
        variant = services.metric_variants.get(self.evaluation_metric)
        return TextSimilarity(self, metrics.load(self.evaluation_metric, variant))


class TextSimilarity:
    """Evaluates a `TextSimilarityGrader`."""

    waits = False

    def __init__(self, spec: TextSimilarityGrader, metric: metrics.Metric) -> None:
        self._metric = metric
        self._input = spec.input.render
        self._reference = spec.reference.render

    async def evaluate(self, scope: Scope) -> Outcome:
        """The metric's value for the two rendered texts."""
        return rewarded(self._metric(self._input(scope), self._reference(scope)))
