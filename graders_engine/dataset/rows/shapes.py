"""What one raw row of a data set holds: from the shapes that people have to the rows that are graded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.outputs import completion_in, hosted_sample, output_of
from graders_engine.errors import InvalidRequest, InvalidRow
from graders_engine.language.scope import kind_of


class Piece(NamedTuple):
    """One row to grade; a raw row with several samples is several.

    Attributes:
        sample: its place among the samples of the raw row, from 0.
        group: what the samples of the raw row have in common: the row's `id`, or else its line; None
            where the raw row holds one sample.
        row: `{"item", "model_sample" | "sample"}`, or an `Unreadable`.
    """

    sample: int
    group: str | None
    row: Any


class Shape(Protocol):
    """How to take a raw row apart.

    Attributes:
        name: what a user calls it.
        plain: whether the raw row is the row to grade as it stands.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above
    @property
    def plain(self) -> bool: ...  # noqa: D102 - described above

    def pieces(self, raw: Any, line: int) -> Sequence[Piece]:
        """The rows to grade of one raw row, at least one; `line` is its number."""
        ...


class Rows:
    """`{"item", "model_sample" | "sample"}`, one sample a row."""

    name = "rows"
    plain = True

    def pieces(self, raw: Any, line: int) -> Sequence[Piece]:
        """The raw row."""
        return (Piece(0, None, raw),)


class _Taken:
    """A shape that takes the item and the output out of a raw row."""

    name = ""
    plain = False

    def pieces(self, raw: Any, line: int) -> Sequence[Piece]:
        """One for each sample; what cannot be taken apart is one that says why."""
        if isinstance(raw, Unreadable):
            return (Piece(0, None, raw),)
        try:
            if not isinstance(raw, Mapping):
                raise InvalidRow(f"A row must be an object, but this is {kind_of(raw)}.")
            item, output = self.taken(raw)
            return _pieces(item, output_of(output), raw.get("id"), line)
        except InvalidRow as error:
            return (Piece(0, None, Unreadable(str(error))),)

    def taken(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item, and the output in any form that `outputs.output_of` knows.

        Raises:
            InvalidRow: there is no output to take.
        """
        raise NotImplementedError


def _pieces(item: Any, output: Any, own_id: Any, line: int) -> Sequence[Piece]:
    """The rows to grade for one item; a list of outputs makes a group, even of one."""
    if not isinstance(output, list):
        return (Piece(0, None, _row(item, output)),)
    if not output:
        raise InvalidRow("The list of samples is empty: there is nothing to grade.")
    group = str(line if own_id is None else own_id)
    return [Piece(place, group, _row(item, one)) for place, one in enumerate(output)]


def _row(item: Any, output: Any) -> Any:
    if isinstance(output, Unreadable):
        return output
    return {"item": item, "model_sample" if isinstance(output, str) else "sample": output}


class Samples(_Taken):
    """Like `Rows`, but with a list of samples: in `samples`, `model_samples`, `model_sample` or `sample`."""

    name = "samples"

    def taken(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item and whatever stands for the samples."""
        given = [key for key in _SAMPLE_KEYS if raw.get(key) is not None]
        if len(given) != 1:
            what = f"has both `{given[0]}` and `{given[1]}`" if given else "has no samples"
            raise InvalidRow(f"The row {what} ({_keys(raw)}).")
        item, reference = raw.get("item"), raw.get("reference_answer")
        if item is None and reference is not None:
            item = {"reference_answer": reference}
        return item, raw[given[0]]


class Flat(_Taken):
    """The output in one field; the other fields are the item.

    Args:
        field: the field with the output.
    """

    name = "flat"

    def __init__(self, field: str) -> None:
        self.field = field

    def taken(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The other fields, and the field."""
        if self.field not in raw:
            raise InvalidRow(f"The row has no field `{self.field}` ({_keys(raw)}).")
        item = {key: value for key, value in raw.items() if key != self.field}
        return item, raw[self.field]


class Evals(_Taken):
    """Output items of the hosted evals: `datasource_item`, and `sample` with the messages put out.

    An output item without an output (a run over stored data has none) is graded with an empty sample:
    the graders of such a run look at the item.
    """

    name = "evals"

    def taken(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The data source's item, and a sample made from the messages."""
        item, given = raw.get("datasource_item"), None
        # Some runs wrap the item as their data file does.
        if isinstance(item, Mapping) and "item" in item and not set(item) - {"item", "sample"}:
            item, given = item["item"], item.get("sample")
        return item, hosted_sample(raw.get("sample")) or given or {}


class Chat(_Taken):
    """A chat completion, or a line of the Batch API's output; each of its `choices` is a sample.

    The item is the row's `item`, or else what stands beside the completion.
    """

    name = "chat"

    def taken(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """What stands beside the completion, and the row, where `output_of` finds it again."""
        _, beside = completion_in(raw)
        return raw.get("item", beside), raw


ROWS = Rows()
SAMPLES = Samples()
BY_NAME: dict[str, Shape] = {shape.name: shape for shape in (ROWS, SAMPLES, Evals(), Chat())}
"""The shapes that need no further word; `flat` needs the field with the output."""
NAMES = (*BY_NAME, Flat.name)

_SAMPLE_KEYS = ("samples", "model_samples", "model_sample", "sample")


def shape_named(name: str, sample_field: str | None = None) -> Shape:
    """The shape of this name.

    Raises:
        InvalidRequest: there is none, or `flat` has no field, or another one has.
    """
    if name not in NAMES:
        raise InvalidRequest(f"There is no shape '{name}'. There are: {', '.join(NAMES)}.")
    if (name == Flat.name) != (sample_field is not None):
        raise InvalidRequest("The shape 'flat', and no other, needs the field with the output.")
    return BY_NAME[name] if sample_field is None else Flat(sample_field)


def detect(raw_rows: Sequence[Any], sample_field: str | None = None) -> Shape:
    """The shape of a data set, by its first rows.

    Args:
        raw_rows: the first rows, `Unreadable` ones among them.
        sample_field: the field with the output, where a user named one: the rows are flat then.

    Raises:
        InvalidRequest: the rows have no shape that is known; it says which keys they have.
    """
    if sample_field is not None:
        return Flat(sample_field)
    objects = [raw for raw in raw_rows if isinstance(raw, Mapping)]
    found = [name for raw in objects if (name := _shape_of(raw))]
    if found:
        # One row with several samples is enough: the shape for those takes single ones, too.
        several = {"rows", "samples"} <= set(found)
        return SAMPLES if several else BY_NAME[found[0]]
    if objects:
        raise InvalidRequest(_unknown(objects[0]))
    return ROWS


def _shape_of(raw: Mapping[str, Any]) -> str:
    if "datasource_item" in raw:
        return "evals"
    several = any(isinstance(raw.get(key), list) for key in _SAMPLE_KEYS)
    if several or "samples" in raw or "model_samples" in raw:
        return "samples"
    completion, _ = completion_in(raw)
    if completion is not None and ("sample" not in raw or len(completion["choices"]) > 1):
        return "chat"
    if "custom_id" in raw and "response" in raw:  # a line of the Batch API whose request failed
        return "chat"
    given = raw.get("model_sample") is not None or raw.get("sample") is not None
    return "rows" if given else ""


def _unknown(raw: Mapping[str, Any]) -> str:
    what = (
        "`messages` but no model output"
        if isinstance(raw.get("messages"), list)
        else "neither `model_sample` nor `sample`"
    )
    return (
        f"The rows have {what} ({_keys(raw)}). Name the field with the model's output "
        "(--sample-field NAME), or join the rows with a file of outputs (--outputs FILE)."
    )


def _keys(raw: Mapping[str, Any]) -> str:
    return "its keys: " + (", ".join(map(str, raw)) or "none")
