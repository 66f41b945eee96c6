"""When two rewards are the same: without numpy, so that it is cheap to import."""

from __future__ import annotations

ROUNDING = 1e-9
"""Rewards closer than this are equal: last bits may differ between machines and library versions."""
