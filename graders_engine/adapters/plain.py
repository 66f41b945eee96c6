"""Values of data libraries as JSON values: numpy, pandas, Arrow, OmegaConf, torch, pydantic."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence, Set
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_log = logging.getLogger("graders_engine")

_JSON = frozenset((str, int, bool, type(None)))
"""Types that stay as they are; a float may be NaN, and lists and dicts hold other values."""
_TEXT = frozenset((str,))
_MAX_DEPTH = 64
_MAX_PATH = 256
"""Characters of the path to a value within objects from which on it is taken whole."""
_DOUBLE = 8
"""Bytes of a float of Python."""
_LIBRARIES = ("numpy", "torch", "pandas", "pyarrow", "jax", "jaxlib", "polars")
_READERS = ("tolist", "as_py", "to_pylist", "to_list")
"""Methods of theirs that give Python's own values."""


class NotJson(ValueError):
    """Raised for a value without a JSON form, such as an image."""


class Columns:
    """Makes JSON values of rows, without the values that have no JSON form; it names each key of them once.

    Args:
        name: whose rows they are, for the warning.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._left_out: set[str] = set()

    def plain(self, row: Mapping[Any, Any], path: str = "") -> dict[str, Any]:
        """A row as JSON values; within objects, too, only what has no JSON form is left out.

        Raises:
            NotJson: two of its keys are the same text, or a key is no text, number or boolean.
        """
        made: dict[str, Any] = {}
        for key, value in row.items():
            name = _key(key, made)
            try:
                is_object = isinstance(value, Mapping) and len(path) < _MAX_PATH
                made[name] = self.plain(value, f"{path}{name}.") if is_object else plain(value)
            except NotJson as error:
                self._leave_out(f"{path}{name}", error)
        return made

    def _leave_out(self, key: str, error: NotJson) -> None:
        if key not in self._left_out:
            self._left_out.add(key)
            _log.warning(
                "%s: graders do not see `%s` where it holds %s, which has no JSON form",
                self._name, key, error,
            )  # fmt: skip


def is_plain(row: Mapping[str, Any]) -> bool:
    """Whether a row holds only texts, whole numbers, booleans and nulls, which stay as they are."""
    return _JSON.issuperset(map(type, row.values())) and _TEXT.issuperset(map(type, row))


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON values.

    What stands for a missing value (NaN, NaT, NA) is None, times are in ISO 8601, an array is a list.

    Example::

        >>> import numpy as np
        >>> plain({"n": np.int64(3), "when": date(2026, 1, 2), "missing": float("nan")})
        {'n': 3, 'when': '2026-01-02', 'missing': None}

    Raises:
        NotJson: it, or a value in it, has no JSON form.
    """
    kind = type(value)
    if kind in _JSON:
        return value
    if depth > _MAX_DEPTH:
        raise NotJson("a value that nests too deep")
    if kind is float:
        return _number(value)
    if isinstance(value, Mapping):
        made: dict[str, Any] = {}
        for key, part in value.items():
            made[_key(key, made)] = plain(part, depth + 1)
        return made
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return [plain(part, depth + 1) for part in value]
    return _other(value, depth)


def _number(value: float) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise NotJson("an infinite number")
    return float(value)


def _key(key: Any, known: Mapping[str, Any]) -> str:
    if not isinstance(key, str) and type(key) not in _JSON:
        raise NotJson(f"a key of type {type(key).__name__}")
    name = str.__str__(key) if isinstance(key, str) else str(key)
    if name in known:
        raise NotJson(f"two keys that are {name!r} as text")
    return name


def _other(value: Any, depth: int) -> Any:
    """A value that is of none of Python's own container types."""
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (UUID, time)):
        return str(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, date):
        is_missing = value != value  # pandas' NaT, the only date that is not equal to itself
        return None if is_missing else value.isoformat()
    if isinstance(value, Set):
        return sorted((plain(part, depth + 1) for part in value), key=repr)
    return _of_library(value, depth)


def _decimal(value: Decimal) -> int | float | None:
    if value.is_nan():
        return None
    exponent = value.as_tuple().exponent
    return (
        int(value)
        if isinstance(exponent, int) and 0 <= exponent < _MAX_DEPTH
        else _number(float(value))
    )


def _of_library(value: Any, depth: int) -> Any:
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and type(value).__name__ == "NAType":
        return None
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"), depth + 1)
    if module == "numpy":
        value = _as_written(value)
    if module in _LIBRARIES:
        for reader in (getattr(value, name) for name in _READERS if hasattr(value, name)):
            read = reader()
            if type(read) is not type(value):
                return plain(read, depth + 1)
    raise NotJson(f"a value of type {type(value).__name__}")


def _as_written(value: Any) -> Any:
    """A value of numpy as people write it: times with their unit, short floats with their own digits."""
    kind = value.dtype.kind if hasattr(value, "dtype") else ""
    if kind == "m":
        raise NotJson("a duration")
    if kind == "f" and value.dtype.itemsize < _DOUBLE:
        return value.astype(str).astype(float)
    if kind != "M":
        return value
    import numpy as np  # it is there: the value is one of its own

    return np.where(np.isnat(value), None, value.astype(str))
