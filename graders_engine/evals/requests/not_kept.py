"""Sources of data that the hosted service had and this server does not."""

from __future__ import annotations

from graders_engine.errors import Mistake

_HOW = "pass the rows themselves: as `file_content`, or as a file by its id (`file_id`)."


def not_kept(path: str, what: str) -> Mistake:
    """A source that would be looked up among what the hosted service had stored."""
    message = f"Invalid '{path}': this server keeps no {what}; {_HOW}"
    return Mistake(message, path, "source_not_kept")
