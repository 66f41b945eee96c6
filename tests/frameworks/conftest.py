"""Each file drives a real framework, where that is installed; `.ci/adapters` installs them."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from graders_engine import Scripted
from graders_engine.errors import BackendFailure

NEEDS = {
    "test_deepeval.py": "deepeval",
    "test_inspect_ai.py": "inspect_ai",
    "test_mlflow.py": "mlflow",
    "test_nemo_gym.py": "nemo_gym",
    "test_openrlhf.py": "openrlhf",
    "test_pydantic_evals.py": "pydantic_evals",
    "test_trl.py": "trl",
    "test_verifiers.py": "verifiers",
    "test_verl.py": "verl",
}
collect_ignore = [name for name, package in NEEDS.items() if not importlib.util.find_spec(package)]


def _verdict(request: Any) -> float:
    if "down" in str(request.messages):
        raise BackendFailure("the endpoint is down")
    return 0.5


@pytest.fixture
def judge_settings() -> dict[str, Any]:
    """Settings with a judge that gives 0.5, and has an outage for texts with "down"."""
    return {"judges": Scripted(_verdict)}


def score_model(text: str) -> dict[str, Any]:
    """A judge's grader of an output and another text."""
    message = {"role": "user", "content": f"{{{{sample.output_text}}}} {text}"}
    return {
        "type": "score_model", "name": "judge", "model": "m", "input": [message], "range": [0, 1],
    }  # fmt: skip


def two_checks(reference: str) -> dict[str, Any]:
    """A multi of an exact and a loose check of the output, each half of the reward."""
    checks = {
        name: {
            "type": "string_check",
            "name": name,
            "input": "{{sample.output_text}}",
            "reference": reference,
            "operation": operation,
        }
        for name, operation in (("exact", "eq"), ("loose", "ilike"))
    }
    return {
        "type": "multi", "name": "mix", "graders": checks, "calculate_output": "(exact + loose) / 2",
    }  # fmt: skip


def called(text: str) -> dict[str, Any]:
    """A check that the output's tool calls have this text."""
    return {
        "type": "string_check", "name": "called", "operation": "like",
        "input": "{{sample.output_tools}}", "reference": text,
    }  # fmt: skip
