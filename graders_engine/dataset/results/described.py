"""Whether a results file is the one that the file beside it describes, where both came from a URL.

A set of results is several objects there, and who fetches them one by one while another set is sent may get
some of each. So what describes results that were sent says how long they are and how they end; it is no proof
that nobody changed a byte in their middle.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graders_engine.errors import DataSetError

SENT = "sent"
"""Key, beside results that were sent to a URL, of what was sent: `bytes`, and `end`, a digest."""
_END_BYTES = 1 << 16
"""Bytes at the end of which the digest is: each line has how long its row took, so two runs differ in it."""


def description_of(lines: Path) -> dict[str, Any]:
    """How long a JSONL results file is, and how it ends, as JSON values.

    Raises:
        OSError: it cannot be read.
    """
    with lines.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        end = hashlib.sha256(file.read(_END_BYTES)).hexdigest()
    return {"bytes": size, "end": end}


def require_described(lines: Path, meta: Mapping[str, Any], name: str) -> None:
    """Check that a JSONL results file is the one that was sent with what describes it.

    Nothing is asked of one that was not sent, or that is not there.

    Args:
        lines: the results file.
        meta: what describes it.
        name: of the file with that.

    Raises:
        DataSetError: it is another one.
    """
    if SENT not in meta:
        return
    try:
        found = description_of(lines)
    except OSError:  # who reads the results says so
        return
    if found != meta[SENT]:
        raise DataSetError(
            f"{lines} is not the file that {name} describes: they are of two runs, fetched while one was "
            "sent perhaps, or one was changed. Fetch all of them again when nothing is being sent."
        )
