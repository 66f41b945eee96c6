"""A scorer for MLflow's evaluations.

Where `grader.json` is a string_check `exact` of the output and `{{item.expectations.answer}}`::

    import mlflow
    from graders_engine.adapters.mlflow import grader_scorer
    row = {"inputs": {"q": "Capital of France?"}, "outputs": "Paris", "expectations": {"answer": "Paris"}}
    ran = mlflow.genai.evaluate(data=[row], scorers=[grader_scorer("@grader.json")])
    assert ran.metrics == {"exact/mean": 1.0}

The item is `inputs` and `expectations`. A row that failed is an error, and in no mean. It cannot be
registered with a server, which keeps the source text of scorers. Run with mlflow 3.17.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mlflow.entities import AssessmentError, AssessmentSource, Feedback
from mlflow.genai.scorers import Scorer, scorer

from graders_engine.adapters.reward import GraderReward, status_of

_SOURCE = AssessmentSource("CODE", "graders-engine")


def grader_scorer(
    grader: Any, *, item: Callable[[Any, Any], Any] | None = None, **settings: Any
) -> Scorer:
    """A scorer: the reward under the grader's name, and a multi's parts as `NAME/PART`.

    Args:
        grader: as for GraderReward.
        item: makes the item of `inputs` and `expectations`, in place of an object with both.
        settings: as for GraderReward.
    """
    reward = GraderReward(grader, **settings)

    @scorer(name=reward.name)
    def graded(
        *, inputs: Any = None, outputs: Any = None, expectations: Any = None
    ) -> list[Feedback]:
        both = {"inputs": inputs, "expectations": expectations}
        row = reward.grade(outputs, item(inputs, expectations) if item else both)
        value, why = reward.value(row), reward.reason(row)
        if value is not None and math.isnan(value):
            value = None
        error = AssessmentError(f"{row.blame}".upper(), why) if value is None else None
        about = {"status": status_of(row), "flags": ", ".join(row.flags)}
        parts = [
            Feedback(f"{reward.name}/{key}", part, source=_SOURCE)
            for key, part in row.sub_rewards.items()
            if part is not None
        ]
        return [Feedback(reward.name, value, error, _SOURCE, metadata=about, rationale=why), *parts]

    return graded
