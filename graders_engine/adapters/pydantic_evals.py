"""An evaluator for Pydantic Evals.

Where `grader.json` is a string_check `exact` of the output and `{{item.expected_output}}`::

    from pydantic_evals import Case, Dataset
    from graders_engine.adapters.pydantic_evals import GraderEvaluator

    cases = [Case(inputs="The capital of France?", expected_output="Paris")]
    capitals = Dataset(name="capitals", cases=cases, evaluators=[GraderEvaluator("@grader.json")])
    report = capitals.evaluate_sync(lambda question: "Paris")  # the lambda stands for your system
    assert report.averages().scores == {"exact": 1.0}

The item is `inputs`, `expected_output` and `metadata`. A row that failed is an evaluator's failure, and in
no average. Run with pydantic-evals 2.62.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext, EvaluatorOutput

from graders_engine.adapters.reward import GraderReward


@dataclass(repr=False)
class GraderEvaluator(Evaluator[Any, Any, Any]):
    """The reward under the grader's name, with the flags as its reason, and a multi's parts as `NAME.PART`.

    Attributes:
        grader: as for GraderReward.
        settings: as for GraderReward; `failed` is "raise".
    """

    grader: Any
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reward = GraderReward(self.grader, **{"failed": "raise", **self.settings})

    def get_default_evaluation_name(self) -> str:
        """The grader's name."""
        return self._reward.name

    async def evaluate(self, ctx: EvaluatorContext[Any, Any, Any]) -> EvaluatorOutput:
        """The reward of a case."""
        reward, keys = self._reward, ("inputs", "expected_output", "metadata")
        row = await reward.agrade(ctx.output, {key: getattr(ctx, key) for key in keys})
        parts = {f"{reward.name}.{key}": value for key, value in row.sub_rewards.items()}
        found = {key: value for key, value in parts.items() if value is not None}
        if (value := reward.value(row)) is None or math.isnan(value):
            return found
        return {reward.name: EvaluationReason(value, reward.reason(row)), **found}
