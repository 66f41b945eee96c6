"""The forms in which models' outputs are commonly stored, and rows that hold several of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import IOBase
from os import PathLike
from typing import Any

import msgspec

from graders_engine.compiled import Unreadable
from graders_engine.errors import InvalidRequest, InvalidRow, NoOutput
from graders_engine.language.scope import SAMPLE_KEYS, kind_of
from graders_engine.outcome import RowOutcome

_HOLDERS = ("model_sample", "sample", "samples", "model_samples", "output", "outputs", "text")
"""Keys under which an object may hold an output; the first one present counts."""
_MAX_DEPTH = 8
"""How many lists and objects may be around an output."""
_COMPLETION_KEYS = frozenset(
    {"choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"}
)


def output_of(value: Any, depth: int = 0) -> Any:
    """A text, a sample object, or a list of them, from an output in one of these forms.

    Text; a sample object; a chat completion or a line of the Batch API's output (several choices are
    several samples); a chat message; a list of chat messages (one sample: their last text); an object that
    holds one of these as `model_sample`, `sample`, `output` or `text`; a list of any of these (several
    samples; an `Unreadable` in place of an element that has no such form).

    Args:
        value: the output.
        depth: how many lists and objects are around it.

    Raises:
        InvalidRow: it has none of these forms.
    """
    if isinstance(value, (str, Unreadable)):
        return value
    if depth > _MAX_DEPTH:
        raise InvalidRow("The output nests too deep.")
    if isinstance(value, list):
        return _outputs_of_list(value, depth)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"The output must be text or an object, but it is {kind_of(value)}.")
    if _is_message(value):
        return from_messages([value])
    completion, _ = completion_in(value)
    if completion is not None:
        return samples_in(completion)
    if not value or any(key in value for key in SAMPLE_KEYS):
        return dict(value)
    for key in _HOLDERS:
        if value.get(key) is not None:
            return output_of(value[key], depth + 1)
    raise InvalidRow(_no_output(value))


def _outputs_of_list(values: list[Any], depth: int) -> Any:
    if values and all(map(_is_message, values)):
        return from_messages(values)
    outputs = (_output_or_reason(one, depth + 1) for one in values)
    return [one for output in outputs for one in (output if type(output) is list else [output])]


def _output_or_reason(value: Any, depth: int) -> Any:
    try:
        return output_of(value, depth)
    except InvalidRow as error:
        return Unreadable.by(error)


def _no_output(value: Mapping[str, Any]) -> str:
    failure = value.get("error") or _field_of(_field_of(value.get("response"), "body"), "error")
    if failure:
        message = str(_field_of(failure, "message") or failure).rstrip(".")
        return f"There is no output, but an error: {message}."
    return f"The output is an object that holds no output (its keys: {', '.join(map(str, value))})."


def completion_in(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """A chat completion within an object, or None, and the object's other fields.

    It may be the object itself, or its `response`, `response.body` (the Batch API) or `sample`.
    """
    if _is_completion(raw):
        drop = _COMPLETION_KEYS if raw.get("object") == "chat.completion" else {"choices"}
        return raw, {key: value for key, value in raw.items() if key not in drop}
    response, sample = raw.get("response"), raw.get("sample")
    others = {key: value for key, value in raw.items() if key not in ("response", "sample")}
    for completion in (response, sample, _field_of(response, "body")):
        if isinstance(completion, Mapping) and _is_completion(completion):
            return completion, others
    return None, others


def _is_completion(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, Mapping) and "message" in choice for choice in choices)
    )


def samples_in(completion: Mapping[str, Any]) -> Any:
    """The sample of a chat completion, or a list of them where it has several choices."""
    choices = completion["choices"]
    if len(choices) > 1:
        return [{"choices": [choice]} for choice in choices]
    return {key: completion[key] for key in SAMPLE_KEYS if key in completion}


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value and "choices" not in value


def from_messages(messages: Sequence[Mapping[str, Any]], finish: str = "stop") -> dict[str, Any]:
    """A sample from a model's messages: the last text, and all tool calls."""
    replies = [message for message in messages if message.get("role") in ("assistant", None)]
    texts = [message["content"] for message in replies if message.get("content")]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": texts[-1] if texts else None,
        "tool_calls": [call for message in replies for call in _list(message.get("tool_calls"))],
    }
    audio = [message["audio"] for message in replies if message.get("audio")]
    if audio:
        message["audio"] = audio[-1]
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def hosted_sample(sample: Any) -> dict[str, Any] | None:
    """A sample object from the `sample` of a hosted run's output item; None if it holds no output.

    Raises:
        InvalidRow: it holds an error instead of an output.
    """
    if not isinstance(sample, Mapping):
        return None
    ready = {key: sample[key] for key in SAMPLE_KEYS if sample.get(key) is not None}
    if "choices" in ready or "output_text" in ready:
        return ready
    finish = str(sample.get("finish_reason") or "stop")
    reason = error_in(sample.get("error"))
    for key in ("output", "outputs", "trajectory"):
        output = sample.get(key)
        messages = [part for part in _list(output) if isinstance(part, Mapping)]
        answered = bool(messages) and messages[-1].get("role") == "assistant" and not reason
        if key == "trajectory" and {"output", "outputs"} & sample.keys() and not answered:
            continue  # it is what the model was asked
        if messages:
            made = from_messages(messages, finish)
            if not reason or _says_something(made):
                return {**made, **ready}
        if isinstance(output, str) and output:
            return {"output_text": output, **ready}
    if reason:
        raise NoOutput(f"The hosted run has no output here, but an error: {reason}.")
    return None


def _says_something(made: Mapping[str, Any]) -> bool:
    """Whether a sample of `from_messages` has a text, a tool call or audio."""
    message = made["choices"][0]["message"]
    return any(message.get(key) for key in ("content", "tool_calls", "audio"))


def error_in(error: Any) -> str:
    """What an error says: its text, or its message or code; empty where there is none."""
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or ""
    return str(error or "").strip().rstrip(".")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _field_of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


SAMPLES_IN = ("samples", "model_samples", "model_sample", "sample")
"""The keys of a row that may hold a list of samples."""
_LISTS = (list, tuple)


def key_of_several(row: Mapping[str, Any]) -> str:
    """The key of a row that holds a list of samples, or is there for one; empty for a row of one sample."""
    # Most rows have none of these.
    if "samples" in row:
        return "samples"
    if "model_samples" in row:
        return "model_samples"
    if type(row.get("model_sample")) in _LISTS:
        return "model_sample"
    return "sample" if type(row.get("sample")) in _LISTS else ""


def item_and_samples(raw: Mapping[str, Any]) -> tuple[Any, Any]:
    """The item of a row, and the value of the key that holds its sample or samples.

    Raises:
        InvalidRow: no key does, or several do.
    """
    given = [key for key in SAMPLES_IN if raw.get(key) is not None]
    if len(given) != 1:
        what = f"has both `{given[0]}` and `{given[1]}`" if given else "has no samples"
        raise InvalidRow(f"The row {what} ({keys_of(raw)}).")
    item, reference = raw.get("item"), raw.get("reference_answer")
    if item is None and reference is not None:
        item = {"reference_answer": reference}
    return item, raw[given[0]]


def rows_to_grade(item: Any, output: Any) -> list[Any]:
    """A row to grade for each of an item's outputs, in a form that `output_of` returns.

    Raises:
        InvalidRow: it is an empty list.
    """
    if output == []:
        raise InvalidRow("The list of samples is empty: there is nothing to grade.")
    return [
        one
        if isinstance(one, Unreadable)
        else {"item": item, "model_sample" if isinstance(one, str) else "sample": one}
        for one in (output if isinstance(output, list) else [output])
    ]


def keys_of(raw: Mapping[str, Any], whose: str = "its") -> str:
    """The keys of a row, for messages."""
    return f"{whose} keys: " + (", ".join(map(str, raw)) or "none")


class SplitRows(Iterable[Any]):
    """Rows of which those with a list of samples are replaced by a row for each sample.

    Args:
        rows: the rows.
        sample_field: for flat rows, the field with the output or the list of them.

    Raises:
        InvalidRequest: `rows` is a text, a path, a single row, or cannot be iterated over.
    """

    def __init__(self, rows: Iterable[Any], sample_field: str | None) -> None:
        self._rows, self._field = _require_rows(rows), sample_field
        self._first: int | None = None
        self._places: deque[tuple[int, int | None]] = deque()

    def __iter__(self) -> Iterator[Any]:
        """The rows to grade."""
        split = self._split
        for index, row in enumerate(self._rows):
            samples = split(row)
            if samples is None:
                if self._first is not None:
                    self._places.append((index, None))
                yield row
                continue
            if self._first is None:
                self._first = index
            for number, one in samples:
                self._places.append((index, number))
                yield one

    def place(self, outcome: RowOutcome) -> RowOutcome:
        """The outcome of the next row to grade, with its place among the rows that were given."""
        if self._first is None or outcome.index < self._first:
            return outcome
        index, sample = self._places.popleft()
        return msgspec.structs.replace(outcome, index=index, sample=sample)

    def _split(self, row: Any) -> list[tuple[int | None, Any]] | None:
        """The numbers and rows of a row with a list of samples; None for other rows."""
        if type(row) is not dict and not isinstance(row, Mapping):
            return None
        field = self._field
        if not (key_of_several(row) if field is None else type(row.get(field)) in _LISTS):
            return None
        try:
            item, output = (None, row[field]) if field is not None else item_and_samples(row)
            output = output_of(list(output) if isinstance(output, tuple) else output)
            rows = rows_to_grade(item, output)
        except InvalidRow as error:
            return [(None, Unreadable.by(error))]
        if field is not None:
            outputs = output if isinstance(output, list) else [output]
            rows = [one if isinstance(one, Unreadable) else {**row, field: one} for one in outputs]
        return list(enumerate(rows, 1)) if isinstance(output, list) else [(None, rows[0])]


def _require_rows(rows: Iterable[Any]) -> Iterable[Any]:
    if isinstance(rows, (str, bytes, bytearray, PathLike, IOBase)):
        raise InvalidRequest(
            "`rows` must be rows, but this is a text, a path or an open file, which is not read here: pass "
            "`map(json.loads, open(path))`, or use `graders score` on the command line."
        )
    if isinstance(rows, Mapping):
        raise InvalidRequest("`rows` must be rows, but this is one object: pass `[row]`.")
    if hasattr(rows, "columns"):  # of pandas, pyarrow and polars
        raise InvalidRequest(
            "`rows` must be rows, but this is a table, which gives its columns: pass "
            "`table.to_dict('records')`, `table.to_pylist()` or `table.to_dicts()`."
        )
    if not hasattr(rows, "__iter__") and not hasattr(rows, "__getitem__"):
        asynchronous = hasattr(rows, "__aiter__")
        what = "an asynchronous iterator" if asynchronous else f"of type {type(rows).__name__}"
        raise InvalidRequest(
            f"`rows` must be rows, but this is {what}: pass a list, or any other iterable, of them."
        )
    return rows
