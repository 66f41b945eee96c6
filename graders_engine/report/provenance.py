"""What gave a run's numbers: grader, engine, settings, data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.report.visible import one_line


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a results file says about its origin.

    Attributes:
        results: the results file.
        meta: what stands in the file beside it.
    """

    results: Path
    meta: Mapping[str, Any]

    @property
    def grader(self) -> dict[str, Any]:
        """The grader as it was given; empty when it is not known."""
        grader = self.meta.get("grader")
        return grader if isinstance(grader, dict) else {}

    @property
    def name(self) -> str:
        """The grader's name, or else the file's."""
        return one_line(str(self.grader.get("name") or self.results.name), 120)

    @property
    def engine(self) -> str:
        """The version that graded."""
        return str(self.meta.get("engine", "of an unknown version"))

    @property
    def data(self) -> str:
        """Where the data set was; empty when it is not known."""
        return str(self.meta.get("data", {}).get("path") or "")

    @property
    def line(self) -> str:
        """Grader type and files on one line."""
        kind = self.grader.get("type")
        parts = [
            f"{kind} grader" if kind else "",
            self.data and f"data {self.data}",
            f"results {self.results}",
        ]
        return " · ".join(one_line(part, 120) for part in parts if part)

    def facts(self) -> Iterator[tuple[str, str]]:
        """(what, value), for a table."""
        yield "engine", f"graders-engine {self.engine}"
        if self.grader:
            yield "grader", f"sha256 {grader_hash(self.grader)}"
        yield "results", str(self.results)
        for group in ("data", "settings"):
            yield from _flat(self.meta.get(group, {}), group)


def grader_hash(grader: Any) -> str:
    """SHA-256 of the grader's JSON with sorted keys and no blanks, the first 128 bits in hexadecimal."""
    text = json.dumps(grader, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}")
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
