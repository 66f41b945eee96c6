"""Rows of the hosted evals: output items of the API, and lines of the file that the dashboard exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput
from graders_engine.language.scope import scope_of
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
    holders = [one for one in (raw.get("sample"), raw) if isinstance(one, Mapping)]
    reason = next(filter(None, (error_in(one.get("error")) for one in holders)), "")
    for sample in (raw.get("sample"), stored):
        if isinstance(sample, Mapping) and (answer := _answer_in(sample, failed=bool(reason))):
            made = one_sample({**answer, "finish_reason": sample.get("finish_reason")})
            if not reason or _says_something(made):
                return item, made
        elif isinstance(sample, str) and sample:
            return item, {"output_text": sample}
    if reason:
        raise NoOutput(f"The hosted run has no output here, but an error: {reason}.")
    return item, {}


def _answer_in(sample: Mapping[str, Any], *, failed: bool) -> dict[str, Any]:
    """What of a hosted sample says what the model answered; the dashboard's trajectory is the prompt."""
    answer = {key: part for key, part in sample.items() if part and key not in _ABOUT_THE_RUN}
    if sample.get("output") is not None or sample.get("outputs") is not None:
        messages = answer.get("trajectory")
        last = messages[-1] if isinstance(messages, list) and messages else None
        if failed or not isinstance(last, Mapping) or last.get("role") != "assistant":
            answer.pop("trajectory", None)
    return answer


def _says_something(sample: Mapping[str, Any]) -> bool:
    """Whether a sample has a text, a tool call or audio; an empty message stands beside an error."""
    scope = scope_of(sample=dict(sample))
    return bool(
        scope.output_text
        or scope.sample_value("output_tools")
        or scope.sample_value("output_audio")
    )
