"""The file next to a results file that says which grader, data and settings gave the results."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.line import lines_of
from graders_engine.errors import DataSetError

RESULTS_VERSION = 1
"""Raised only when a change to this package changes the numbers of results; others may then be mixed."""
OVERWRITE_HINT = "Write to another file, or pass --overwrite to start over."
_INFORMATIVE = ("path", "prices", "sandbox")
"""Settings that may differ between runs: where files are, what judges cost, which sandbox was used."""
_log = logging.getLogger("graders_engine")


def meta_path(lines: Path) -> Path:
    """The file that belongs to a JSONL results file."""
    return lines.with_name(lines.name + ".meta.json")


def read_meta(results: Path) -> dict[str, Any]:
    """What gave the results of a file, of either format; empty if that is not recorded.

    Raises:
        DataSetError: the file with it cannot be read, or was not written by a run.
    """
    path = meta_path(lines_of(results))
    try:
        meta = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataSetError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataSetError(f"{path} is not JSON: {error}.") from None
    if not isinstance(meta, dict):
        raise DataSetError(f"{path} does not hold an object: it was not written by a run.")
    return meta


def write_meta(lines: Path, identity: dict[str, Any]) -> None:
    """Record what gives the results of a JSONL results file.

    Raises:
        DataSetError: the file cannot be written.
    """
    path = meta_path(lines)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(identity, file, indent=2, ensure_ascii=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataSetError(f"{path} cannot be written: {error.strerror}.") from None


def check_meta(lines: Path, identity: dict[str, Any]) -> None:
    """Check that the same grader, data and settings gave the results that a JSONL results file holds.

    Another version of this package is a warning: only `results_version` says whether its numbers differ.

    Raises:
        DataSetError: other ones gave them, or that is not recorded.
    """
    meta = _require_meta(lines)
    version, recorded_version = identity.get("engine"), meta.pop("engine", None)
    if recorded_version is not None:
        meta.setdefault("results_version", 1)  # before there was one
    differing = sorted(
        key for key in meta if _identifying(key, identity.get(key)) != _identifying(key, meta[key])
    )
    if differing:
        raise DataSetError(
            f"{lines} holds results of another run: other {' and '.join(differing)}. {OVERWRITE_HINT}"
        )
    if recorded_version not in (None, version):
        _log.warning(
            "%s was begun with version %s of graders-engine and continues with version %s.",
            lines, recorded_version, version,
        )  # fmt: skip


def _require_meta(lines: Path) -> dict[str, Any]:
    path = meta_path(lines)
    try:
        meta = json.loads(path.read_bytes())
    except (OSError, ValueError):
        meta = None
    if not isinstance(meta, dict):
        raise DataSetError(
            f"{lines} exists, but {path.name} does not say which run wrote it. {OVERWRITE_HINT}"
        )
    return meta


def _identifying(key: str, part: Any) -> Any:
    """What of a part of the identity must be equal; of the grader, everything."""
    if key == "grader" or not isinstance(part, dict):
        return part
    return {
        name: _identifying(name, value) for name, value in part.items() if name not in _INFORMATIVE
    }
