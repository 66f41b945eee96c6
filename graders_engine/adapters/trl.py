"""The reward of TRL's GRPO and RLOO trainers, and of Unsloth and ms-swift, which call it the same way.

Where `grader.json` is a string_check `exact` of the output and `{{item.answer}}`::

    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from graders_engine.adapters.trl import TRLReward
    rows = Dataset.from_list([{"prompt": "The capital of France?", "answer": "Paris"}] * 8)
    GRPOTrainer("Qwen/Qwen3-0.6B", TRLReward("@grader.json"), GRPOConfig(logging_steps=1), rows).train()

Give one multi: of several functions TRL counts one with no reward as 0. A multi with a failed part has none.
Run with trl 1.16; by their sources with Unsloth 2026.10, ms-swift 4.6 (`failed="raise"`: it makes 0 of None).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graders_engine.adapters.reward import GraderReward
from graders_engine.errors import InvalidRequest

_OF_TRL = ("completion_ids", "environments", "trainer_state")  # no columns of the data set


class TRLReward(GraderReward):
    """A GraderReward that is a reward function; its metrics are logged as `rewards/NAME/mean` and `NAME/...`.

    Args:
        grader, settings: as for GraderReward.
        item: the column of items, objects or JSON text; without it an item is all columns and `prompt`.
    """

    def __init__(self, grader: Any, *, item: str = "item", **settings: Any) -> None:
        super().__init__(grader, **settings)
        self._column = item

    def __call__(
        self, completions: Sequence[Any], prompts: Any = None, **given: Any
    ) -> list[float | None]:
        """The rewards of a batch; None for a row that failed, by the policy `failed`."""
        log_extra, log_metric = given.pop("log_extra", None), given.pop("log_metric", None)
        columns = {key: values for key, values in given.items() if key not in _OF_TRL}
        if prompts is not None:
            columns = {"prompt": prompts, **columns}
        for key, values in columns.items():
            if values is None or len(values) != len(completions):
                raise InvalidRequest(f"The column `{key}` has not a value for each completion.")
        items = columns.get(self._column)
        if items is None:
            places = range(len(completions))
            items = [{key: values[at] for key, values in columns.items()} for at in places]
        outcomes = self.grade_all(map(self.row, completions, items))
        extra: dict[str, Any] = {"flags": [", ".join(row.flags) for row in outcomes]}
        extra |= {key: [row.sub_rewards.get(key) for row in outcomes] for key in self.keys}
        for log, values in ((log_metric, self.means(outcomes)), (log_extra, extra)):
            for key, value in values.items() if log else ():
                log(f"{self.name}/{key}", value)
        return [self.value(outcome) for outcome in outcomes]
