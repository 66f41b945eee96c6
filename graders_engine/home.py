"""The folders below the user's home. In a container there may be neither HOME nor an account to have one."""

from __future__ import annotations

import os
from pathlib import Path

_BELOW_HOME = {
    "XDG_CACHE_HOME": Path(".cache"),
    "XDG_DATA_HOME": Path(".local", "share"),
    "XDG_STATE_HOME": Path(".local", "state"),
}


def user_folder(variable: str) -> Path | None:
    """The folder that a variable of the XDG names, or its usual one below the home folder.

    A relative path in the variable is none, as the XDG says.

    Args:
        variable: XDG_CACHE_HOME, XDG_DATA_HOME or XDG_STATE_HOME.

    Returns:
        The folder, which need not exist; None without a home folder.

    Example:
        >>> os.environ["XDG_CACHE_HOME"] = "/var/cache/mine"
        >>> user_folder("XDG_CACHE_HOME")
        PosixPath('/var/cache/mine')
    """
    base = os.environ.get(variable, "")
    if os.path.isabs(base):
        return Path(base)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / _BELOW_HOME[variable] if home.is_absolute() else None


def expanded(path: Path | str) -> Path:
    """A path with the home folder in place of `~`, or that of an account in place of `~NAME`.

    Raises:
        ValueError: there is no such home folder.

    Example:
        >>> expanded("a/b")
        PosixPath('a/b')
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder for the `~` in {str(path)!r}") from None
