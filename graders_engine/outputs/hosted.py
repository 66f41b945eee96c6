"""Rows of the hosted evals: output items of the API, and lines of the file that the dashboard exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput
from graders_engine.outputs.forms import one_sample
from graders_engine.outputs.responses import error_in

_ABOUT_THE_RUN = frozenset(
    {
        "created_at", "error", "finish_reason", "id", "input", "max_completion_tokens", "max_tokens",
        "metadata", "model", "reasoning_effort", "response_format", "sampled_model_name",
        "sampled_model_params", "sampling_params", "seed", "temperature", "token_usage", "tools", "top_p",
        "usage",
    }
)  # fmt: skip
"""The keys of a hosted sample that do not say what the model answered."""


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
        if isinstance(sample, Mapping) and (
            answer := {
                key: part for key, part in sample.items() if part and key not in _ABOUT_THE_RUN
            }
        ):
            return item, one_sample({**answer, "finish_reason": sample.get("finish_reason")})
        if isinstance(sample, str) and sample:
            return item, {"output_text": sample}
    for holder in (raw.get("sample"), raw):
        if isinstance(holder, Mapping) and (reason := error_in(holder.get("error"))):
            raise NoOutput(f"The hosted run has no output here, but an error: {reason}.")
    return item, {}
