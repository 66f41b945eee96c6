"""Why a run has no result at all: what its first item says of the outage that it met."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from graders_engine.compiled import scope_reader
from graders_engine.dataset.results.line import decode_result
from graders_engine.errors import InvalidRow
from graders_engine.evals.run.criteria import Criteria
from graders_engine.language import strict_json
from graders_engine.outcome import Flag

_OF_A_ROW = frozenset((Flag.INVALID_VARIABLE, Flag.SAMPLE_PARSE, Flag.UNRESPONSIVE_REWARD))
"""Flags of what a row or its sample lacks: no outage sets them."""


def first_outage(rows: BinaryIO, results: Iterable[bytes], criteria: Criteria) -> str:
    """What was said of the first row that had an output, and no grade for want of a judge or a sandbox.

    Args:
        rows: the lines that were graded.
        results: theirs, in the same order; a blank line of the rows has none.
        criteria: of the eval.

    Returns:
        Empty if there is no such row: the others lack something themselves.
    """
    line, row = 0, b""
    for text in results:
        result = decode_result(text)
        while line < result.line:
            line, row = line + 1, rows.readline()
        if result.status == "failed":
            flags = criteria.named(result.flags)
            if _lacks_sample(row):
                flags.pop(Flag.OTHER, None)  # it says what the row lacks
            if _OF_A_ROW.issuperset(flags):
                continue
            return next(filter(None, flags.values()), "") or ", ".join(flags)
    return ""


def _lacks_sample(row: bytes) -> bool:
    """Whether a row has no sample that can be read, as one that holds an error in its place."""
    try:
        scope_reader(None)(strict_json.decode(row))
    except (ValueError, InvalidRow):
        return True
    return False
