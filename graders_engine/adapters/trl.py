"""The reward of TRL's GRPO and RLOO trainers, and of Unsloth and ms-swift, which call it the same way.

::

    from trl import GRPOTrainer
    from graders_engine.adapters.trl import TRLReward

    reward = TRLReward("@grader.json", judges="http://127.0.0.1:8001/v1")
    GRPOTrainer(model, reward_funcs=reward, train_dataset=rows, args=config).train()

Give one multi grader, not several reward functions: where one of several functions has no reward, TRL counts
it as 0 beside the others; a multi with a part that failed has none, and the row teaches nothing.

Run with trl 1.16; ms-swift 4.6 (`failed="raise"`: it counts None as 0) and Unsloth 2026.10 by their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graders_engine.adapters.reward import GraderReward


class TRLReward(GraderReward):
    """A GraderReward that is a reward function; its metrics are logged as `rewards/NAME/mean` and `NAME/...`.

    Args:
        grader: as for GraderReward.
        item: the column with the item, as an object or as JSON text, which keeps each row's own keys. Without
            it the item is all columns, and `prompt`.
        settings: as for GraderReward.
    """

    def __init__(self, grader: Any, *, item: str = "item", **settings: Any) -> None:
        super().__init__(grader, **settings)
        self._column = item

    def __call__(
        self,
        completions: Sequence[Any],
        prompts: Sequence[Any] | None = None,
        completion_ids: object = None,
        *,
        trainer_state: object = None,
        environments: object = None,
        log_extra: Callable[[str, list[Any]], object] | None = None,
        log_metric: Callable[[str, float], object] | None = None,
        **columns: Sequence[Any],
    ) -> list[float | None]:
        """The rewards of a batch; None for a row that failed, by the policy `failed`."""
        rows = map(self.row, completions, self._items(len(completions), prompts, columns))
        outcomes = self.grade_all(rows)
        if log_metric:
            for key, mean in self.means(outcomes).items():
                log_metric(f"{self.name}/{key}", mean)
        if log_extra:
            for key in self.keys:
                log_extra(f"{self.name}/{key}", [row.sub_rewards.get(key) for row in outcomes])
            log_extra(f"{self.name}/flags", [", ".join(row.flags) for row in outcomes])
        return [self.value(outcome) for outcome in outcomes]

    def _items(
        self, count: int, prompts: Sequence[Any] | None, columns: dict[str, Sequence[Any]]
    ) -> Sequence[Any]:
        if self._column in columns:
            return columns[self._column]
        table = columns if prompts is None else {"prompt": prompts, **columns}
        return [{key: values[index] for key, values in table.items()} for index in range(count)]
