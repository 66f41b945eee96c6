"""When two rewards are the same: without numpy, so that it is cheap to import."""

from __future__ import annotations

ROUNDING = 1e-9
"""Rewards closer than this are equal: last bits may differ between machines and library versions."""


def slack(reward: float) -> float:
    """How far another reward may be from this one and still be equal to it; of large ones, a share."""
    return ROUNDING * max(1.0, abs(reward))
