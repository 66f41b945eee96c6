"""Outcomes as a table of pyarrow or pandas."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from graders_engine.errors import InvalidRequest
from graders_engine.outcome import RowOutcome

if TYPE_CHECKING:
    import pandas
    import pyarrow


def to_arrow(outcomes: Iterable[RowOutcome]) -> pyarrow.Table:
    """A pyarrow table with a row for each outcome.

    Example::

        table = to_arrow(engine.score(grader, rows))

    Args:
        outcomes: as from `Engine.score`, which may be passed as it is.

    Returns:
        A table with the columns `index`, `sample`, `reward`, `served`, `counted`, `status`, `blame`,
        `seconds`, a number `sub_rewards.KEY` for each part of a multi, and `flags`, a map from flag to
        details. What an outcome does not have is null. Halves of surrogate pairs, which Arrow cannot hold,
        are escaped as in JSON.

    Raises:
        ImportError: pyarrow is not installed.
        InvalidRequest: these are no outcomes.
    """
    arrow = _package("pyarrow")
    text, number, count = arrow.string(), arrow.float64(), arrow.int64()
    types = {
        "index": count,
        "sample": count,
        "status": text,
        "blame": text,
        "flags": arrow.map_(text, text),
    }
    columns = _columns(outcomes)
    columns["flags"] = [list(flags.items()) for flags in columns["flags"]]
    return arrow.table(
        {name: arrow.array(values, types.get(name, number)) for name, values in columns.items()}
    )


def to_pandas(outcomes: Iterable[RowOutcome]) -> pandas.DataFrame:
    """A pandas data frame with a row for each outcome.

    Args:
        outcomes: as from `Engine.score`, which may be passed as it is.

    Returns:
        A frame with the columns of `to_arrow`, where `flags` are dicts; what an outcome does not have is
        missing, as pandas has it.

    Raises:
        ImportError: pandas is not installed.
        InvalidRequest: these are no outcomes.
    """
    package = _package("pandas")
    columns = _columns(outcomes)
    columns["sample"] = package.array(columns["sample"], dtype="Int64")
    frame = package.DataFrame(columns)
    numbers = [name for name in columns if name in _NUMBERS or name.startswith(_SUB_REWARD)]
    return frame.astype(dict.fromkeys(numbers, "float64"))


_NUMBERS = ("reward", "served", "counted", "seconds")
_SUB_REWARD = "sub_rewards."


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ImportError(
            f"This needs {name}, which is not installed: pip install {name}"
        ) from None


def _columns(outcomes: Iterable[RowOutcome]) -> dict[str, Any]:
    rows = _rows(outcomes)
    keys = dict.fromkeys(key for row in rows for key in row.sub_rewards)
    return {
        "index": [row.index for row in rows],
        "sample": [row.sample for row in rows],
        "reward": [row.reward for row in rows],
        "served": [row.served for row in rows],
        "counted": [row.counted for row in rows],
        "status": [row.status for row in rows],
        "blame": [row.blame for row in rows],
        "seconds": [row.seconds for row in rows],
        **{
            f"{_SUB_REWARD}{_encodable(key)}": [row.sub_rewards.get(key) for row in rows]
            for key in keys
        },
        "flags": [
            {flag: _encodable(details) for flag, details in row.flags.items()} for row in rows
        ],
    }


def _rows(outcomes: Iterable[RowOutcome]) -> list[RowOutcome]:
    rows = list(outcomes) if hasattr(outcomes, "__iter__") else None
    strange = (
        [outcomes] if rows is None else [one for one in rows if not isinstance(one, RowOutcome)]
    )
    if rows is None or strange:
        raise InvalidRequest(
            "A table is made of the outcomes that `Engine.score` gives, but this is of type "
            f"{type(strange[0]).__name__}."
        )
    return rows


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs escaped, as in results files."""
    return text.encode(errors="backslashreplace").decode()
