"""The grader in grader.json as the reward function of Amazon Bedrock and SageMaker.

By the documentation of both, and not tried in AWS: an event is a list of rows, each with `id`, `messages`
(the model's answer is the last one) and the fields of the data set, which Bedrock puts under `metadata`. The
result has `id`, `aggregate_reward_score` and `metrics_list` for each row.

Graders read the row as `item`, without the answer; the fields under `metadata` also as its own. A row that
has no reward, because of an outage or because it lacks what a template names, ends the invocation with an
error: it must not be a zero.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import graders_engine

GRADER = Path(__file__).with_name("grader.json")


@functools.cache
def _reward() -> graders_engine.GraderReward:
    return graders_engine.GraderReward(str(GRADER), failed="raise")


def lambda_handler(event: Any, context: Any) -> list[dict[str, Any]]:
    """Grade the rows of an event, at the same time where they wait for a judge.

    Raises:
        NoReward: a row has no reward.
        ValueError: the event has another form.
    """
    if not isinstance(event, list):
        raise ValueError("The event must be a list of rows.")
    reward = _reward()
    outcomes = reward.grade_all([reward.row(*_output_and_item(row)) for row in event])
    return [
        {
            "id": row["id"],
            "aggregate_reward_score": reward.value(outcome),
            "metrics_list": [
                {"name": name, "value": value, "type": "Metric"}
                for name, value in reward.numbers(outcome).items()
                if not math.isnan(value)
            ],
        }
        for row, outcome in zip(event, outcomes, strict=True)
    ]


def _output_and_item(row: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(row, dict) or "id" not in row:
        raise ValueError("A row of the event must be an object with an `id`.")
    messages = row.get("messages") or [None]
    last = messages[-1] if isinstance(messages, list) else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        raise ValueError(f"The last of the row's `messages` is not the model's: row {row['id']!r}.")
    metadata = row.get("metadata")
    fields = metadata if isinstance(metadata, Mapping) else {}
    return last, {**fields, **row, "messages": messages[:-1]}
