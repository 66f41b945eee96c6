"""By which key rows and outputs belong together, where the user named none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from graders_engine.dataset.rows.records import Records
from graders_engine.errors import InvalidRequest

CUSTOM_ID = "custom_id"
"""The key of the Batch API: its output comes in any order, and failed requests are in another file."""
_IDS = (
    "id", "row_id", "item_id", "example_id", "sample_id", "task_id", "question_id", "prompt_id", "request_id",
    "uid", "uuid", "idx", "index", "data_source_idx",
)  # fmt: skip
"""Keys that rows and outputs may have an id under."""
_OF_THE_ANSWER = ("chatcmpl", "cmpl-", "resp_", "msg_", "batch_req", "gen-")
"""How ids begin that an API gives to its answers."""


class JoinKey(NamedTuple):
    """How to join rows with outputs.

    Attributes:
        on: the key that both have; empty to join them by position.
        same: a key whose values must then be equal in each position; empty for none.
    """

    on: str = ""
    same: str = ""


def value_at(row: Any, key: str) -> Any:
    """The value of a key in a row, or else in its item, or else at a dotted path; None without one."""
    if not isinstance(row, Mapping):
        return None
    item = row.get("item")
    for holder in (row, item):
        if isinstance(holder, Mapping) and holder.get(key) is not None:
            return holder[key]
    found: Any = row
    for step in key.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def find_join_key(rows: Records, outputs: Records) -> JoinKey:
    """How to join, from the first rows and outputs.

    Raises:
        InvalidRequest: by position, rows would get the outputs of others; the message says what to do.
    """
    heads = rows.head(), outputs.head()
    if any(isinstance(raw, Mapping) and CUSTOM_ID in raw for raw in heads[1]):
        if any(value_at(raw, CUSTOM_ID) is not None for raw in heads[0]):
            return JoinKey(CUSTOM_ID)
        raise InvalidRequest(_by_custom_id(rows, outputs, heads[0]))
    for key in _IDS:
        ids = [(_id(row, key), _id(output, key)) for row, output in zip(*heads, strict=False)]
        known = [(ours, theirs) for ours, theirs in ids if ours and theirs]
        theirs = [output for _, output in known]
        if not known or len(set(theirs)) < len(theirs):
            continue
        differing = next((pair for pair in known if pair[0] != pair[1]), None)
        if differing is None:
            return JoinKey(same=key)
        if _any_in({ours for ours, _ in known}, theirs, outputs, key):
            raise InvalidRequest(
                f"Rows and outputs both have `{key}`, but in another order: where a row of {rows.path} has "
                f"{differing[0]}, {outputs.path} has {differing[1]}. Join them by it: --join-on {key}."
            )
    return JoinKey()


def _by_custom_id(rows: Records, outputs: Records, head: list[Any]) -> str:
    keys = next((", ".join(map(str, raw)) for raw in head if isinstance(raw, Mapping)), "none")
    return (
        f"{outputs.path} has lines of the Batch API, which come in any order and without those of failed "
        f"requests, so they cannot be joined by position. Pass --join-on KEY={CUSTOM_ID}, where KEY is the "
        f"key with these ids in the rows of {rows.path} (their keys: {keys}); or "
        f"add the `{CUSTOM_ID}` of each request to its row."
    )


def _id(raw: Any, key: str) -> str:
    found = value_at(raw, key)
    if not isinstance(found, (str, int)) or isinstance(found, bool):
        return ""
    text = str(found)
    return "" if text.startswith(_OF_THE_ANSWER) else text


def _any_in(ours: set[str], theirs: list[str], outputs: Records, key: str) -> bool:
    """Whether some of the rows' ids are among those of the outputs, which are then of the same kind."""
    if not ours.isdisjoint(theirs):
        return True
    return not outputs.once and any(found in ours for found in _ids(outputs, key))


def _ids(outputs: Records, key: str) -> Iterator[str]:
    return (_id(ref.row, key) for ref in outputs.read())
