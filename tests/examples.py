"""How many examples a property is tried with, where one of them takes long."""

from __future__ import annotations

import os


def examples(usual: int, nightly: int) -> int:
    """The usual run tries the same ones each time; `.ci/nightly` tries more, and new ones."""
    return nightly if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else usual
