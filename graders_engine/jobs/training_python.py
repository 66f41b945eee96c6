"""What the Python that trains has, which may be another one than the server's."""

from __future__ import annotations

import importlib.util
import subprocess

_ASK = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
_LONGEST_S = 60.0
_HAVE: set[tuple[str, str]] = set()
"""Pythons and packages that they have; one that is missing may be installed at any time."""


def has_package(python: str, name: str) -> bool:
    """Whether a Python has a package.

    Args:
        python: its path; empty for this one.
        name: of the package.
    """
    if not python:
        importlib.invalidate_caches()
        return importlib.util.find_spec(name) is not None
    if (python, name) not in _HAVE and _asked(python, name):
        _HAVE.add((python, name))
    return (python, name) in _HAVE


def _asked(python: str, name: str) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - graders.toml has the path
            [python, "-P", "-c", _ASK, name],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
