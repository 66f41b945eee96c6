"""Why a run has no result at all: what its first item says of the outage that it met."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from graders_engine.dataset.results.line import decode_result
from graders_engine.evals.run.criteria import Criteria
from graders_engine.language import strict_json


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
        if result.status == "failed" and not _has_error(row):
            flags = criteria.named(result.flags)
            return next(filter(None, flags.values()), "") or ", ".join(flags)
    return ""


def _has_error(row: bytes) -> bool:
    """Whether a row has an error in place of an output."""
    try:
        given = strict_json.decode(row)
    except ValueError:
        return True
    return not isinstance(given, dict) or bool(given.get("error"))
