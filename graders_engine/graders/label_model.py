"""label_model: a judge picks a label."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from graders_engine.graders import mistakes, verdict
from graders_engine.graders.base import Services
from graders_engine.graders.fields import field_error
from graders_engine.graders.messages import ModelGrader
from graders_engine.graders.model_evaluator import ModelEvaluator


def _check_known(passing: list[str], info: ValidationInfo) -> list[str]:
    labels = info.data.get("labels")
    unknown = [at for at, label in enumerate(passing) if labels and label not in labels]
    if unknown:
        supported = mistakes.listed(labels or [], "and")
        raise field_error(
            lambda path: [
                mistakes.invalid(
                    f"{path}[{at}]",
                    f"'{passing[at]}' is not one of the labels. Supported values are: {supported}.",
                )
                for at in unknown
            ]
        )
    return passing


class LabelModelGrader(ModelGrader):
    """Asks a model for one of `labels`: 1.0 if it is one of `passing_labels`, else 0.0."""

    type: Literal["label_model"]
    labels: Annotated[list[str], Field(min_length=1)]
    passing_labels: Annotated[list[str], Field(min_length=1), AfterValidator(_check_known)]

    def compile(self, services: Services) -> ModelEvaluator[str]:
        """Make the evaluator."""
        passing = frozenset(self.passing_labels)
        labels = list(dict.fromkeys(self.labels))

        def passes(label: str) -> float:
            return 1.0 if label in passing else 0.0

        schema = {"type": "string", "enum": labels}
        label = verdict.one_of(labels)
        return ModelEvaluator(self, services, schema, label, verdict.most_frequent, passes)
