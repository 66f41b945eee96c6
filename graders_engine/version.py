"""The version of the distribution and that of results, read by the build and by every report; and extras."""

__version__ = "0.1.0"
RESULTS_VERSION = 2
"""Raised only when a change to this package changes the numbers of results; others may then be mixed."""


def how_to_install(extra: str) -> str:
    """How to install the packages of an extra, as a part of a sentence: no index has this package yet."""
    return f"pip install '.[{extra}]' in a clone of the repository"
