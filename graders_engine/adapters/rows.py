"""Rows for the engine, from what frameworks have: outputs and items in many forms."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from graders_engine.adapters.plain import Columns, NotJson, is_plain, plain
from graders_engine.errors import InvalidRow
from graders_engine.language.kinds import kind_of
from graders_engine.outputs.forms import output_of
from graders_engine.outputs.unreadable import Unreadable

_TEXT_ROW = ("item", "model_sample")


def row_of(output: Any, item: Any = None, columns: Columns | None = None) -> Any:
    """A row for `Engine.score`, from what frameworks have.

    Args:
        output: the model's text, a message, a list of messages (the last of the model's counts), a sample
            object, or the answer of an API.
        item: the data-set row, of plain values or of numpy's, pandas', Arrow's or OmegaConf's; also as JSON
            text. Columns without a JSON form, such as images, are left out.
        columns: makes JSON values of the item; it names what it leaves out.
    """
    columns = columns or Columns("graders")
    try:
        item = _item_of(item, columns)
        if type(output) is str or output is None:
            return {"item": item, "model_sample": output}
        read = output_of(_plain_output(output, columns))
    except NotJson as error:
        return Unreadable(f"The row holds {error}, which has no JSON form.")
    except InvalidRow as error:
        return Unreadable.by(error)
    if isinstance(read, list):
        if len(read) != 1:
            what = (
                f"holds {len(read)} outputs, but a reward is for one"
                if read
                else "is an empty list"
            )
            return Unreadable(f"The output {what}.")
        (read,) = read
    if isinstance(read, Unreadable):
        return read
    return {"item": item, "model_sample" if isinstance(read, str) else "sample": read}


def _plain_output(output: Any, columns: Columns) -> Any:
    if isinstance(output, Mapping):
        return columns.plain(output)
    if isinstance(output, (list, tuple)):
        return [_plain_output(one, columns) for one in output]
    return plain(output)


def plain_row(row: Any, columns: Columns) -> Any:
    """A row for the engine; one whose item is no object is the row's own fault."""
    if not isinstance(row, Mapping):
        return row
    try:
        if row.get("item") is None:
            return columns.plain(row)
        others = {key: value for key, value in row.items() if key != "item"}
        return {"item": _item_of(row["item"], columns), **columns.plain(others)}
    except NotJson as error:
        return Unreadable(f"The row holds {error}, which has no JSON form.")
    except InvalidRow as error:
        return Unreadable.by(error)


def _item_of(item: Any, columns: Columns) -> dict[str, Any]:
    """An item as JSON values.

    Raises:
        InvalidRow: it is no object.
        NotJson: its keys have no JSON form.
    """
    if type(item) is dict and is_plain(item):
        return item
    if item is None:
        return {}
    read = _json_object(item) if isinstance(item, str) else item
    if dataclasses.is_dataclass(read) and not isinstance(read, type):
        read = dataclasses.asdict(read)
    elif hasattr(read, "model_dump"):
        read = read.model_dump(mode="json")
    elif type(read).__name__ == "Series" and hasattr(read, "to_dict"):
        read = read.to_dict()
    if not isinstance(read, Mapping):
        what = "text, and not the JSON of an object" if isinstance(item, str) else kind_of(item)
        raise InvalidRow(f"The item must be an object, but it is {what}.")
    return columns.plain(read)


def _json_object(text: str) -> Any:
    """The object that a text is the JSON of, also as Python writes it, with NaN; None for another text."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def is_text_row(row: Any) -> bool:
    """Whether a row is an item of plain values with a text; most are."""
    return (
        type(row) is dict
        and len(row) == len(_TEXT_ROW)
        and type(row.get("model_sample")) is str
        and type(item := row.get("item")) is dict
        and is_plain(item)
    )
