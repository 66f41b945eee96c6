"""`method.reinforcement.response_format`: in which form the model that is trained answers."""

from __future__ import annotations

from typing import Any

from graders_engine.body_fields import Fields
from graders_engine.errors import Mistake
from graders_engine.inference.chat_fields import FORMATS, read_json_schema
from graders_engine.training.schemas import read_schema


def read_response_format(config: Fields) -> dict[str, Any] | None:
    """The response format in the configuration of a reinforcement job, as sent; None without one.

    What only a grammar or the model's tokenizer can say is found while the job's files are validated.
    """
    chosen = config.fields("response_format")
    if chosen is None:
        return None
    kind = chosen.word("type", FORMATS, required=True)
    if kind == "json_schema":
        holder = chosen.fields("json_schema", required=True)
        if holder is not None:
            _read_holder(holder)
    if kind is not None:
        chosen.close()
    return config.object("response_format")


def _read_holder(holder: Fields) -> None:
    schema = read_json_schema(holder, required=True)
    holder.close()
    if schema is None:
        return
    try:
        read_schema(schema, "schema")
    except ValueError as error:
        path = holder.path("schema")
        holder.add(Mistake(f"Invalid '{path}': {error}", path, "invalid_value"))
