"""The cases: a request to `run` or `validate`, and what the answer must have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent / "cases"
_WHOLE_ITEM = re.compile(r"\{\{\s*item\s*\}\}")
_EXPECTED = "text that is expected"
"""The key of the item that holds what a template must render; no case has another of this name."""
Written = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what its answer must have.

    Attributes:
        topic: the file it comes from: "templates".
        name: a sentence that no other case of the topic has.
        call: "run" or "validate".
        request: the body of the request.
        expected: what the answer must have; see `comparing.differences`.

    Example:
        >>> next(case for case in all_cases() if case.topic == "string_check").name
        'eq gives one for the same text'
    """

    topic: str
    name: str
    call: Literal["run", "validate"]
    request: dict[str, Any]
    expected: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The case as others can use it: {"topic", "name", "call", "request", "expected"}."""
        return asdict(self)


def all_cases() -> Iterator[Case]:
    """Every case that can be asked over HTTP, in the order of the files."""
    for topic, convert in _CONVERT.items():
        for short in written_cases(topic):
            if (case := convert(topic, short)) is not None:
                yield case


def topics() -> list[str]:
    """The topics, in their order."""
    return list(_CONVERT)


def written_cases(topic: str) -> list[dict[str, Any]]:
    """The cases of a topic as they stand in its file."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{topic}.json").read_text(encoding="utf-8"))
    return found


def expanded(value: Any) -> Any:
    """A value with its long texts, which are written as {"first", "repeat": part, "times": n, "then"}."""
    if isinstance(value, dict) and "repeat" in value:
        return value.get("first", "") + value["repeat"] * value["times"] + value.get("then", "")
    if isinstance(value, dict):
        return {key: expanded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [expanded(part) for part in value]
    return value


def output_of(case: Written) -> dict[str, Any]:
    """The model's output in a case as a request has it: a whole sample, or text."""
    given = case.get("model_sample", case.get("sample", ""))
    return {"sample": given} if isinstance(given, dict) else {"model_sample": given}


def _graded(topic: str, case: Written) -> Case:
    """A grader and a row: the reward, what the parts give, and the flags."""
    request = {"grader": case["grader"], **output_of(case)}
    if "item" in case:
        request["item"] = case["item"]
    expected: dict[str, Any] = {"reward": case.get("reward", 0.0)}
    if "sub_rewards" in case:
        expected["sub_rewards"] = case["sub_rewards"]
    if "flags" in case:
        expected["flags"] = case["flags"]
    elif "flag" in case:
        expected["flags_among_others"] = [case["flag"]]
    return Case(topic, case["name"], "run", request, expected)


def _responded(topic: str, case: Written) -> Case:
    return Case(topic, case["name"], "run", case["request"], {"response": case["response"]})


def _validated(topic: str, case: Written) -> Case:
    expected: dict[str, Any] = {"grader": expanded(case.get("echo"))}
    if "mistakes" in case:
        expected = {
            "error": [{key: one[key] for key in ("param", "code")} for one in case["mistakes"]]
        }
    return Case(topic, case["name"], "validate", {"grader": expanded(case["grader"])}, expected)


def _rendered(topic: str, case: Written) -> Case | None:
    """A template, by a string check of its text; one of the whole item would render what is expected, too."""
    template, item = expanded(case["template"]), case.get("item")
    check = {"type": "string_check", "name": "rendered", "operation": "eq", "input": template}
    if "invalid" in case:
        refused = {"grader": {**check, "reference": "x"}}
        return Case(topic, case["name"], "validate", refused, {"error": [{"param": "input"}]})
    if "failure" in case:
        request = {"grader": {**check, "reference": "x"}, **output_of(case)}
        if "item" in case:
            request["item"] = item
        flags = {"reward": 0.0, "flags_among_others": [case["failure"]["flag"]]}
        return Case(topic, case["name"], "run", request, flags)
    if _WHOLE_ITEM.search(template) or not isinstance(item, dict | None):
        return None
    check["reference"] = f"{{{{item.{_EXPECTED}}}}}"
    request = {"grader": check, "item": {**(item or {}), _EXPECTED: case["result"]}}
    return Case(topic, case["name"], "run", {**request, **output_of(case)}, {"reward": 1.0})


def _calculated(topic: str, case: Written) -> Case | None:
    """A formula, over python graders that give its values."""
    values = case.get("values") or {"unused": 0}
    multi = {
        "type": "multi",
        "name": "calculated",
        "graders": {key: _constant(key, value) for key, value in values.items()},
        "calculate_output": expanded(case["formula"]),
    }
    request: dict[str, Any] = {"grader": multi}
    if "invalid" in case:
        wrong = {"error": [{"param": "calculate_output"}]}
        return Case(topic, case["name"], "validate", request, wrong)
    request["model_sample"] = "x"
    if "failure" in case:
        failed = {"reward": 0.0, "flags_among_others": ["formula_parse_error"]}
        return Case(topic, case["name"], "run", request, failed)
    return Case(topic, case["name"], "run", request, {"reward": case["result"]})


def _constant(name: str, value: float) -> dict[str, str]:
    source = f"def grade(sample, item):\n    return {value!r}"
    return {"type": "python", "name": name, "source": source}


_CONVERT = {
    "string_check": _graded,
    "fuzzy_match": _graded,
    "templates": _rendered,
    "multi": _graded,
    "formulas": _calculated,
    "responses": _responded,
    "validation": _validated,
}
"""Topic -> what makes a case of one in its file."""
