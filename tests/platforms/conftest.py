"""Other systems, and what there is to grade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.there import There, python_as_on

CHECK: dict[str, Any] = {
    "type": "string_check",
    "name": "label",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
PYTHON: dict[str, Any] = {
    "type": "python",
    "name": "p",
    "source": "def grade(sample, item):\n    return 0.5",
}
EVAL: dict[str, Any] = {
    "name": "e",
    "data_source_config": {
        "type": "custom",
        "item_schema": {"type": "object", "properties": {"label": {"type": "string"}}},
        "include_sample_schema": True,
    },
    "testing_criteria": [CHECK],
}
LABELS = "aabab"
ROWS: list[dict[str, Any]] = [
    {"model_sample": "a", "item": {"label": label, "id": id_}} for id_, label in enumerate(LABELS)
]


def filled(folder: Path) -> Path:
    """A folder with graders, an eval and rows."""
    for name, value in (("check", CHECK), ("python", PYTHON), ("eval", EVAL)):
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What starts a Python on each system."""
    folder = tmp_path_factory.mktemp("pythons")
    return {platform: python_as_on(platform, folder) for platform in ("win32", "darwin")}


@pytest.fixture
def windows(tmp_path: Path, pythons: dict[str, Path]) -> There:
    return There("win32", filled(tmp_path), pythons["win32"])


@pytest.fixture
def macos(tmp_path: Path, pythons: dict[str, Path]) -> There:
    return There("darwin", filled(tmp_path), pythons["darwin"])


@pytest.fixture(params=["win32", "darwin"])
def there(request: pytest.FixtureRequest, tmp_path: Path, pythons: dict[str, Path]) -> There:
    return There(request.param, filled(tmp_path), pythons[request.param])
