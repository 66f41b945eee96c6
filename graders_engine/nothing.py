"""The empty dict that records of rows share."""

from __future__ import annotations

from typing import Any, NoReturn


class _Nothing(dict[str, Any]):
    """A dict that stays empty."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("an outcome is not changed")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING: dict[str, Any] = _Nothing()
"""What outcomes have in place of the dicts that are empty: to make eight for each row took longer than all
the rest of its outcome."""
