"""Say that a grader's own code fails: such a sample counts as served, and its zero looks like any other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graders_engine.outcome import Outcome, RowOutcome, details_line

FIRST_SAMPLES = 20
"""If the code fails on each of so many first samples in the same way, their rewards teach nothing."""
MAX_KINDS = 20
"""Kinds of failures that `news` has, however many there are."""
_OF_A_SAMPLE = re.compile(r"'[^']*'|\"[^\"]*\"|(?<!line )\b\d+")
"""What may differ in each message of a kind: quoted values and numbers, but not the line of the code."""

_Way = tuple[str, str, str]


class CodeFaults:
    """What is known of the failures of one grader's code; of no other failures.

    Example::

        faults = CodeFaults()
        faults.add(outcomes)
        for outcome in outcomes:
            if (line := faults.news(outcome)) is not None:
                log.warning("the grader's code failed: %s", line)
    """

    def __init__(self) -> None:
        self._seen = 0
        self._ways: set[_Way] | None = None
        self._seen_kinds: set[_Way] = set()

    def add(self, outcomes: Sequence[RowOutcome]) -> None:
        """Count a batch of samples; outages show nothing."""
        if self._ways is not None and not self._ways:
            return
        for row in outcomes:
            if row.outcome.status != "failed":
                ways = _ways_to_fail(row.outcome)
                self._ways = ways if self._ways is None else self._ways & ways
                self._seen += 1

    def of_all(self) -> str | None:
        """How the code failed on each sample so far; None if it did not, or if they are too few."""
        if self._seen < FIRST_SAMPLES or not self._ways:
            return None
        return f"each of the first {self._seen:,} samples so: {_line(min(self._ways))}"

    def news(self, outcome: RowOutcome) -> str | None:
        """How the code failed on a sample, if this is the first failure of its kind; else None."""
        for way in sorted(_ways_to_fail(outcome.outcome)):
            key, flag, text = way
            kind = (key, flag, _OF_A_SAMPLE.sub("…", text))
            if kind not in self._seen_kinds and len(self._seen_kinds) < MAX_KINDS:
                self._seen_kinds.add(kind)
                return _line(way)
        return None


def _ways_to_fail(outcome: Outcome) -> set[_Way]:
    return {
        (failure.grader, failure.flag.value, details_line(failure.details))
        for failure in outcome.failures
        if failure.blame == "grader"
    }


def _line(way: _Way) -> str:
    key, flag, text = way
    return ": ".join(filter(None, (key, flag, text)))
