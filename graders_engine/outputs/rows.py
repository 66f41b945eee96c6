"""The item of a row: under its key, or what stands beside the sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from graders_engine.errors import InvalidRow, UnknownForm

ITEM = "item"
_REFERENCE = "reference_answer"
_WRAPPERS = ("data", "row", "record", "datasource_item", "example", "input_item")
"""Keys that others keep an item under."""
_MISSPELT = ("item", "items", "itm", "itme", "ietm", "tiem", "itens", "itemm")
KEPT_FIELD: Any = ("the field with the sample",)
"""The key under which a row to grade has the field that its sample was taken from: templates see it in the
item, but items are compared without it. It is no text, so that no row from a file can have it."""


def item_beside(
    row: Mapping[str, Any], samples: Collection[str] = ("model_sample", "sample")
) -> Any:
    """The item of a row: its `item`, or else an object of all keys but those of the samples.

    Args:
        row: the row.
        samples: the keys that hold samples.

    Raises:
        InvalidRow: what stands there is an item under another name.
    """
    item = row.get(ITEM)
    if item is not None:
        if row.get(_REFERENCE) is not None:
            raise InvalidRow(
                "`reference_answer` stands in for a missing `item`; give one of the two."
            )
        return item
    beside = {
        key: value
        for key, value in row.items()
        if key not in samples
        and key not in (ITEM, KEPT_FIELD)
        and not (key == _REFERENCE and value is None)
    }
    for key, value in beside.items():
        if isinstance(value, dict) and value and _is_misnamed(str(key), beside):
            raise UnknownForm(
                f"The row has no `{ITEM}`, but an object `{key}`. Did you mean `{ITEM}`? If it is a part of "
                f'the item, write {{"{ITEM}": {{"{key}": …}}}}.'
            )
    return beside


def _is_misnamed(key: str, beside: Mapping[str, Any]) -> bool:
    """Whether a key of an object is a misspelt `item`, or the one key in which the whole item is wrapped."""
    if key.lower() in _MISSPELT:
        return True
    return key.lower() in _WRAPPERS and not set(beside) - {key, "id", "custom_id"}
