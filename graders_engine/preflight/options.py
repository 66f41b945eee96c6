"""What preflight is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from graders_engine.errors import InvalidRequest
from graders_engine.language.spelling import nearest

Service = Literal["none", "openai", "azure"]
"""Whose rules on models and graders are checked."""
SERVICES: tuple[Service, ...] = get_args(Service)

LIMITS: Mapping[str, float] = MappingProxyType(
    {
        "answer_in_prompt": 0.80,
        "attack": 0.50,
        "baseline_ceiling": 0.90,
        "baseline_floor": 0.05,
        "constant_answer": 0.70,
        "contrast_auc": 0.90,
        "corruption_survival": 0.50,
        "duplicate_rows": 0.05,
        "grader_failures": 0.01,
        "insensitive": 0.75,
        "latin_only": 0.20,
        "near_duplicate": 0.90,
        "part_width": 0.90,
        "reliability": 0.80,
        "rejected_answers": 0.05,
        "signal": 0.50,
        "slow_s": 30.0,
        "truncated_samples": 0.10,
        "unparsable_samples": 0.05,
    }
)
"""The limits at which checks speak, which `[preflight.limits]` may change; shares are from 0 to 1."""


USUAL_ROWS = 30
"""How many rows are graded with their right answers, unless more or fewer are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked, and how much of it may be graded.

    Attributes:
        reference_field: the field of a row with its right answer.
        reference_template: the right answer as a text with `{{item.…}}`, or a JSON sample with such texts.
        rows: how many rows are graded with their right answers; corruptions and attacks get the same
            share of their usual numbers (20 and 12 for 30).
        group_size: samples of a group in training.
        max_calls: most calls of judges; 0 asks no judge.
        service: whose rules on models and graders are checked.
        seed: decides which rows are drawn.
        select: ids and groups of the checks to ask; empty for all.
        ignore: ids of findings that do not count, each with its reason.
        limits: the limits that differ from `LIMITS`.
        attacks: names of the attacks to try; empty for all.
        flags: the engine's flags, which the commands of findings repeat.

    Raises:
        InvalidRequest: an option is out of range, or names what does not exist.
    """

    reference_field: str | None = None
    reference_template: str | None = None
    rows: int = USUAL_ROWS
    group_size: int = 8
    max_calls: int = 300
    service: Service = "none"
    seed: int = 0
    select: tuple[str, ...] = ()
    ignore: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    attacks: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reference_field is not None and self.reference_template is not None:
            raise InvalidRequest("Give a reference field or a reference template, not both.")
        if self.rows < 2:
            raise InvalidRequest(f"At least 2 rows are graded, not {self.rows}.")
        if self.group_size < 2:
            raise InvalidRequest(f"A group has at least 2 samples, not {self.group_size}.")
        for name in self.limits:
            if name not in LIMITS:
                near = nearest(name, tuple(LIMITS))
                meant = f" Did you mean `{near}`?" if near else ""
                raise InvalidRequest(
                    f"There is no limit `{name}`.{meant} The limits are {', '.join(LIMITS)}."
                )

    def limit(self, name: str) -> float:
        """The limit of this name."""
        return self.limits.get(name, LIMITS[name])

    def scaled(self, usual: int) -> int:
        """How many rows are graded where the usual number is this one."""
        return max(round(usual * self.rows / USUAL_ROWS), 2)

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {
            "reference_field": self.reference_field,
            "reference_template": self.reference_template,
            "rows": self.rows,
            "group_size": self.group_size,
            "max_calls": self.max_calls,
            "service": self.service,
            "seed": self.seed,
            "select": list(self.select),
            "limits": {**LIMITS, **self.limits},
            "attacks": list(self.attacks),
            "ignore": dict(self.ignore),
            "flags": list(self.flags),
        }
