"""Compares the answer as a number: "1,680", "60.0" and "44 in all" are right, where they are."""

import json
import re
from typing import Any

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """1 if the one number in the answer is the right one, else 0; a fence around the JSON is let pass."""
    text = re.sub(r"^```\w*\n|\n```$", "", sample["output_text"])
    try:
        answer = str(json.loads(text)["answer"]).replace(",", "")
    except (ValueError, KeyError, TypeError):
        return 0.0
    numbers = NUMBER.findall(answer)
    return float(len(numbers) == 1 and float(numbers[0]) == float(item["answer"]))
