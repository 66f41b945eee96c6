"""`graders evals`."""

from __future__ import annotations

from graders_engine.cli.evals.commands import command

__all__ = ["command"]
