"""The service does not train this model by reinforcement, or has retired it.

Why: the request is refused; a model that is retired soon takes what was trained with it.

Example: `gpt-4o-2024-08-06`, which can be trained by supervised fine-tuning only.

To mend it: name a model of the list that is printed, or another service with --service.

Ignore it when: the list is out of date (its date is in the message), or your account has other models.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graders_engine.language.spelling import nearest
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs

_ID = "model-cannot-train"


@functools.cache
def model_table() -> dict[str, Any]:
    """What is known of the services' models, with its date and sources."""
    text = Path(__file__).with_name("models.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _ask(inputs: Inputs) -> Answer:
    service, model = inputs.options.service, (inputs.job or {}).get("model")
    if service == "none":
        return NotChecked("no --service: whose models are meant is not known")
    if not isinstance(model, str):
        return NotChecked("the request names no model")
    return _findings(inputs, service, model)


def _findings(inputs: Inputs, service: str, model: str) -> Iterator[Finding]:
    table = model_table()
    known, as_of = table[service], table["as_of"]
    where, base = [Location(inputs.job_file, 0, "model")], base_of(model)
    if base not in known["models"]:
        near = nearest(base, tuple(known["models"]))
        meant = f"Did you mean `{near}`? " if near else ""
        yield Finding(
            _ID, "warning",
            f"`{model}` is none of the models that {service} trains by reinforcement (as of {as_of}).",
            f"{meant}There are {', '.join(known['models'])} ({known['note']}).", where=where,
        )  # fmt: skip
    elif base in known["retired"]:
        date = known["retired"][base]
        yield Finding(
            _ID, "info", f"`{model}` was retired by {service} on {date} (list as of {as_of}).",
            f"Train on another service, or an open model ({known['note']}).", where=where,
        )  # fmt: skip


def base_of(model: str) -> str:
    """The base model of a tuned one's name, `ft:MODEL:ORGANISATION:…`; any other name as it is."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") else model


CHECK = Check(_ID, "request", _ask, frozenset({"job"}))
