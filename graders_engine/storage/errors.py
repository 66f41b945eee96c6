"""The exceptions of the store.

::

    InvalidRequest
    └── UnknownCursor             the object that a page of a list should begin after is not in the list
    GradersError
    └── StoreError                the folder of files and evals cannot be read or written
        └── StoreInUse            another server has it
"""

from __future__ import annotations

from graders_engine.errors import GradersError, InvalidRequest

_QUOTED_CHARS = 80
"""So much of what was sent is quoted in a message."""


class UnknownCursor(InvalidRequest):
    """Raised when a page of a list should begin after an object that is not in the list.

    Attributes:
        after: what was asked for.
    """

    def __init__(self, after: str) -> None:
        self.after = after
        quoted = after if len(after) <= _QUOTED_CHARS else f"{after[:_QUOTED_CHARS]}…"
        super().__init__(
            f"Invalid 'after': there is no '{quoted}' in this list. Pass the last id of a page."
        )


class StoreError(GradersError):
    """Raised when the folder of files, evals and runs cannot be read or written: a full disk, no rights."""


class StoreInUse(StoreError):
    """Raised when another server has the folder."""
