"""Runs the function that a model wrote on an item's tests, in a process that knows no right answer."""

import json
import re
import subprocess
import sys
from typing import Any

TIME_S = 30
FENCED = re.compile(r"```(?:python|py)?\n(.*?)```", re.DOTALL)
CALLS = """
import contextlib, json, sys

task = json.load(sys.stdin)
names = {}
with contextlib.redirect_stdout(sys.stderr):
    exec(task["code"], names)
for arguments in task["calls"]:
    with contextlib.redirect_stdout(sys.stderr):
        try:
            answer = json.dumps({"value": names[task["function"]](*arguments)})
        except Exception as error:
            answer = json.dumps({"error": repr(error)})
    print(answer, flush=True)
"""
"""The child gets the arguments alone. What it prints is compared here: only right answers earn something."""


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """The share of the tests that the function passes; 0 where there is no such function."""
    found = FENCED.search(sample["output_text"])
    task = {
        "code": found[1] if found else sample["output_text"],
        "function": item["function"],
        "calls": [test["args"] for test in item["tests"]],
    }
    answers = answers_of(json.dumps(task))
    passed = 0
    for test, answer in zip(item["tests"], answers, strict=False):
        print(test["args"], "->", answer)  # `graders explain` shows it
        passed += is_right(answer, test["want"])
    return passed / len(item["tests"])


def is_right(answer: str, want: Any) -> bool:
    """Whether a line of the child's output is the right answer."""
    try:
        return bool(json.loads(answer) == {"value": want})
    except ValueError:  # the model's code wrote to the child's output itself
        return False


def answers_of(task: str) -> list[str]:
    """A line of JSON for each call, as far as the child came within its time."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", CALLS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        return child.communicate(task, timeout=TIME_S)[0].splitlines()
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[0].splitlines()
