"""How a row of a data set is read: its item, and the model's output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.errors import NO_OUTPUT, InvalidRow, NoOutput
from graders_engine.language.scope import Scope, kind_of, scope_of
from graders_engine.outputs.foreign import require_not_printed
from graders_engine.outputs.forms import sample_scope
from graders_engine.outputs.responses import error_in
from graders_engine.outputs.rows import KEPT_FIELD, item_beside
from graders_engine.outputs.samples import plain_text
from graders_engine.outputs.texts import FIRST_OF_OBJECTS, has_signs, opened
from graders_engine.outputs.unreadable import Unreadable

ScopeOf = Callable[[Any], Scope]
"""Makes the scope of a data set's row; raises InvalidRow."""


def scope_reader(
    sample_field: str | None, reads_sample: Callable[[], bool] = lambda: True
) -> ScopeOf:
    """Reads rows: `{"item", "model_sample" | "sample"}`, or flat ones with the model's output in a field.

    Args:
        sample_field: this field; None for rows that are not flat.
        reads_sample: whether the grader reads the sample; if not, rows need none. It is asked only for a row
            that has none.
    """
    if sample_field is not None:
        return functools.partial(_flat_row, sample_field, reads_sample)

    def item_and_sample(row: Any) -> Scope:
        if type(row) is dict:
            item, text = row.get("item"), row.get("model_sample")
            if (
                item is not None
                and type(text) is str
                and not (text[:1] in FIRST_OF_OBJECTS and has_signs(text))
                and _MORE_KEYS.isdisjoint(row)
            ):
                return Scope(item, text)  # most rows
            sample = row.get("sample")
            if item is not None and text is None and type(sample) is dict:
                text = plain_text(sample)
                if text is not None and _OTHER_KEYS.isdisjoint(row):
                    return Scope(item, text, sample)
        elif not isinstance(row, Mapping):
            raise _not_a_row(row)
        return _scope_of_row(row, reads_sample)

    return item_and_sample


_OTHER_KEYS = frozenset(("reference_answer", KEPT_FIELD))
_MORE_KEYS = _OTHER_KEYS | {"sample", "error"}


def _scope_of_row(row: Mapping[str, Any], reads_sample: Callable[[], bool]) -> Scope:
    item = item_beside(row)
    if kept := row.get(KEPT_FIELD):
        item = {**item, **kept}
    try:
        return _with_sample(item, row)
    except InvalidRow as error:
        if not reads_sample():
            return Scope(item, "", absent=True)
        error.item = (item,)
        raise


def _with_sample(item: Any, row: Mapping[str, Any]) -> Scope:
    """The scope of a row with this item.

    Raises:
        InvalidRow: there is no sample, or none that can be read.
    """
    text = opened(row.get("model_sample"))
    sample = require_not_printed(opened(row.get("sample"), sample=True))
    if (sample is None and text and isinstance(text, Mapping)) or (
        text is None and isinstance(sample, str)
    ):
        text, sample = sample, text  # each is read in the place of the other
    if text is None and sample is None:
        raise InvalidRow(_no_output(row))
    if text == "" and sample is None and (reason := error_in(row.get("error"))):
        raise NoOutput(f"There is no output{NO_OUTPUT}{reason}.")
    return sample_scope(item, model_sample=text, sample=sample)


def _no_output(row: Mapping[str, Any]) -> str:
    if nulls := [f"`{key}`" for key in ("model_sample", "sample") if key in row]:
        return (
            f"There is no output: {' and '.join(nulls)} {'is' if len(nulls) == 1 else 'are'} null."
        )
    keys = ", ".join(map(str, row)) or "none"
    return (
        f"There is no output: the row has neither `model_sample` nor `sample` (its keys: {keys}). If the "
        "output is in another field, write it as `model_sample`, or name that field (--sample-field NAME, "
        "`sample_field=` in Python)."
    )


def _not_a_row(row: Any) -> InvalidRow:
    if isinstance(row, Unreadable):
        return row.error()
    return InvalidRow(f"A row must be an object, but this is {kind_of(row)}.")


def _flat_row(field: str, reads_sample: Callable[[], bool], row: Any) -> Scope:
    """The scope of a flat row, whose item is the whole row: graders may read the field there, too."""
    if not isinstance(row, Mapping):
        raise _not_a_row(row)
    item, output = row if type(row) is dict else dict(row), row.get(field)
    if output is None and not reads_sample():
        return Scope(item, "", absent=True)
    if field not in row:
        keys = ", ".join(map(str, row)) or "none"
        raise InvalidRow(f"The row has no field `{field}` (its keys: {keys}).")
    output = opened(output, sample=field == "sample")
    if isinstance(output, Mapping):
        return sample_scope(item, sample=output)
    return scope_of(item, model_sample=output)
