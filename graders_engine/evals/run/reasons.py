"""Why items of a run are errored, counted apart: rows that lack something, and outages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from graders_engine.evals.run.items import OutputItems
from graders_engine.outcome import Flag
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

ERRORED = "no sample, an item that lacks what a criterion reads, or an outage; in no rate"
"""What errored items are."""
_READ = 1_000
"""So many errored items are read: each takes a while."""
_SHOWN = 5
_SAMPLES = ("no_sample", "no_output", "unknown_form", "invalid_item")
_VARIABLE = re.compile(r"`(item[^`]*)`: ")


def reasons_of(store: Store, run: StoredRun) -> list[str]:
    """Why items are errored, the most frequent reason first: "4 rows lack item.a"; empty where none is.

    Args:
        store: where the run is.
        run: the run.
    """
    found = OutputItems(store).page(run, Page(None, _READ), "error")
    counted = Counter(_reason(item) for item in found.data)
    lines = [
        f"{count:,} {singular if count == 1 else plural}"
        for (singular, plural), count in counted.most_common(_SHOWN)
    ]
    if others := counted.total() - sum(count for _, count in counted.most_common(_SHOWN)):
        lines.append(f"{others:,} for other reasons")
    if found.has_more:
        lines.append(f"and others: these are of the first {_READ:,}")
    return lines


def _reason(item: Mapping[str, Any]) -> tuple[str, str]:
    """The reason of an item, in words that follow the number one and in words that follow others."""
    sample = item.get("sample")
    sample = sample if isinstance(sample, dict) else {}
    error = sample.get("error")
    error = error if isinstance(error, dict) else {}
    code, message = str(error.get("code") or ""), str(error.get("message") or "")
    if code in _SAMPLES:
        words = {
            "unknown_form": "a sample that cannot be read",
            "invalid_item": "an item that no request can be made of",
        }.get(code, "no sample")
        return f"row has {words}", f"rows have {words}"
    if code == "run_ended":
        return ("was not graded before the run ended", "were not graded before the run ended")
    variable = _VARIABLE.search(message)
    flags = sample.get("errors")
    names = [*flags] if isinstance(flags, dict) else []
    if outage := next((name for name in names if name.endswith("server_error")), ""):
        return f"outage: {outage}", f"outages: {outage}"
    if code == Flag.INVALID_VARIABLE and variable:
        return f"row lacks {variable[1]}", f"rows lack {variable[1]}"
    return f"because of {code or 'an error'}", f"because of {code or 'an error'}"
