"""The body of `evals.runs.create`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from graders_engine.body_fields import Fields, fields_of
from graders_engine.evals.requests.not_kept import not_kept
from graders_engine.evals.requests.sampling import read_messages, read_sampling
from graders_engine.graders import mistakes
from graders_engine.language import strict_json

MAX_ITEMS = 50_000
"""Most items of one request; a file may have any number."""
MAX_VALUES = 1 << 20
"""Most commas of a request outside its items, or of one that has to be decoded at once."""
_SOURCES = {
    "jsonl": ("file_content", "file_id"),
    "completions": ("file_content", "file_id", "stored_completions"),
    "responses": ("file_content", "file_id", "responses"),
}
"""By the type of the data source: where its items may come from."""
_NOT_KEPT = {"stored_completions": "stored completions", "responses": "stored responses"}
_UNREAD = (msgspec.DecodeError, UnicodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run is made of.

    Attributes:
        name: its name; None where it is to get one.
        metadata: its key-value pairs.
        data_source: as it is on the wire, without the `content` of its source.
        rows: its items, as they were sent; None where a file has them. Each is a JSON value or its text.
        file_id: the file that has its items; empty where they were sent.
        model: the model that is asked; empty where the items have its answers.
    """

    name: str | None
    metadata: dict[str, str] | None
    data_source: dict[str, Any]
    rows: Sequence[Any] | None
    file_id: str
    model: str


def split_run(text: bytes) -> Any:
    """The JSON values of a body, but for the items in it: each of these stays a text until it is looked at.

    Decoding a long body at once would hold up all that the process does meanwhile.

    Raises:
        ValueError: the text is not JSON, or has too many values to decode at once.
    """
    try:
        body = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        outer = msgspec.json.decode(body.pop("data_source"), type=dict[str, msgspec.Raw])
        inner = msgspec.json.decode(outer.pop("source"), type=dict[str, msgspec.Raw])
        rows = msgspec.json.decode(inner.pop("content"), type=list[msgspec.Raw])
        source = {**_decoded(inner), "content": rows}
        return {**_decoded(body), "data_source": {**_decoded(outer), "source": source}}
    except (KeyError, *_UNREAD):
        return _decode(text)


def _decoded(fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    return {key: _decode(bytes(value)) for key, value in fields.items()}


def _decode(text: bytes) -> Any:
    if len(text) > MAX_VALUES and text.count(b",") > MAX_VALUES:
        raise ValueError(
            f"it has more than {MAX_VALUES} commas beside its items, or is not JSON that can be split"
        )
    return strict_json.decode(text)


def new_run(body: Any) -> NewRun:
    """Read the body of `evals.runs.create`; the rows in it are looked at by `RowCheck`.

    Raises:
        InvalidBody: with all mistakes.
    """
    made: NewRun = fields_of(body, _new_run)
    return made


def _new_run(body: Fields) -> NewRun:
    name, metadata = body.text("name"), body.metadata()
    given = body.object("data_source", required=True)
    fields = None if given is None else body.fields("data_source")
    kind = fields.word("type", tuple(_SOURCES), required=True) if fields else None
    if given is None or fields is None or kind is None:
        return NewRun(name, metadata, {}, None, "", "")
    source, rows, file_id = _source(fields, given, kind)
    data_source, model = {**given, "source": source}, ""
    if kind != "jsonl":
        model = _model(fields)
        read_messages(fields)
        sampling = read_sampling(fields, given, kind)
        if sampling is not None:
            data_source["sampling_params"] = sampling
    fields.close(_NO_MODEL if kind == "jsonl" else None)
    present = {key: value for key, value in data_source.items() if value is not None}
    return NewRun(name, metadata, present, rows, file_id, model)


_NO_MODEL = {
    key: f"Unknown parameter: 'data_source.{key}'. A jsonl source has the model's answers in its rows, under "
    "`sample`: to ask a model, use the type 'completions' or 'responses'."
    for key in ("model", "input_messages", "sampling_params")
}


def _model(fields: Fields) -> str:
    model = fields.text("model", required=True)
    if model is not None and not model.strip():
        fields.add(mistakes.invalid(fields.path("model"), "the name of a model is empty."))
    return model or ""


def _source(
    fields: Fields, given: dict[str, Any], kind: str
) -> tuple[dict[str, Any], Sequence[Any] | None, str]:
    """Where the items come from: the source on the wire, its rows, its file."""
    source = fields.fields("source", required=True)
    where = source.word("type", _SOURCES[kind], required=True) if source else None
    if source is None or where is None:
        return {}, None, ""
    if where in _NOT_KEPT:
        source.add(not_kept(source.path("type"), _NOT_KEPT[where]))
        return {}, None, ""
    rows, file_id = None, ""
    if where == "file_id":
        file_id = source.text("id", required=True) or ""
    else:
        rows = source.array("content", required=True, least=1, most=MAX_ITEMS)
    source.close()
    kept = {key: value for key, value in given["source"].items() if key in ("type", "id")}
    return kept, rows, file_id
