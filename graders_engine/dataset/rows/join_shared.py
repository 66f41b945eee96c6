"""Values that rows and outputs of two files both have: they show which belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from graders_engine.errors import InvalidRow
from graders_engine.language import strict_json
from graders_engine.outputs.forms import output_of

_ITEMS = ("item", "datasource_item")
"""Keys under which a row, or an output that repeats its row, has the item."""
_OF_THE_ANSWER = ("chatcmpl", "cmpl-", "resp_", "msg_", "batch_req", "gen-")
"""How ids begin that an API gives to its answers."""
_MAX_KEYS = 64
"""How many keys of the outputs are looked at."""
_MAX_QUOTED = 40
_LONG = 16
"""Characters from which a text is hardly the same for two rows by chance."""


def value_at(row: Any, key: str) -> Any:
    """The value of a key in a row, or else in its item, or else at a dotted path; None without one."""
    if not isinstance(row, Mapping):
        return None
    if (found := row.get(key)) is not None:
        return found
    items = [row[name] for name in _ITEMS if isinstance(row.get(name), Mapping)]
    if key in _ITEMS:
        return items[0] if items else row
    for item in items:
        if (found := item.get(key)) is not None:
            return found
    return next(filter(lambda one: one is not None, (_at(one, key) for one in (row, *items))), None)


def _at(row: Any, path: str) -> Any:
    if "." not in path:
        return None
    for step in path.split("."):
        row = row.get(step) if isinstance(row, Mapping) else None
    return row


def comparable(row: Any, key: str) -> str:
    """The value of a key as a text that is equal for equal values; empty without one.

    Of a conversation, what the model said last is left out: an output may have it in addition.
    """
    found = value_at(row, key)
    if isinstance(found, str):
        return "" if key.endswith("id") and found.startswith(_OF_THE_ANSWER) else found
    if found is None or isinstance(found, bool) or found in ([], {}):
        return ""
    if isinstance(found, (int, float)):
        return str(found)
    try:
        return strict_json.encode(_asked(found) or found).decode()
    except (TypeError, ValueError):
        return ""


def _asked(value: Any) -> list[Any]:
    """The messages of a conversation up to the user's last one; empty for something else."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        return []
    messages = [(one.get("role"), one.get("content")) for one in value]
    last = max((n for n, (role, _) in enumerate(messages) if role == "user"), default=-1)
    return [list(message) for message in messages[: last + 1]]


def keys_of_outputs(outputs: Sequence[Any], field: str | None) -> list[str]:
    """The keys of outputs, also within their items and one level deeper, but for those of the model's answer.

    Args:
        outputs: the first ones.
        field: the field with the answer, if it is named.
    """
    objects = [output for output in outputs if isinstance(output, Mapping)]
    answers = {field} if field is not None else {key for one in objects for key in answers_of(one)}
    found = dict.fromkeys(path for one in objects for path in _paths(one, answers))
    return list(found)[:_MAX_KEYS]


def answers_of(output: Mapping[str, Any]) -> Iterator[str]:
    """The keys under which an output has the model's answer: one with nothing else is still an output."""
    whole = _read(output)
    for key, value in islice(output.items(), _MAX_KEYS):
        alone = _read({key: value})
        if (
            alone is not None
            and not _asked(value)
            and (alone == whole or not isinstance(value, str))
        ):
            yield str(key)


def _read(output: Mapping[str, Any]) -> Any:
    try:
        return output_of(output)
    except InvalidRow:
        return None


def _paths(output: Mapping[str, Any], answers: set[str]) -> Iterator[str]:
    for key, value in output.items():
        name = str(key)
        if name in answers:
            continue
        yield name
        if isinstance(value, Mapping):
            prefix = "" if name in _ITEMS else f"{name}."
            yield from (f"{prefix}{inner}" for inner in islice(value, _MAX_KEYS))


def telling(values: Sequence[str]) -> bool:
    """Whether the values of a key differ so much from row to row that they show which row is which."""
    different = set(values)
    if any(len(value) >= _LONG for value in different) and len(different) > 1:
        return True
    return len(different) * 2 >= len(values)


def quoted(row: Any, key: str) -> str:
    """The value of a key as a message shows it; empty if it is no single text or number."""
    found = value_at(row, key)
    if not isinstance(found, (str, int, float)):
        return ""
    text = " ".join(str(found).split())
    return text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 1]}…"
