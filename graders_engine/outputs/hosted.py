"""Rows of the hosted evals: output items of the API, and lines of the file that the dashboard exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput
from graders_engine.outputs.forms import one_sample
from graders_engine.outputs.known_keys import ABOUT_THE_RUN
from graders_engine.outputs.responses import error_in
from graders_engine.outputs.samples import says_something, with_error

_FAILED = ("error", "errored", "failed", "canceled", "cancelled")
"""The values of `status` that say that there is no output; "fail" is what a grader said of one."""


def is_export(raw: Mapping[str, Any]) -> bool:
    """Whether a row is a line of the evals dashboard's export: one item of a run, and its grades."""
    return (
        isinstance(raw.get("run_id"), str)
        and "data_source_idx" in raw
        and isinstance(raw.get("item"), Mapping)
        and not {"grades", "passes", "sample"}.isdisjoint(raw)
    )


def hosted_item_and_sample(raw: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """The data source's item, and a sample made from the messages; None where there is no output.

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
    holders = [one for one in (raw.get("sample"), raw) if isinstance(one, Mapping)]
    reason = next(filter(None, (error_in(one.get("error")) for one in holders)), "")
    reason = reason or next((_failed(one) for one in reversed(holders) if _failed(one)), "")
    for sample in (raw.get("model_sample"), raw.get("sample"), stored):
        if isinstance(sample, Mapping) and (answer := _answer_in(sample, failed=bool(reason))):
            made = one_sample({**answer, "finish_reason": sample.get("finish_reason")})
            if not reason:
                return item, made
            if says_something(made):
                return item, with_error(made, reason)
        elif isinstance(sample, str) and sample:
            return item, {"output_text": sample}
    if reason:
        raise NoOutput(f"The hosted run has no output here, but an error: {reason}.")
    return item, None


def _answer_in(sample: Mapping[str, Any], *, failed: bool) -> dict[str, Any]:
    """What of a hosted sample says what the model answered; the dashboard's trajectory is the prompt."""
    answer = {key: part for key, part in sample.items() if part and key not in ABOUT_THE_RUN}
    if sample.get("output") is not None or sample.get("outputs") is not None:
        messages = answer.get("trajectory")
        last = messages[-1] if isinstance(messages, list) and messages else None
        if failed or not isinstance(last, Mapping) or last.get("role") != "assistant":
            answer.pop("trajectory", None)
    return answer


def _failed(holder: Mapping[str, Any]) -> str:
    status = holder.get("status")
    return f"its status is {status}" if status in _FAILED else ""
