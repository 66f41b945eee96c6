"""Files beside runs that can be opened in the playground: data sets and graders."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from graders_engine.graders.parse import SPECS

_DATA = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst", ".csv.gz")
_TEXTS = (".json", ".yaml", ".yml")
_OURS = (".meta.json", ".index.sqlite", ".graders.tmp")
"""What a run writes beside its results."""
MAX_GRADER_BYTES = 1 << 20
_TYPE = re.compile(rf"""^["']?type["']?\s*:\s*["']?({"|".join(SPECS)})\b""", re.MULTILINE)
_RESULT = b'{"line":'


def kind_of_file(path: Path) -> str:
    """What a file is: "data", "grader", or "" for neither."""
    name = path.name.lower()
    if name.endswith(_OURS) or not name.endswith((*_DATA, *_TEXTS)):
        return ""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return _kind(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(4096)
def _kind(path: Path, _mtime_ns: int, size: int) -> str:
    """The same of a file as it is now."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            if path.name.lower().endswith(_DATA):
                return "" if head.startswith(_RESULT) or not head else "data"
            if head.lstrip()[:1] == b"[":
                return "data"
            if size > MAX_GRADER_BYTES:
                return ""
            text = (head + file.read()).decode("utf-8", "replace")
    except OSError:
        return ""
    if path.suffix.lower() != ".json":
        return "grader" if _TYPE.search(text) else ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    is_grader = isinstance(value, dict) and value.get("type") in SPECS
    return "grader" if is_grader else ""
