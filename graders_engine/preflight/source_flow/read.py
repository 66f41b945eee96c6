"""Reads a python source without running a line of it."""

from __future__ import annotations

from typing import Any

from graders_engine.language.syntax_tree import module_tree
from graders_engine.preflight.source_flow.facts import PythonReads
from graders_engine.preflight.source_flow.flow import Flow
from graders_engine.preflight.source_flow.highest import highest_returned
from graders_engine.preflight.source_flow.imports import imports_in
from graders_engine.preflight.source_flow.notes import TooMuch
from graders_engine.preflight.source_flow.rewards import returned_range


def read(source: str) -> PythonReads:
    """Read a source; of one that cannot be followed, only the imports are known, or nothing."""
    try:
        tree = module_tree(source)
        imports = tuple(sorted(imports_in(tree), key=lambda found: found.line))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return PythonReads()
    flow = Flow()
    try:
        known = flow.follow(tree)
    except (TooMuch, RecursionError):
        known = False
    if not known:
        return PythonReads(imports=imports, highest=highest_returned(tree))
    sample = flow.reads_of("sample")
    return PythonReads(
        True,
        flow.reads_of("item"),
        sample,
        "sample" in flow.whole,
        bool(sample) or "sample" in flow.whole,
        imports,
        flow.opened(),
        flow.chance(),
        flow.seeded(),
        returned_range(tree),
        highest_returned(tree),
    )


def read_json(source: str) -> dict[str, Any]:
    """What `read` finds, as JSON values."""
    return read(source).to_json()
