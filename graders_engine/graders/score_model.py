"""score_model: a judge gives a number."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from graders_engine.graders import mistakes, verdict
from graders_engine.graders.base import Services
from graders_engine.graders.fields import field_error
from graders_engine.graders.messages import ModelGrader
from graders_engine.graders.model_evaluator import ModelEvaluator
from graders_engine.outcome import plain_number

_log = logging.getLogger("graders_engine")


def _check_order(bounds: list[float]) -> list[float]:
    if bounds[0] >= bounds[1]:
        reason = f"the lower bound {bounds[0]:g} is not below the upper bound {bounds[1]:g}."
        raise field_error(lambda path: [mistakes.invalid(path, reason)])
    return bounds


class ScoreModelGrader(ModelGrader):
    """Asks a model for a number and clamps it to `range`."""

    type: Literal["score_model"]
    range: (
        Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_check_order)]
        | None
    ) = Field(None, description="Lowest and highest score; [0, 1] by default.")

    def compile(self, services: Services) -> ModelEvaluator[float]:
        """Make the evaluator."""
        lowest, highest = self.range or (0.0, 1.0)

        def clamped(score: float) -> float:
            reward = min(max(score, lowest), highest)
            if reward != score and self.model not in services.logged:
                services.logged.add(self.model)
                _log.warning(
                    "%s answered %s, which is not within the range from %s to %s of %s: such a number counts "
                    "as the end of the range, here %s. Name the range in the grader's messages, or set "
                    "`range` to what the judge uses",
                    self.model, *map(plain_number, (score, lowest, highest)), self.name or "the grader",
                    plain_number(reward),
                )  # fmt: skip
            return reward

        return ModelEvaluator(
            self, services, {"type": "number"}, verdict.number, verdict.middle, clamped
        )
