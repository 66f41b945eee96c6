"""The reward function of OpenRLHF, in a file that `--reward.remote_url reward.py` names.

Where `grader.json` is a string_check of the output and `{{item.label}}`, this is `reward.py`::

    from graders_engine.adapters.openrlhf import OpenRLHFReward

    reward_func = OpenRLHFReward("@grader.json")

and OpenRLHF calls it with queries, prompts and labels::

    from reward import reward_func
    assert reward_func(["2+2? 4"], ["2+2? "], ["4"])["rewards"].tolist() == [1.0]

The item is `{"prompt", "label"}`. OpenRLHF stops at an exception of the file; over HTTP (`graders serve
--grader`) it tries five times. Run with openrlhf 0.11.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from graders_engine.adapters.reward import GraderReward
from graders_engine.outputs.queries import ENDS, answer_of


class OpenRLHFReward(GraderReward):
    """A GraderReward that is OpenRLHF's `reward_func`.

    Args:
        grader: as for GraderReward.
        ends: special tokens that are cut off the end of an answer.
        settings: as for GraderReward; `failed` is "raise".
    """

    def __init__(self, grader: Any, *, ends: Sequence[str] = ENDS, **settings: Any) -> None:
        super().__init__(grader, **{"failed": "raise", **settings})
        self._ends = tuple(ends)

    def __call__(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]
    ) -> dict[str, Any]:
        """Rewards, scores and logs of a batch, as tensors."""
        given = list(zip(queries, prompts, labels, strict=True))
        rows = [
            self.row(answer_of(query, prompt, self._ends), {"prompt": prompt, "label": label})
            for query, prompt, label in given
        ]
        outcomes = self.grade_all(rows)
        values = [self.value(outcome) for outcome in outcomes]
        rewards = torch.tensor([math.nan if value is None else value for value in values])
        numbers = [self.numbers(outcome) for outcome in outcomes]
        logs = {key: torch.tensor([row[key] for row in numbers]) for key in (numbers or [{}])[0]}
        return {"rewards": rewards, "scores": rewards, "extra_logs": logs}
