"""Why no output is found in the rows of a data set, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.outputs.several import SAMPLES_IN, keys_of

_NEAR = 0.85
"""How much alike a key and the name of one with outputs must be for the key to be a misspelt one."""


def why_no_output(raw_rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence about rows in which no output is found, and what to do.

    Args:
        raw_rows: the first rows, at least one.
    """
    raw = raw_rows[0]
    null = next((key for key in SAMPLES_IN if key in raw), "")
    content = "neither `model_sample` nor `sample`"
    if null:
        content = f"no output: `{null}` is null"
    elif isinstance(raw.get("messages"), list):
        content = "`messages` but no model output"
    ways_on = "".join(f" {one}" for one in (*_misspelt(raw), *_in_messages(raw)))
    return (
        f"The rows have {content} ({keys_of(raw, 'their')}).{ways_on} Name the field with the model's output "
        "(--sample-field NAME), or join the rows with a file of outputs (--outputs FILE)."
    )


def _misspelt(raw: Mapping[str, Any]) -> Iterator[str]:
    """What to say of a key that is probably meant for one with outputs."""
    for key in map(str, raw):
        path = key.strip().split(".")
        if path[0] in ("item", "sample") and len(path) > 1:
            yield (
                f"`{key}` is the name of a field, and no path: name the field of the output `model_sample`, "
                "and each field of the item without `item.`."
            )
            return
        bare = key.strip().lower().replace("-", "_").replace(" ", "_")
        near = difflib.get_close_matches(bare, SAMPLES_IN, 1, _NEAR)
        if near and key not in SAMPLES_IN:
            blanks = " Take the blanks around names and values away." if key != key.strip() else ""
            yield f"Did you mean `{near[0]}`, where they have `{key}`?{blanks}"
            return


def _in_messages(raw: Mapping[str, Any]) -> Iterator[str]:
    messages = raw.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if isinstance(last, Mapping) and last.get("role") == "assistant":
        yield (
            "If the last message is the model's output, and no reference answer, pass --shape chat."
        )
