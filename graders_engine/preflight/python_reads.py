"""What a python source reads of its row; a long source is read in a process with limits."""

from __future__ import annotations

from functools import lru_cache

from graders_engine.graders.source_process import SHORT, NoProcess, SourceUnread, read_apart
from graders_engine.preflight.source_flow import read
from graders_engine.preflight.source_flow.facts import PythonReads as PythonReads
from graders_engine.preflight.source_flow.facts import from_json


@lru_cache(maxsize=64)
def reads_of(source: str) -> PythonReads:
    """Read a source without running it; one that cannot be followed may read anything."""
    if len(source) <= SHORT:
        return read.read(source)
    try:
        return from_json(read_apart(read.__name__, source))
    except NoProcess:
        return read.read(source)
    except SourceUnread:
        return PythonReads()
