"""By which key rows and outputs belong together, where the user named none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.dataset.rows.join_order import why_in_another_order
from graders_engine.dataset.rows.join_shared import (
    comparable,
    keys_of_outputs,
    quoted,
    telling,
    value_at,
)
from graders_engine.dataset.rows.records import Records
from graders_engine.errors import InvalidRequest
from graders_engine.urls import Location

CUSTOM_ID = "custom_id"
"""The key of the Batch API: its output comes in any order, and failed requests are in another file."""
_IDS = (
    "id", "row_id", "item_id", "example_id", "sample_id", "task_id", "question_id", "prompt_id", "request_id",
    "uid", "uuid", "idx", "index", "data_source_idx", "qid", "key",
)  # fmt: skip
"""Keys that rows and outputs may have an id under."""
_JUDGED = frozenset(
    {"answer", "category", "choice", "class", "correct", "expected", "extracted", "final_answer", "gold",
     "label", "pred", "predicted", "prediction", "reference", "score", "solution", "target"}
)  # fmt: skip
"""Keys under which an output may have a value of its own, made of the model's answer: one that is not the
row's shows nothing."""
_MAX_SAME = 3


class JoinKey(NamedTuple):
    """How to join rows with outputs.

    Attributes:
        on: the key that both have; empty to join them by position.
        same: keys of which one must then be equal in each position; empty for none.
        note: what to say of it; empty for nothing.
    """

    on: str = ""
    same: tuple[str, ...] = ()
    note: str = ""

    def mismatch(self, row: Any, output: Any) -> str:
        """Why a row and the output in its place do not belong together; empty if nothing shows it."""
        reason = ""
        for key in self.same:
            ours, theirs = comparable(row, key), comparable(output, key)
            if ours and theirs:
                if ours == theirs:
                    return ""
                reason = reason or _differ(row, output, key)
        return reason


def _differ(row: Any, output: Any, key: str) -> str:
    ours, theirs = quoted(row, key), quoted(output, key)
    if not ours or not theirs:
        return f"The output in this place has another `{key}` than the row: {_by_an_id()}."
    return (
        f"The output in this place has the `{key}` {theirs}, but the row has {ours}: join them with "
        f"--join-on {key}."
    )


def _by_an_id() -> str:
    return "give rows and outputs an id, and join them by it: --join-on id"


class _Values(NamedTuple):
    """The values of a key in the first rows and outputs, where both have one."""

    key: str
    pairs: list[tuple[str, str]]
    first_differing: int
    """The place of the first pair that is not equal; -1 if all are."""

    @property
    def is_id(self) -> bool:
        name = self.key.rpartition(".")[2].lower()
        return name in _IDS or name.endswith(("_id", "uuid"))

    @property
    def differing(self) -> list[tuple[str, str]]:
        return [pair for pair in self.pairs if pair[0] != pair[1]]

    @property
    def judged(self) -> bool:
        return self.key.rpartition(".")[2] in _JUDGED

    def names_rows(self, rows: Sequence[Any]) -> bool:
        """Whether each row has a text or number of its own, by which it can be joined."""
        ours = [one for one, _ in self.pairs]
        return len(set(ours)) == len(ours) and all(
            quoted(row, self.key) for row in rows if value_at(row, self.key) is not None
        )

    def telling(self) -> bool:
        return all(telling([pair[side] for pair in self.pairs]) for side in (0, 1))


def find_join_key(rows: Records, outputs: Records, field: str | None = None) -> JoinKey:
    """How to join, from the first rows and outputs.

    Args:
        rows: the items.
        outputs: the model's outputs.
        field: the field of an output that has the model's text, if it is named.

    Raises:
        InvalidRequest: by position, rows would get the outputs of others; the message says what to do.
    """
    heads = rows.head(), outputs.head()
    if any(isinstance(raw, Mapping) and CUSTOM_ID in raw for raw in heads[1]):
        if any(value_at(raw, CUSTOM_ID) is not None for raw in heads[0]):
            return JoinKey(CUSTOM_ID)
        raise InvalidRequest(_by_custom_id(rows, outputs, heads[0]))
    keys = keys_of_outputs(heads[1], field)
    known = [found for key in keys if (found := _values(key, *heads))]
    known.sort(key=lambda found: (not found.is_id, found.judged, not found.names_rows(heads[0])))
    telling = [found for found in known if found.telling()]
    same = [found for found in telling if not found.differing and not found.judged]
    if all(found.is_id for found in same):  # which may be no more than the numbers of the lines
        differing = [found for found in telling if found.differing and not (same and found.is_id)]
        if moved := _first_moved(differing, rows, outputs):
            raise InvalidRequest(_in_another_order(moved, rows.path, outputs.path, heads))
    if not known and (reason := why_in_another_order(*heads, keys)):
        raise InvalidRequest(f"{outputs.path} cannot be joined by position: {reason}.")
    note = "" if known else _by_position(keys)
    return JoinKey(same=tuple(found.key for found in same[:_MAX_SAME]), note=note)


def _values(key: str, rows: Sequence[Any], outputs: Sequence[Any]) -> _Values | None:
    both = enumerate(zip(rows, outputs, strict=False))
    known = [(n, comparable(row, key), comparable(output, key)) for n, (row, output) in both]
    known = [one for one in known if one[1] and one[2]]
    place = next((n for n, ours, theirs in known if ours != theirs), -1)
    return _Values(key, [(ours, theirs) for _, ours, theirs in known], place) if known else None


def _first_moved(differing: list[_Values], rows: Records, outputs: Records) -> _Values | None:
    """The first key of which the values of the rows stand at other places of the outputs."""
    for found in differing:
        ours, theirs = map(set, zip(*found.pairs, strict=True))
        if _enough(found, sum(one in theirs for one, _ in found.differing)):
            return found
        if _enough(found, sum(one in ours for _, one in found.differing)):
            return found
    rest = [found for found in differing if not found.judged]
    for side, records in enumerate((outputs, rows)):
        if rest and not records.once and (moved := _found_later(rest, side, records)):
            return moved
    return None


def _enough(found: _Values, count: int) -> bool:
    """Whether so many values of the pairs that differ are found in the other file that it is no chance."""
    if found.is_id:
        return count > 0
    return count >= (3 if found.judged else 1) and 2 * count >= len(found.differing)


def _found_later(differing: list[_Values], side: int, records: Records) -> _Values | None:
    """The first key of which values of one file are found anywhere in the other, which is read for it."""
    wanted = [(found, {pair[side] for pair in found.differing}) for found in differing]
    counts = [0] * len(wanted)
    for ref in records.read():
        for n, (found, values) in enumerate(wanted):
            value = comparable(ref.row, found.key)
            if value in values:
                values.discard(value)
                counts[n] += 1
                if _enough(found, counts[n]):
                    return found
    return None


def _in_another_order(
    found: _Values, rows: Location, outputs: Location, heads: tuple[Sequence[Any], Sequence[Any]]
) -> str:
    key, place = found.key, found.first_differing
    ours, theirs = quoted(heads[0][place], key), quoted(heads[1][place], key)
    where = (
        f"where a row of {rows} has {ours}, {outputs} has {theirs}"
        if ours and theirs
        else f"row {place + 1} of {rows} has another than output {place + 1} of {outputs}"
    )
    named = found.names_rows(heads[0])
    remedy = f"join them by it: --join-on {key}" if named else _by_an_id()
    return (
        f"Rows and outputs both have `{key}`, but in another order: {where}. "
        f"{remedy[0].upper()}{remedy[1:]}."
    )


def _by_position(keys: Sequence[str]) -> str:
    """What to say where nothing shows that the outputs are in the order of the rows."""
    ids = next((key for key in keys if key.lower() in _IDS or key.endswith(("_id", "uuid"))), "")
    named = f"KEY={ids}" if ids else "KEY=OTHER"
    return (
        "rows and outputs are paired by position, line by line; "
        f"--join-on {named} joins them by a key" + (f" (the outputs have `{ids}`)" if ids else "")
    )


def _by_custom_id(rows: Records, outputs: Records, head: list[Any]) -> str:
    keys = next((", ".join(map(str, raw)) for raw in head if isinstance(raw, Mapping)), "none")
    return (
        f"{outputs.path} has lines of the Batch API, which come in any order and without those of failed "
        f"requests, so they cannot be joined by position. Pass --join-on KEY={CUSTOM_ID}, where KEY is the "
        f"key with these ids in the rows of {rows.path} (their keys: {keys}); or "
        f"add the `{CUSTOM_ID}` of each request to its row."
    )
