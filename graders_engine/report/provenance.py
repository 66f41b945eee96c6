"""What produced a run's numbers: grader, engine, settings, data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.meta import DATA_CHANGED
from graders_engine.report.visible import one_line


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known about the origin of a results file.

    Attributes:
        results: the results file.
        meta: the content of its `.meta.json` file; empty if it does not exist.
    """

    results: Path
    meta: Mapping[str, Any]

    @property
    def grader(self) -> dict[str, Any]:
        """The grader's JSON; empty if it is not known."""
        grader = self.meta.get("grader")
        return grader if isinstance(grader, dict) else {}

    @property
    def name(self) -> str:
        """The grader's name, or the file's if it has none; on one line."""
        return one_line(str(self.grader.get("name") or self.results.name), 120)

    @property
    def engine(self) -> str:
        """The version of the engine that graded."""
        return str(self.meta.get("engine", "(unknown version)"))

    @property
    def data(self) -> str:
        """The path of the data set; empty if it is not known."""
        return str(self.meta.get("data", {}).get("path") or "")

    @property
    def data_changed(self) -> str:
        """A sentence if the data changed during the run, so that the results are not of all its rows."""
        return str(self.meta.get(DATA_CHANGED, ""))

    @property
    def line(self) -> str:
        """The grader's type and the files, on one line."""
        kind = self.grader.get("type")
        parts = [
            f"{kind} grader" if kind else "",
            self.data and f"data {self.data}",
            f"results {self.results}",
        ]
        return " · ".join(one_line(part, 120) for part in parts if part)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Everything known, as (name, value) for a table."""
        yield "engine", f"graders-engine {self.engine}"
        if self.grader:
            yield "grader", f"sha256 {grader_hash(self.grader)}"
        yield "results", str(self.results)
        if self.data_changed:
            yield "warning", self.data_changed
        for group in ("data", "settings"):
            yield from _flatten(self.meta.get(group, {}), group)


def grader_hash(grader: Any) -> str:
    """The first 128 bits of the SHA-256 of the grader's JSON (sorted keys, no spaces), in hexadecimal."""
    text = json.dumps(grader, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _flatten(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flatten(part, f"{name}.{key}")
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
