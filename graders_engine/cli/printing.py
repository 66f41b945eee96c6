"""The output formats of JSON values."""

from __future__ import annotations

import io
import json
from typing import Any


def format_value(value: Any, form: str) -> str:
    """A value in an output format: "jsonl" and "raw" are one line, "yaml" is YAML, others indented JSON.

    A string is printed without quotes, for use in shells.
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
