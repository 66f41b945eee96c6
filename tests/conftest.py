"""What every test has at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine

STRING_CHECK: dict[str, Any] = {
    "type": "string_check",
    "name": "label",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@pytest.fixture
def string_check() -> dict[str, Any]:
    return dict(STRING_CHECK)


@pytest.fixture
def name_email() -> dict[str, Any]:
    """The multi grader of the API's guide."""
    return {
        "type": "multi",
        "graders": {
            "name": {
                "type": "text_similarity",
                "name": "name_grader",
                "input": "{{sample.output_json.name}}",
                "reference": "{{item.name}}",
                "evaluation_metric": "fuzzy_match",
            },
            "email": {
                "type": "string_check",
                "name": "email_grader",
                "input": "{{sample.output_json.email}}",
                "reference": "{{item.email}}",
                "operation": "eq",
            },
        },
        "calculate_output": "(name + email) / 2",
    }
