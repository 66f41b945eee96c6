"""The file next to a results file that says which grader, data and settings gave the results."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.dataset.results.described import SENT, require_described
from graders_engine.dataset.results.line import lines_of
from graders_engine.errors import DataSetError
from graders_engine.files import beside, kind_of, read_text, write_whole
from graders_engine.language.as_served import Strictness

DATA_CHANGED = "data_changed"
"""Key of a sentence: how the data changed during the run, so that the results are not of all its rows."""
REWARDS_DIFFER = "rewards_differ"
"""Key of a sentence: rows seem to change each other's rewards, so that any result may be wrong."""
COMPLETE = "complete"
"""Key of a truth value: whether all rows of the data set have a result."""
FILES = "files"
"""Key of the stamps of the data's files (`FileState.stamp`) when all rows had been graded."""
REPORT = "report"
"""Key of what the numbers of a run were asked for with: `passing` and `group_size`; they change no result."""
OVERWRITE_HINT = "Write to another file, or pass --overwrite to start over."
UPLOADED = "uploaded"
"""Key of what the results were copied to, and what was said of it then (`results.upload`)."""
JUDGED = "judged"
"""Key of how many rows have a number outside a judge's range, or were asked without a part of the request."""
METRICS_CORE = "metrics_core"
"""Key of which core computed the text metrics: `compiled` or `pure`, in their order if both did.

Their values are equal, so that a run may begin with one and continue with the other.
"""
GRADED_ON = "graded_on"
"""Key of which places graded the rows, in their order; not there where this machine alone did.

Results do not depend on the place, so that a run may begin in one and continue in another.
"""
THIS_MACHINE = "this machine"
_INFORMATIVE = ("path", "prices", "sandbox")
"""Settings that may differ between runs: where files are, what judges cost, which sandbox was used."""
SHARED_ROWS = "rows of a grader share a process"
"""What `python_isolation: worker` means, where a run's settings are shown."""
_ISOLATION = "python_isolation"
"""Key of how rows of python graders were kept apart, where it was not by a process for each."""
_UNDECIDED = "auto"
"""The sandbox of an engine that has run no python grader yet: it takes the strongest one then."""
_ALWAYS = {"grader", "data"}
"""Keys that every version has written."""
_log = logging.getLogger("graders_engine")


class _Outputs(msgspec.Struct):
    path: str | None = None


class _Data(msgspec.Struct):
    path: str | None = None
    form: str | None = None
    size: int | None = None
    head: str | None = None
    join_on: str | None = None
    outputs: _Outputs | None = None


class _Settings(msgspec.Struct):
    shape: str | None = None
    sample_field: str | None = None
    group_by: str | None = None
    sandbox: str | None = None
    python_isolation: str | None = None
    templates: Strictness | None = None
    metrics: dict[str, str] = {}
    judges: dict[str, str] = {}
    prices: dict[str, dict[str, float | None]] | None = None


class _Report(msgspec.Struct):
    passing: float | None = None
    group_size: int | None = None


class _Sent(msgspec.Struct):
    bytes: int
    end: str


class _Meta(msgspec.Struct):
    """The types of what is read from the file again; other keys are only shown."""

    grader: dict[str, Any] = {}
    data: _Data = msgspec.field(default_factory=_Data)
    settings: _Settings = msgspec.field(default_factory=_Settings)
    data_changed: str = ""
    rewards_differ: str = ""
    report: _Report = msgspec.field(default_factory=_Report)
    metrics_core: str | None = None
    sent: _Sent | None = None
    graded_on: list[str] = []


def meta_path(lines: Path) -> Path:
    """The file that belongs to a JSONL results file."""
    return beside(lines, ".meta.json")


def read_meta(results: Path) -> dict[str, Any]:
    """What gave the results of a file, of either format; empty if that is not recorded.

    Raises:
        DataSetError: the file with it cannot be read, or was not written by a run; or it was sent to a URL
            with other results.
    """
    lines = lines_of(results)
    path = meta_path(lines)
    try:
        meta = _read(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataSetError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise DataSetError(f"{path} is not JSON: {error}.") from None
    if not isinstance(meta, dict):
        raise DataSetError(f"{path} does not hold an object: it was not written by a run.")
    try:
        msgspec.convert(meta, _Meta)
    except msgspec.ValidationError as error:
        raise DataSetError(f"{path} was not written by a run: {error}.") from None
    require_described(lines, meta, path.name)
    return meta


def written_by_a_run(lines: Path) -> bool | None:
    """Whether a run wrote what is beside a JSONL results file; None if there is nothing."""
    try:
        meta = _read(meta_path(lines))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return False
    return meta == {} or (isinstance(meta, dict) and meta.keys() >= _ALWAYS)


def _read(path: Path) -> Any:
    """The JSON values of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or not of the length that a run writes.
        RecursionError: it nests too deep.
    """
    if kind := kind_of(path):
        raise OSError(0, f"it is a {kind}")
    return json.loads(read_text(path))


def write_meta(lines: Path, identity: dict[str, Any]) -> None:
    """Record what gives the results of a JSONL results file.

    Raises:
        DataSetError: the file cannot be written.
    """
    path = meta_path(lines)
    try:
        write_whole(path, json.dumps(identity, indent=2).encode() + b"\n")
    except OSError as error:
        raise DataSetError(f"{path} cannot be written: {error.strerror}.") from None


def record_change(lines: Path, change: str) -> None:
    """Record that the data changed during the run, or with an empty text that it did not.

    Raises:
        DataSetError: the file cannot be written.
    """
    meta = _require_meta(lines)
    if meta.pop(DATA_CHANGED, "") != change:
        write_meta(lines, {**meta, DATA_CHANGED: change} if change else meta)


def record(lines: Path, **facts: Any) -> None:
    """Record facts of a run under their keys, such as `COMPLETE`, `FILES`, `REPORT` and `UPLOADED`.

    Raises:
        DataSetError: the file cannot be written.
    """
    meta = _require_meta(lines)
    if {**meta, **facts} != meta:
        write_meta(lines, {**meta, **facts})


def drop_description(lines: Path) -> None:
    """Forget, before results are added to those that were sent, how long these were.

    Raises:
        DataSetError: the file cannot be written.
    """
    meta = _require_meta(lines)
    if meta.pop(SENT, None) is not None:
        write_meta(lines, meta)


def record_core(lines: Path, active: str) -> None:
    """Record that this core computes the results from here on, too; nothing where none is recorded.

    Raises:
        DataSetError: the file cannot be written.
    """
    recorded = _require_meta(lines).get(METRICS_CORE)
    if recorded and active not in recorded.split(", "):
        record(lines, metrics_core=f"{recorded}, {active}")


def record_place(lines: Path, place: str) -> None:
    """Record that rows are graded in this place from here on, too.

    Raises:
        DataSetError: the file cannot be written.
    """
    recorded = _require_meta(lines).get(GRADED_ON, [])
    places = recorded or [THIS_MACHINE]
    if place not in places:
        record(lines, graded_on=[*places, place])


def places_of(meta: Mapping[str, Any]) -> str:
    """Where rows were graded, for reports; empty where this machine alone did, or that is not recorded."""
    return ", then ".join(meta.get(GRADED_ON, ()))


def with_sandbox_used(settings: dict[str, Any], lines: Path) -> dict[str, Any]:
    """Settings with the sandbox that gave the results of a file, where this process has not used its own.

    Raises:
        DataSetError: what is recorded of the file cannot be read.
    """
    if settings.get("sandbox") != _UNDECIDED:
        return settings
    recorded = read_meta(lines).get("settings", {}).get("sandbox")
    return {**settings, "sandbox": recorded or _UNDECIDED}


def is_complete(meta: Mapping[str, Any]) -> bool | None:
    """Whether all rows of the data set have a result; None if that is not recorded."""
    complete = meta.get(COMPLETE)
    return complete if isinstance(complete, bool) else None


def check_meta(lines: Path, identity: dict[str, Any]) -> None:
    """Check that the same grader, data and settings gave the results that a JSONL results file holds.

    Another version of this package is a warning: only `results_version` says whether its numbers differ.

    Raises:
        DataSetError: other ones gave them, or that is not recorded; or they may be wrong.
    """
    meta = _require_meta(lines)
    require_described(lines, meta, meta_path(lines).name)
    if doubt := meta.get(REWARDS_DIFFER):
        raise DataSetError(
            f"{lines} cannot be continued. {doubt} Grade all of them again with --python-isolation call "
            "--overwrite."
        )
    meta.pop(DATA_CHANGED, None)  # `resume` compares the data itself
    for fact in (COMPLETE, FILES, REPORT, JUDGED, METRICS_CORE, SENT, UPLOADED, GRADED_ON):
        meta.pop(fact, None)
    version, recorded_version = identity.get("engine"), meta.pop("engine", None)
    if recorded_version is not None:
        meta.setdefault("results_version", 1)  # before there was one
    differing = sorted(
        key for key in meta if _identifying(key, identity.get(key)) != _identifying(key, meta[key])
    )
    if differing:
        regroup = ""
        if differing == ["settings"] and _only_groups_differ(meta, identity):
            regroup = (
                " Only --group-by differs: `graders report` can group the results that there are in "
                "another way, with an option of the same name."
            )
        raise DataSetError(
            f"{lines} holds results of another run: other {' and '.join(differing)}"
            f"{_which_settings(meta, identity)}{_other_isolation(meta, identity)}. {OVERWRITE_HINT}{regroup}"
        )
    if recorded_version not in (None, version):
        _log.warning(
            "%s was begun with version %s of graders-engine and continues with version %s.",
            lines, recorded_version, version,
        )  # fmt: skip


def shares_rows(settings: Mapping[str, Any]) -> bool:
    """Whether rows of python graders shared processes, in a run with these settings."""
    return settings.get(_ISOLATION) == "worker"


def _which_settings(meta: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """The names of the settings that differ, as in " (judges, metrics)"."""
    one, other = (_identifying("settings", run.get("settings")) for run in (meta, identity))
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return ""
    differing = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    named = ", ".join(sorted(differing - {_ISOLATION}))
    return f" ({named})" if named else ""


def _other_isolation(meta: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """What to say if rows of python graders had a process each in one run, and shared some in the other."""
    settings = (run.get("settings") for run in (meta, identity))
    one, other = (isinstance(each, dict) and shares_rows(each) for each in settings)
    if one == other:
        return ""
    flag = "worker" if one else "call"
    return f" (its python graders ran with --python-isolation {flag})"


def _only_groups_differ(meta: dict[str, Any], identity: dict[str, Any]) -> bool:
    one, other = ({**run["settings"], "group_by": None} for run in (meta, identity))
    return bool(_identifying("settings", one) == _identifying("settings", other))


def _require_meta(lines: Path) -> dict[str, Any]:
    path = meta_path(lines)
    try:
        meta = _read(path)
    except (OSError, ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise DataSetError(
            f"{lines} exists, and {path.name} does not say that a run wrote it. Write to another file; "
            "--overwrite would replace it."
        )
    return meta


def _identifying(key: str, part: Any) -> Any:
    """What of a part of the identity must be equal; of the grader, everything."""
    if key == "grader" or not isinstance(part, dict):
        return part
    return {
        name: _identifying(name, value) for name, value in part.items() if name not in _INFORMATIVE
    }
