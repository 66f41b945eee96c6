"""What not to do: the model's code runs in the process that grades it, and can reach what is right."""

import re
from typing import Any

FENCED = re.compile(r"```(?:python|py)?\n(.*?)```", re.DOTALL)


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """The share of the tests that pass."""
    found = FENCED.search(sample["output_text"])
    names: dict[str, Any] = {}
    exec(found[1] if found else sample["output_text"], names)
    function = names[item["function"]]
    tests = item["tests"]
    return sum(bool(function(*test["args"]) == test["want"]) for test in tests) / len(tests)
