"""Interrupts at the moment when a transaction has just reached the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from graders_engine.storage.database import Database


def interrupt_after_the_next_write(patched: pytest.MonkeyPatch) -> None:
    """Have the next transaction that writes be followed by Ctrl-C."""
    write = Database.write

    @contextmanager
    def interrupted(database: Database) -> Iterator[sqlite3.Connection]:
        with write(database) as file:
            yield file
        raise KeyboardInterrupt

    patched.setattr(Database, "write", interrupted)
