"""Compares the arguments of a tool call with those that are right, in any order."""

import json
from typing import Any


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """The share of all keys whose values are the same on both sides; 0 for what is no JSON object."""
    calls = sample["output_tools"]
    if not calls:
        return 0.0
    try:
        given = json.loads(calls[0]["function"]["arguments"])
    except ValueError:
        return 0.0
    if not isinstance(given, dict):
        return 0.0
    wanted = item["call"]["arguments"]
    keys = given.keys() | wanted.keys()
    same = [key for key in given.keys() & wanted.keys() if given[key] == wanted[key]]
    return len(same) / len(keys) if keys else 1.0
