"""The bodies of requests, split into a grader and its rows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from typing import Any

import msgspec

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.language import strict_json
from graders_engine.server.responses import Refused

ABSENT = msgspec.Raw(b"null")
MAX_GRADER_BYTES = 4 << 20
"""Longest grader, as JSON; a python source may have 256 KiB, and escapes can make it six times as long."""

MAX_ROWS = 500_000
"""Most rows of one request; the longest body that the server takes by default has fewer real ones."""
MAX_VALUES = 4 << 20
"""Most commas in a body of rows: splitting it holds up the server for 60 ns each."""
MAX_VALUES_READ = 1 << 20
"""Most commas in a body that the standard library has to read, which takes five times as long."""


class RunBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request to grade one row; the grader is not decoded: its text is the key in the cache."""

    grader: msgspec.Raw
    model_sample: Any = None
    item: Any = None
    sample: Any = None
    reference_answer: Any = None


class _RawRunBody(msgspec.Struct, forbid_unknown_fields=True):
    """The same with every value left as text, so that its length is known before it is decoded."""

    grader: msgspec.Raw
    model_sample: msgspec.Raw = ABSENT
    item: msgspec.Raw = ABSENT
    sample: msgspec.Raw = ABSENT
    reference_answer: msgspec.Raw = ABSENT


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request to grade many rows; each is decoded, or refused, on its own."""

    grader: msgspec.Raw
    rows: list[msgspec.Raw]


class ValidateBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request to check a grader."""

    grader: msgspec.Raw


_ROW_KEYS = ("model_sample", "item", "sample", "reference_answer")
_UNREAD = (msgspec.DecodeError, UnicodeError, RecursionError)
_run = msgspec.json.Decoder(RunBody).decode
_raw_run = msgspec.json.Decoder(_RawRunBody).decode
_batch = msgspec.json.Decoder(BatchBody).decode
_validate = msgspec.json.Decoder(ValidateBody).decode


def run_body(body: bytes, max_row_bytes: int) -> RunBody:
    """Split the body of a run.

    Raises:
        Refused: it is not JSON, not such an object, or the row in it is too long.
    """
    if len(body) <= max_row_bytes:
        with contextlib.suppress(*_UNREAD):
            return _run(body)
    try:
        raw = _raw_run(body)
    except _UNREAD as error:
        parts = _parts(body, ("grader",), _ROW_KEYS, error)
        raw = _RawRunBody(**{key: _text(part) for key, part in parts.items()})
    texts = [bytes(getattr(raw, key)) for key in _ROW_KEYS]
    if mistake := too_long("item", sum(map(len, texts)), max_row_bytes):
        raise Refused(413, mistake)
    try:
        return RunBody(raw.grader, *map(strict_json.decode, texts))
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_body(str(error))) from None


def batch_body(body: bytes) -> BatchBody:
    """Split the body of a batch.

    Raises:
        Refused: it is not JSON, not such an object, or has too many rows.
    """
    if len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES:
        text = f"Invalid body: it has more than {MAX_VALUES} commas; send the rows in several requests."
        raise Refused(413, Mistake(text, "rows", "too_many_rows"))
    try:
        batch = _batch(body)
    except _UNREAD as error:
        parts = _parts(body, ("grader", "rows"), (), error)
        if not isinstance(parts["rows"], list):
            raise Refused(400, mistakes.invalid_type("rows", "an array", parts["rows"])) from None
        batch = BatchBody(_text(parts["grader"]), [_text(row) for row in parts["rows"]])
    if len(batch.rows) > MAX_ROWS:
        text = (
            f"Invalid 'rows': there are {len(batch.rows)}; at most {MAX_ROWS} are taken at a time."
        )
        raise Refused(413, Mistake(text, "rows", "too_many_rows"))
    return batch


def validate_body(body: bytes) -> ValidateBody:
    """Split the body of a validation.

    Raises:
        Refused: it is not JSON, or not such an object.
    """
    try:
        return _validate(body)
    except _UNREAD as error:
        return ValidateBody(_text(_parts(body, ("grader",), (), error)["grader"]))


def too_long(param: str, size: int, max_bytes: int) -> Mistake | None:
    """The mistake in a row of this many bytes, if it is too long."""
    if size <= max_bytes:
        return None
    text = f"Invalid '{param}': with its sample it is {size} bytes of JSON; at most {max_bytes} are taken."
    return Mistake(text, param, "row_too_large")


def _parts(
    body: bytes, needed: Collection[str], optional: Collection[str], because: Exception
) -> dict[str, Any]:
    """The values in a body that msgspec refuses, and why; the standard library can read some of these.

    Raises:
        Refused: it is not JSON either, not an object of these keys, or holds too much for that.
    """
    if len(body) > MAX_VALUES_READ and body.count(b",") > MAX_VALUES_READ:
        raise Refused(400, mistakes.unreadable_body(str(because)))
    try:
        value = strict_json.decode(body)
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_json(body, error)) from None
    if not isinstance(value, dict):
        raise Refused(400, mistakes.invalid_type("body", "an object", value))
    for key in needed:
        if key not in value:
            raise Refused(400, mistakes.missing(key))
    known = (*needed, *optional)
    for key in value:
        if key not in known:
            raise Refused(400, mistakes.unknown(key, key, known))
    return value


def _text(value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(json.dumps(value).encode())
    except RecursionError:
        raise Refused(400, mistakes.unreadable_body("it nests too deep")) from None
