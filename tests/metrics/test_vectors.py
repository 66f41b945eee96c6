"""Recorded values of the packages, row by row.

The row "azure-documentation-row-5" is not from a package: its value is printed in Azure's
documentation of the service, and this project's fuzzy_match equals it to the last digit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.metrics import METRICS

from .cores import Load

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("vectors.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_every_value_equals_the_recorded_one(case: dict[str, Any], load: Load) -> None:
    for key, expected in case["expected"].items():
        name, variant = key.split("/")
        value = load(name, variant)(case["input"], case["reference"])
        # sacrebleu's own value for identical texts is 1 and a few bits
        assert value == pytest.approx(min(expected, 1.0), abs=1e-12), key


def test_every_metric_has_recorded_values() -> None:
    assert {key.split("/")[0] for case in CASES for key in case["expected"]} == set(METRICS)
