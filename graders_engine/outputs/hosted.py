"""Rows of the hosted evals: output items of the API, and lines of the file that the dashboard exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.outputs.forms import one_sample
from graders_engine.outputs.responses import error_in

_HOLDERS = (*SAMPLE_KEYS, "output", "outputs", "trajectory")


def is_export(raw: Mapping[str, Any]) -> bool:
    """Whether a row is a line of the evals dashboard's export: one item of a run, and its grades."""
    return (
        isinstance(raw.get("run_id"), str)
        and "data_source_idx" in raw
        and isinstance(raw.get("item"), Mapping)
        and not {"grades", "passes", "sample"}.isdisjoint(raw)
    )


def hosted_item_and_sample(raw: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The data source's item, and a sample made from the messages; an empty one where there is no output.

    Raises:
        NoOutput: there is an error instead of an output.
        InvalidRow: the sample has no known form.
    """
    item, stored = raw.get("datasource_item"), None
    if is_export(raw):
        item = raw["item"]
    # Some runs wrap the item as their data file does.
    if isinstance(item, Mapping) and "item" in item and not set(item) - {"item", "sample"}:
        item, stored = item["item"], item.get("sample")
    for sample in (raw.get("sample"), stored):
        if isinstance(sample, Mapping) and any(sample.get(key) for key in _HOLDERS):
            return item, one_sample(
                {key: value for key, value in sample.items() if key in _KEPT and value is not None}
            )
        if isinstance(sample, str) and sample:
            return item, {"output_text": sample}
    for holder in (raw.get("sample"), raw):
        if isinstance(holder, Mapping) and (reason := error_in(holder.get("error"))):
            raise NoOutput(f"The hosted run has no output here, but an error: {reason}.")
    return item, {}


_KEPT = (*_HOLDERS, "finish_reason", "object", "status", "incomplete_details")
"""The keys of a hosted sample that say what the model answered; the others describe the run."""
