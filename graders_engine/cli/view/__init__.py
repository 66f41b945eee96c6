"""`graders view`."""

from __future__ import annotations

from graders_engine.cli.view.command import command

__all__ = ["command"]
