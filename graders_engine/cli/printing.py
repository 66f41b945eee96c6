"""How JSON values are written to a terminal or a pipe."""

from __future__ import annotations

import io
import json
from typing import Any


def format_value(value: Any, form: str) -> str:
    """A value in one of the forms: "jsonl" and "raw" are one line, "yaml" is YAML, all else is indented.

    A text alone is written bare, as shells want it.
    """
    if isinstance(value, str):
        return value
    if form in ("jsonl", "raw"):
        return json.dumps(value, ensure_ascii=False)
    if form == "yaml":
        from ruamel.yaml import YAML

        yaml, text = YAML(), io.StringIO()
        yaml.dump(value, text)
        return text.getvalue().removesuffix("\n").removesuffix("\n...")
    return json.dumps(value, indent=2, ensure_ascii=False)
