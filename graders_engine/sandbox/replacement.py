"""When a worker that still works is replaced by a fresh one."""

from __future__ import annotations

from dataclasses import dataclass

from graders_engine.sandbox.process import Worker
from graders_engine.sandbox.watchdog import resident_bytes


@dataclass(frozen=True, slots=True)
class ReplacementPolicy:
    """The limits of one worker's life.

    Attributes:
        max_grades: each grade is a fork of the template, and costs the template some of the
            processor time that the kernel allows it in all.
        max_growth_bytes: what the template may grow by, counted from the first check of its size.
        grades_per_size_check: a check reads /proc for every process of the host.
    """

    max_grades: int = 20_000
    max_growth_bytes: int = 256 << 20
    grades_per_size_check: int = 1_000


class Wear:
    """How worn one worker is. Its pool alone writes to it."""

    def __init__(self, policy: ReplacementPolicy) -> None:
        self._policy = policy
        self._grades = 0
        self._first_bytes = 0
        self.is_outdated = False
        """Whether a new worker has taken its place, so that it ends as soon as it is free."""

    def add_grade(self, worker: Worker) -> bool:
        """Count one grade; whether the worker should be replaced now."""
        self._grades += 1
        if self.is_outdated:
            return False
        return self._grades >= self._policy.max_grades or self._has_grown(worker)

    def _has_grown(self, worker: Worker) -> bool:
        if self._grades % self._policy.grades_per_size_check:
            return False
        size = resident_bytes(worker)
        self._first_bytes = self._first_bytes or size
        return size - self._first_bytes > self._policy.max_growth_bytes
