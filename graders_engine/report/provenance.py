"""What produced a run's numbers: grader, engine, settings, data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from graders_engine.dataset.results.meta import (
    DATA_CHANGED,
    GRADED_ON,
    METRICS_CORE,
    REPORT,
    REWARDS_DIFFER,
    SHARED_ROWS,
    is_complete,
    places_of,
    shares_rows,
)
from graders_engine.report.visible import one_line
from graders_engine.urls import Location, Url

GROUP_SIZE = 8
"""Samples of a group in training, by default: the usual number in group-relative training."""
UNFINISHED = "This run has not ended: the numbers are those of its first rows."
"""What must be known of a run whose data set has rows without a result."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known about the origin of a results file.

    Attributes:
        results: the results file.
        meta: the content of its `.meta.json` file; empty if it does not exist.
        moved: where the data set is now, if it was moved.
    """

    results: Path
    meta: Mapping[str, Any]
    moved: Location | None = None

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
    def metrics_core(self) -> str | None:
        """Which core computed the text metrics, `compiled` or `pure`; None if that is not recorded."""
        return self.meta.get(METRICS_CORE)

    @property
    def settings(self) -> dict[str, Any]:
        """What gave the numbers besides the grader, and where."""
        meta = self.meta
        return {**meta.get("settings", {}), GRADED_ON: meta.get(GRADED_ON, [])}

    @property
    def data(self) -> str:
        """The name of the data set's file; empty if it is not known."""
        return _name(self.meta.get("data", {}).get("path"))

    @property
    def complete(self) -> bool | None:
        """Whether all rows of the data set have a result; None if that is not recorded."""
        return is_complete(self.meta)

    @property
    def warnings(self) -> list[str]:
        """What must be known before the numbers are read."""
        return [
            *filter(None, [self.rewards_differ, self.data_changed]),
            *([UNFINISHED] if self.complete is False else ()),
        ]

    @property
    def rewards_differ(self) -> str:
        """A sentence if rows seem to change each other's rewards, so that any may be wrong."""
        return str(self.meta.get(REWARDS_DIFFER, ""))

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
            f"results {self.results.name}",
        ]
        return " · ".join(one_line(part, 120) for part in parts if part)

    def without_folders(self, text: str) -> str:
        """A sentence with only the names of the run's files: where they are is nobody else's business."""
        recorded = self.meta.get("data", {})
        outputs = (recorded.get("outputs") or {}).get("path")
        moved = str(self.moved) if isinstance(self.moved, Url) else self.moved
        paths = filter(None, (recorded.get("path"), outputs, self.results, moved))
        spellings = {
            str(spelling): _name(path)
            for path in paths
            for spelling in (Path(path).absolute(), path)
        }
        for spelling in sorted(spellings, key=len, reverse=True):  # one may be the end of another
            text = text.replace(spelling, spellings[spelling])
        return text

    def facts(self) -> Iterator[tuple[str, str]]:
        """Everything known, as (name, value) for a table; of files, only the names."""
        core = f" (metrics: {self.metrics_core})" if self.metrics_core else ""
        yield "engine", f"graders-engine {self.engine}{core}"
        if self.grader:
            yield "grader", f"sha256 {grader_hash(self.grader)}"
        yield "results", self.results.name
        for warning in self.warnings:
            yield "warning", self.without_folders(warning)
        if places := places_of(self.meta):
            yield "graded on", places
        if shares_rows(self.meta.get("settings", {})):
            yield "python graders", SHARED_ROWS
        for group in ("data", "settings"):
            yield from _flatten(self.meta.get(group, {}), group)


def passing_of(meta: Mapping[str, Any]) -> float | None:
    """The lowest reward with which a sample passes: that of `score --passing`, else the grader's."""
    passing = meta.get(REPORT, {}).get("passing")
    if passing is None:
        passing = meta.get("grader", {}).get("pass_threshold")
    return float(passing) if isinstance(passing, (int, float)) else None


def group_size_of(meta: Mapping[str, Any]) -> int:
    """The samples of a group in training: those of `score --group-size`, else `GROUP_SIZE`."""
    return meta.get(REPORT, {}).get("group_size") or GROUP_SIZE


def grader_hash(grader: Any) -> str:
    """The first 128 bits of the SHA-256 of the grader's JSON (sorted keys, no spaces), in hexadecimal."""
    text = json.dumps(grader, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _name(path: Any) -> str:
    """The name of a file, without its folder; empty if there is no path."""
    if not path:
        return ""
    windows = PureWindowsPath(path)  # the results of one system are read on others
    return (windows if windows.is_absolute() else Path(path)).name or str(path)


def _flatten(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "path":
                yield f"{name}.file", _name(part)
            else:
                yield from _flatten(part, f"{name}.{key}")
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
