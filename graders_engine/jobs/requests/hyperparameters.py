"""The hyperparameters of the methods: their ranges, and what `auto` stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from graders_engine.body_fields import Fields
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.models.tables.training import Method

AUTO = "auto"
Value = int | float | str
EFFORTS = ("default", "low", "medium", "high")
EVAL_INTERVAL = "eval_interval"


@dataclass(frozen=True, slots=True)
class Number:
    """The numbers that a hyperparameter may have, besides `auto`.

    Attributes:
        low: the lowest; its type says whether the hyperparameter is an integer or a decimal.
        high: the highest; None for no bound.
        above: whether the lowest itself is too low.
    """

    low: float
    high: float | None = None
    above: bool = False

    def wrong(self, path: str, value: Any) -> Mistake | None:
        """The mistake in a value; None if it is one of these numbers."""
        whole = isinstance(self.low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return mistakes.invalid_type(
                path, "'auto' or " + ("an integer" if whole else "a decimal"), value
            )
        if not math.isfinite(value):
            return mistakes.invalid(path, "it is no finite number.")
        if value < self.low:
            return mistakes.out_of_range(path, value, self.low, "minimum")
        if self.above and value == self.low:
            message = (
                f"Invalid '{path}': decimal below minimum value. Expected a value > {self.low:g}, but got "
                f"{value} instead."
            )
            return Mistake(message, path, "decimal_below_min_value")
        if self.high is not None and value > self.high:
            return mistakes.out_of_range(path, value, self.high, "maximum")
        return None


_COMMON = {
    "n_epochs": Number(1, 50),
    "batch_size": Number(1, 256),
    "learning_rate_multiplier": Number(0.0, above=True),
}
NUMBERS: dict[Method, dict[str, Number]] = {
    "supervised": _COMMON,
    "dpo": {**_COMMON, "beta": Number(0.0, 2.0, above=True)},
    "reinforcement": {
        **_COMMON,
        "compute_multiplier": Number(0.00001, 10.0, above=True),
        EVAL_INTERVAL: Number(1),
        "eval_samples": Number(1),
    },
}
"""The hyperparameters of each method that are numbers."""


def read_hyperparameters(fields: Fields | None, method: Method) -> dict[str, Value]:
    """The hyperparameters of a method, each; those that are not given are `auto`.

    Args:
        fields: those of the request; None without any.
        method: whose they are.
    """
    found: dict[str, Value] = dict.fromkeys(NUMBERS[method], AUTO)
    if fields is None:
        return found
    for name, number in NUMBERS[method].items():
        value = fields.value(name)
        if value is None or value == AUTO:
            continue
        mistake = number.wrong(fields.path(name), value)
        if mistake is not None:
            fields.add(mistake)
        found[name] = value
    if method == "reinforcement":
        effort = fields.word("reasoning_effort", EFFORTS)
        found["reasoning_effort"] = effort or EFFORTS[0]
    fields.close()
    return found


def resolved(method: Method, given: Mapping[str, Value], rows: int) -> dict[str, Value]:
    """Hyperparameters without `auto`; a batch has no more rows than there are.

    The epochs are three, but more for few rows and fewer for many, so that 100 to 25,000 rows are seen; a
    batch is 0.2 % of the rows, up to 256; for reinforcement it is 5 % of the rows, from 4 to 32. A
    multiplier is 1, beta 0.1. A reinforcement job is evaluated ten times, with two samples for each row.

    Args:
        method: of the job.
        given: each hyperparameter of the method, or `auto`.
        rows: of the training file.
    """
    found = dict(given)
    for name, of in _AUTO.items():
        if found.get(name) == AUTO:
            found[name] = of(method, found, max(rows, 1))
        if name == "batch_size":
            found[name] = min(int(found[name]), max(rows, 1))
    return found


def total_steps(values: Mapping[str, Value], rows: int) -> int:
    """How many steps a job has; the last one may have fewer rows than a batch.

    Args:
        values: resolved hyperparameters.
        rows: of the training file.
    """
    return math.ceil(rows * int(values["n_epochs"]) / int(values["batch_size"]))


_USUAL_EPOCHS, _MOST_EPOCHS = 3, 25
_FEWEST_SEEN, _MOST_SEEN = 100, 25_000
"""Rows that are seen in all epochs of a job."""
_EVALUATIONS = 10

_Resolve = Callable[[Method, Mapping[str, Value], int], Value]


def _epochs(_: Method, __: Mapping[str, Value], rows: int) -> int:
    if rows * _USUAL_EPOCHS < _FEWEST_SEEN:
        return min(_MOST_EPOCHS, max(_FEWEST_SEEN // rows, 1))
    if rows * _USUAL_EPOCHS > _MOST_SEEN:
        return max(_MOST_SEEN // rows, 1)
    return _USUAL_EPOCHS


def _batch(method: Method, _: Mapping[str, Value], rows: int) -> int:
    if method == "reinforcement":
        return min(max(rows // 20, 4), 32, rows)
    return min(max(round(rows * 0.002), 1), 256)


def _interval(_: Method, values: Mapping[str, Value], rows: int) -> int:
    return max(total_steps(values, rows) // _EVALUATIONS, 1)


def _always(value: Value, *_: object) -> Value:
    return value


_AUTO: dict[str, _Resolve] = {
    "n_epochs": _epochs,
    "batch_size": _batch,
    "learning_rate_multiplier": partial(_always, 1.0),
    "beta": partial(_always, 0.1),
    "compute_multiplier": partial(_always, 1.0),
    "eval_samples": partial(_always, 2),
    EVAL_INTERVAL: _interval,
}
"""What `auto` stands for; one may follow from those before it."""
