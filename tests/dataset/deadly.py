"""Shapes whose rows end the process that grades them, as a crash in a library does, or raise."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graders_engine.dataset.rows.records import RowRef


class Bomb(dict[str, Any]):
    """A row that kills whoever looks into it."""

    def get(self, key: str, default: Any = None) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """Rows as they are, but one with `"deadly": true` is a bomb.

    Args:
        once: a file; while it is not there, a bomb makes it and goes off, and afterwards is harmless.
    """

    name = "deadly"
    plain = False

    def __init__(self, once: Path | None = None) -> None:
        self.once = once

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        if not ref.row.get("deadly"):
            return (ref,)
        bomb = RowRef(ref.line, Bomb(ref.row), ref.end)
        if self.once is None:
            return (bomb,)
        if self.once.exists():
            return (ref,)
        self.once.touch()
        return (bomb,)


class Raising:
    """Rows as they are, but one with `"deadly": true` raises.

    Args:
        error: what it raises.
    """

    name = "raising"
    plain = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        if ref.row.get("deadly"):
            raise self.error
        return (ref,)
