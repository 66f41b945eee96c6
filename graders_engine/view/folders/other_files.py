"""What a file is that no other file describes: a data set, a grader, results, a report of preflight."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from graders_engine.graders.parse import SPECS
from graders_engine.graders.parts import PYTHON_SOURCE
from graders_engine.report.stored_preflight import KEYS
from graders_engine.view.folders.places import MAX_ENTRIES

_DATA = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst", ".csv.gz")
_TEXTS = (".json", ".yaml", ".yml", ".py")
_OURS = (".meta.json", ".index.sqlite", ".graders.tmp")
"""What a run writes beside its results."""
MAX_GRADER_BYTES = 1 << 20
_TYPE = re.compile(rf"""^["']?type["']?\s*:\s*["']?({"|".join(SPECS)})\b""", re.MULTILINE)
_REPORT = re.compile(rb'\s*\{\s*"engine":\s*"[^"]{0,40}",\s*"settings":\s*\{\s*"reference_field"')
"""How the JSON of `graders preflight` begins."""
_RESULT = b'{"line":'
_REWARD = b'"reward":'
_BEFORE_REWARD = 48
"""A result begins with its line and its reward, within so many bytes."""


def kind_of_file(path: Path) -> str:
    """What a file is: "data", "grader", "results", "preflight", or "" for none of these."""
    name = path.name.lower()
    if name.endswith(_OURS) or not name.endswith((*_DATA, *_TEXTS)):
        return ""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return _kind(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(MAX_ENTRIES)
def _kind(path: Path, _mtime_ns: int, size: int) -> str:
    """The same of a file as it is now."""
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            if path.name.lower().endswith(_DATA):
                return ("results" if _is_result(head) else "data") if head else ""
            if ending != ".py" and head.lstrip()[:1] == b"[":
                return "data"
            if ending == ".json" and _REPORT.match(head):
                return "preflight"  # also a part of one: what reads it says so
            if size > MAX_GRADER_BYTES:
                return ""
            text = (head + file.read()).decode("utf-8", "replace")
    except OSError:
        return ""
    return _kind_of_json(text) if ending == ".json" else _kind_of_text(text, ending)


def _kind_of_text(text: str, ending: str) -> str:
    """The same of YAML, or of Python, which a command reads as the source of a grader."""
    mark = PYTHON_SOURCE if ending == ".py" else _TYPE
    return "grader" if mark.search(text) else ""


def _kind_of_json(text: str) -> str:
    """The same of JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""
    if value.get("type") in SPECS:
        return "grader"
    return "preflight" if value.keys() >= set(KEYS) else ""


def _is_result(head: bytes) -> bool:
    """Whether a file begins with a result of `graders score`, which may be cut off."""
    start = head[: len(_RESULT) + _BEFORE_REWARD]
    is_cut = len(head) < len(start) + 1 and b"\n" not in head
    return start.startswith(_RESULT) and (_REWARD in start or is_cut)
