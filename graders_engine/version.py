"""The version of the distribution, read by the build and by every report, and how to install extras."""

__version__ = "0.1.0"


def how_to_install(extra: str) -> str:
    """How to install the packages of an extra, as a part of a sentence: no index has this package yet."""
    return f"pip install '.[{extra}]' in a clone of the repository"
