"""Shapes of raw rows, and how the rows to grade are taken out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from graders_engine.dataset.rows.no_output import why_no_output
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import InvalidRequest, InvalidRow, UnknownForm
from graders_engine.language.scope import kind_of
from graders_engine.language.spelling import nearest
from graders_engine.outputs.completions import OBJECTS, completion_in, is_completion
from graders_engine.outputs.foreign import require_not_printed
from graders_engine.outputs.forms import output_of
from graders_engine.outputs.hosted import hosted_item_and_sample, is_export
from graders_engine.outputs.row_scope import scope_reader
from graders_engine.outputs.rows import KEPT_FIELD, item_beside
from graders_engine.outputs.several import SAMPLES_IN, item_and_samples, keys_of, rows_to_grade
from graders_engine.outputs.unreadable import Unreadable


class Shape(Protocol):
    """How the rows to grade are taken out of a raw row.

    Attributes:
        name: as in the option `--shape`.
        plain: whether a raw row is itself the row to grade; `split` then need not be called.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above
    @property
    def plain(self) -> bool: ...  # noqa: D102 - described above

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        """The rows to grade of one raw row, at least one: `{"item", "model_sample" | "sample"}` each."""
        ...


class Rows:
    """`{"item", "model_sample" | "sample"}`, one sample a row."""

    name = "rows"
    plain = True

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        """The raw row."""
        return (ref,)


class _ItemAndOutput:
    """A shape with an item and an output, which may be several samples."""

    name = ""
    plain = False
    may_lack_output = False

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        """A row for each sample; a raw row without the shape becomes an `Unreadable` with the reason."""
        raw = ref.row
        if isinstance(raw, Unreadable):
            return (ref,)
        try:
            if not isinstance(raw, Mapping):
                raise InvalidRow(f"A row must be an object, but this is {kind_of(raw)}.")
            item, output = self.item_and_output(raw)
            read = None if output is None and self.may_lack_output else output_of(output)
            return _split_samples(ref, item, read, raw.get("id"))
        except InvalidRow as error:
            return (RowRef(ref.line, Unreadable.by(error), ref.end),)

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item, and the output in any form that `outputs.output_of` knows.

        Raises:
            InvalidRow: there is no output.
        """
        raise NotImplementedError


def _split_samples(ref: RowRef, item: Any, output: Any, row_id: Any) -> Sequence[RowRef]:
    """The rows to grade for one item; a list of outputs makes a group, even of one."""
    rows = rows_to_grade(item, output)
    if not isinstance(output, list):
        return (RowRef(ref.line, rows[0], ref.end),)
    group = str(ref.line if row_id is None else row_id)
    return [RowRef(ref.line, row, ref.end, sample, group) for sample, row in enumerate(rows, 1)]


class Samples(_ItemAndOutput):
    """Like `Rows`, with a list of samples in `samples`, `model_samples`, `model_sample` or `sample`."""

    name = "samples"

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item, and the value of the key that holds the samples."""
        return item_and_samples(raw)


class Flat(_ItemAndOutput):
    """The output is in one field of the row, and the row is the item.

    Items are compared without the field: rows of one prompt have equal items.

    Args:
        field: the field with the output.
    """

    name = "flat"

    def __init__(self, field: str) -> None:
        self.field = field

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The other fields, and the value of the field."""
        if self.field not in raw:
            raise InvalidRow(f"The row has no field `{self.field}` ({keys_of(raw)}).")
        item = {key: value for key, value in raw.items() if key != self.field}
        return item, raw[self.field]

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        """A row for each sample, which also has the field with this sample in its item."""
        refs = super().split(ref)
        for one in refs:
            row = one.row
            if isinstance(row, dict):
                sample = row.get("model_sample", row.get("sample"))
                row[KEPT_FIELD] = {self.field: sample if one.sample else ref.row[self.field]}
        return refs


class Evals(_ItemAndOutput):
    """Rows of the hosted evals: output items of the API, and lines of the file that the dashboard exports.

    An output item has `datasource_item`, and `sample` with the messages in `output`; an exported line has
    `item`, and `sample` with the messages in `outputs`. A row without an output and without an error (as in a
    run over stored data) has no sample: the graders of such a run use the item only.
    """

    name = "evals"
    may_lack_output = True

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The data source's item, and a sample made from the messages or None.

        Raises:
            NoOutput: there is an error instead of an output.
        """
        return hosted_item_and_sample(raw)


class Chat(_ItemAndOutput):
    """A chat completion, a response, or a line of the Batch API's output; each of `choices` is a sample.

    The item is the row's `item`, or else the fields next to the completion.
    """

    name = "chat"

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item, and the completion; or the whole row, whose request may have failed."""
        if any(raw.get(key) is not None for key in SAMPLES_IN):
            return item_and_samples(raw)
        answer, others = completion_in(raw)
        item = others if raw.get("item") is None else raw["item"]
        return item, raw if answer is None or "custom_id" in raw else answer


class Items(_ItemAndOutput):
    """Rows without an output, such as those of fine-tuning: the item is `item`, or the whole row."""

    name = "items"
    may_lack_output = True

    def item_and_output(self, raw: Mapping[str, Any]) -> tuple[Any, Any]:
        """The item, and no sample."""
        return item_beside(raw), None


ROWS = Rows()
SAMPLES = Samples()
ITEMS = Items()
BY_NAME: dict[str, Shape] = {shape.name: shape for shape in (ROWS, SAMPLES, Evals(), Chat(), ITEMS)}
"""The shapes without options; `flat` needs the field with the output."""
NAMES = (*BY_NAME, Flat.name)


def shape_named(name: str, sample_field: str | None = None) -> Shape:
    """The shape of this name.

    Raises:
        InvalidRequest: there is no such shape, or `flat` has no field, or another shape has one.
    """
    if name not in NAMES:
        raise InvalidRequest(f"There is no shape '{name}'. There are: {', '.join(NAMES)}.")
    if (name == Flat.name) != (sample_field is not None):
        raise InvalidRequest("The shape 'flat', and no other, needs the field with the output.")
    return BY_NAME[name] if sample_field is None else Flat(sample_field)


def without_outputs(shape: Shape) -> bool:
    """Whether the rows of a shape have no model outputs."""
    return isinstance(shape, Items)


def detect(
    raw_rows: Sequence[Any],
    sample_field: str | None = None,
    *,
    outputs_needed: bool = True,
    items_alone: bool = False,
) -> Shape:
    """Detect the shape of a data set from its first rows.

    Args:
        raw_rows: the first rows; some may be `Unreadable`.
        sample_field: the field with the output, if the user named one: the rows are then flat.
        outputs_needed: whether rows without an output are refused.
        items_alone: whether the grader reads nothing but the item. Rows with a completion or a response are
            items themselves then: a template may read `item.response`.

    Raises:
        InvalidRequest: the shape is unknown, or no row has the field; the message has the keys of a row.
    """
    objects = [raw for raw in raw_rows if isinstance(raw, Mapping)]
    if sample_field is not None:
        require_field(objects, sample_field, "--shape flat")
        return Flat(sample_field)
    found = [name for raw in objects if (name := _shape_of(raw))]
    if found:
        # One row with several samples is enough: that shape also allows single samples.
        several = {"rows", "samples"} <= set(found)
        shape = SAMPLES if several else BY_NAME[found[0]]
        return ITEMS if items_alone and isinstance(shape, Chat) else shape
    if objects and not outputs_needed:
        return ITEMS
    if objects:
        raise InvalidRequest(why_no_output(objects))
    return ROWS


def require_known_forms(raw_rows: Sequence[Any], shape: Shape) -> None:
    """Check that not every one of the first rows is in an unknown form.

    Args:
        raw_rows: these rows; nothing is checked where there are none.
        shape: how they are read.

    Raises:
        InvalidRequest: each of them is.
    """
    read = scope_reader(None)
    objects = [raw for raw in raw_rows if isinstance(raw, Mapping)]
    reasons: list[str] = []
    for line, raw in enumerate(objects, 1):
        for ref in shape.split(RowRef(line, raw)):
            try:
                require_not_printed(read(ref.row).output_text)
                return
            except UnknownForm as error:
                reasons.append(str(error))
            except InvalidRow:
                return
    if reasons:
        raise InvalidRequest(all_unknown(len(objects), "row", reasons[0]))


def all_unknown(count: int, what: str, reason: str) -> str:
    """Why a run is not begun whose first rows, or outputs, are all of an unknown form."""
    which = f"The first {what} cannot" if count == 1 else f"None of the first {count} {what}s can"
    return f"{which} be read: {reason}"


def require_field(objects: Sequence[Mapping[str, Any]], field: str, unchecked: str) -> None:
    """Check that one of the first rows has the field with the output.

    Args:
        objects: these rows; nothing is checked where there are none.
        field: its name.
        unchecked: the flag that leaves this check out.

    Raises:
        InvalidRequest: none has; the message has the keys of a row.
    """
    if not objects or any(field in raw for raw in objects):
        return
    keys = list(map(str, objects[0]))
    meant = nearest(field, keys)
    first = "The first row has" if len(objects) == 1 else f"The first {len(objects)} rows have"
    raise InvalidRequest(
        f"--sample-field {field}: {first} no field `{field}` ({keys_of(objects[0])})."
        + (f" Did you mean `{meant}`?" if meant else "")
        + (f" If only later rows have it, add {unchecked}." if unchecked else "")
    )


def _shape_of(raw: Mapping[str, Any]) -> str:
    if "datasource_item" in raw or is_export(raw):
        return "evals"
    several = any(isinstance(raw.get(key), list) for key in SAMPLES_IN)
    if several or "samples" in raw or "model_samples" in raw:
        return "samples"
    sample = raw.get("sample")
    if raw.get("model_sample") is not None or sample is not None:
        apart = isinstance(sample, Mapping) and is_completion(sample) and len(sample["choices"]) > 1
        return "chat" if apart and raw.get("model_sample") is None else "rows"
    failed = raw.get("object") in OBJECTS
    if failed or completion_in(raw)[0] is not None:
        return "chat"
    # A line of the Batch API whose request failed, or of a batch of Anthropic.
    return (
        "chat"
        if "custom_id" in raw and ("response" in raw or isinstance(raw.get("result"), Mapping))
        else ""
    )
