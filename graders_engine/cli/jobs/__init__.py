"""`graders jobs`."""

from __future__ import annotations

from graders_engine.cli.jobs.commands import command

__all__ = ["command"]
