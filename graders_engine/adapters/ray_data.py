"""Rewards for rows that are in Ray Data.

Where `grader.json` is a string_check `exact` of the output and `{{item.answer}}`::

    import ray
    from graders_engine.adapters.ray_data import GradeBatch

    rows = ray.data.from_items([{"item": {"answer": "Paris"}, "model_sample": "Paris"}])
    one = ray.data.ActorPoolStrategy(size=1)
    graded = rows.map_batches(GradeBatch, **GradeBatch.arguments("@grader.json"), compute=one)
    assert [row["reward"] for row in graded.take_all()] == [1.0]

A mistake in the grader is raised by `arguments`, before any data is read; the actors do not need its file.

Use fewer actors than the cluster has cores: if they take every core, Ray Data has none left for reading and
waits for ever, silently. Run with ray 2.60.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graders_engine.adapters.plain import Columns
from graders_engine.adapters.process_engine import ProcessEngine
from graders_engine.language import strict_json


class GradeBatch:
    """A callable class for `Dataset.map_batches`, in its batch format "numpy": adds columns to a batch.

    The columns are `reward` (NaN for rows without a reward), `status` ("scored", "invalid", "failed") and
    `flags` (a JSON object: the flags that are set, with details). A row has a column `model_sample` (or
    `sample`) and a column `item`; or it is flat, with `sample_field`. A null is one, although Ray Data makes
    a NaN of it in this format.

    Args:
        grader: as for `Engine.compile`, with what that raises.
        sample_field: for flat rows, the column with the model's output; the others are the item.
        settings: of the engine that each actor makes.
    """

    def __init__(self, grader: Any, *, sample_field: str | None = None, **settings: Any) -> None:
        self._own = ProcessEngine(grader, settings)
        self._sample_field = sample_field
        self._columns = Columns("GradeBatch")

    @classmethod
    def arguments(
        cls, grader: Any, *, sample_field: str | None = None, **settings: Any
    ) -> dict[str, Any]:
        """What `map_batches` takes, so that its actors make this class; mistakes are raised here and now.

        Args:
            grader: as for this class.
            sample_field: as for this class.
            settings: as for this class.

        Raises:
            InvalidRequest: the grader cannot be used.
            TypeError, ValueError: as from `EngineSettings`.
        """
        given = cls(grader, sample_field=sample_field, **settings)._own.given
        keywords = {"sample_field": sample_field, **settings}
        return {"fn_constructor_args": (given,), "fn_constructor_kwargs": keywords}

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with the columns added."""
        own, columns = self._own.here(), [list(column) for column in batch.values()]
        table = (dict(zip(batch, values, strict=True)) for values in zip(*columns, strict=True))
        rows = map(self._columns.plain, table)
        graded = list(own.engine.score_single(own.compiled, rows, sample_field=self._sample_field))
        rewards = [np.nan if row.reward is None else row.reward for row in graded]
        return {
            **batch,
            "reward": np.array(rewards, dtype=np.float64),
            "status": np.array([row.status for row in graded], dtype=object),
            "flags": np.array(
                [strict_json.encode(row.flags).decode() for row in graded], dtype=object
            ),
        }
