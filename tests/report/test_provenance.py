"""What a report says of where its results come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.report.provenance import Provenance


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/rows.jsonl", "rows.jsonl"),
        ("rows.jsonl", "rows.jsonl"),
        ("C:\\Users\\me\\rows.jsonl", "rows.jsonl"),
        ("\\\\server\\share\\rows.jsonl", "rows.jsonl"),
        ("a:b.jsonl", "a:b.jsonl"),
    ],
)
def test_of_a_file_of_any_system_only_the_name_is_said(path: str, name: str) -> None:
    assert Provenance(Path("r.jsonl"), {"data": {"path": path}}).data == name
