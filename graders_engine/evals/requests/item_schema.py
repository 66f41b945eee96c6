"""The JSON Schema of an eval's items: what is wrong with it, and what is wrong with an item."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graders_engine.errors import InvalidRequest
from graders_engine.evals.requests.schema_cost import cost_of
from graders_engine.version import how_to_install

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

MAX_REASON_CHARS = 300
"""Longest reason why an item does not fit; it quotes the item."""


class ItemSchema:
    """Checks items against a schema.

    The schema is a user's: it can name no other document, neither a file nor an address, and its patterns are
    searched in linear time.

    Args:
        schema: the JSON Schema.

    Attributes:
        source: the JSON Schema.
        cost: what it costs to check an item.

    Raises:
        ValueError: it is no schema, or costs more than one may; the message is a sentence.
        InvalidRequest: the package that reads schemas is not installed.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        try:
            import jsonschema_rs
        except ImportError as error:
            raise InvalidRequest(
                f"Items are checked with a package that is not installed ({error.name}): "
                f"{how_to_install('server')}."
            ) from None
        self.source, self.cost = schema, cost_of(schema)
        try:
            self._validator = jsonschema_rs.validator_for(
                schema,
                offline=True,
                mask="the value",
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise ValueError(f"it is no JSON Schema: {_reason(error)}.") from None

    def fits(self, item: Any) -> bool:
        """Whether an item is as the schema says."""
        try:
            return self._validator.is_valid(item)
        except UnicodeEncodeError:
            return self._validator.is_valid(_without_halves(item))

    def faults(self, item: Any) -> Iterator[tuple[str, str]]:
        """(path, reason) of each fault of an item; the path begins with a dot or a bracket, or is empty."""
        try:
            errors = self._validator.iter_errors(item)
        except UnicodeEncodeError:
            errors = self._validator.iter_errors(_without_halves(item))
        for error in errors:
            yield _path(error), _reason(error)


def _without_halves(item: Any) -> Any:
    """An item with a question mark for each lone surrogate, which the validator cannot read."""
    text = json.dumps(item, ensure_ascii=False)
    return json.loads(text.encode("utf-8", "replace"))


def _path(error: ValidationError) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
    )


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "message", error)).rstrip(".")
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[:MAX_REASON_CHARS]}…"


_MESSAGE = {
    "type": "object",
    "properties": {
        "role": {"type": "string", "enum": ["assistant"]},
        "content": {"type": ["string", "array", "null"]},
        "refusal": {"type": ["string", "null"]},
        "tool_calls": {"type": ["array", "null"], "items": {"type": "object"}},
    },
    "required": ["role"],
}
_SAMPLE = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "choices": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "message": _MESSAGE,
                    "finish_reason": {"type": ["string", "null"]},
                },
                "required": ["message"],
            },
        },
        "output_text": {"type": "string"},
        "output_json": {},
        "output_tools": {"type": "array", "items": {"type": "object"}},
        "output_reasoning_summary": {"type": ["string", "null"]},
    },
    "required": ["model", "choices"],
}


def data_schema(item: dict[str, Any], *, with_sample: bool) -> dict[str, Any]:
    """The schema of an eval's rows, as the service answers it: of `item`, and of `sample` where asked for."""
    properties = {"item": item, "sample": _SAMPLE} if with_sample else {"item": item}
    return {"type": "object", "properties": properties, "required": [*properties]}


def item_schema(data_source_config: dict[str, Any]) -> dict[str, Any]:
    """The schema of the items of an eval; that of any object where the eval has none."""
    schema = data_source_config.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    item = properties.get("item") if isinstance(properties, dict) else None
    return item if isinstance(item, dict) else {"type": "object"}
