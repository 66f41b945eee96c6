"""Which core computed the text metrics is recorded, and makes no difference to the results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.results.compare import compare
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.scoring.score import score_file
from graders_engine.metrics import core
from graders_engine.report.provenance import Provenance
from tests.dataset.files import cats, command, timeless, write_rows
from tests.environment import unmeasured

SIMILARITY = {
    "type": "text_similarity",
    "name": "similar",
    "input": "{{ sample.output_text }} on the mat",
    "reference": "the cat {{ item.label }} on a mat",
    "evaluation_metric": "rouge_l",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(10))


def test_a_run_of_one_core_continues_with_the_other_and_both_are_recorded(
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out.jsonl"
    monkeypatch.setattr(core, "ACTIVE", "compiled")
    score_file(engine, string_check, data, out)
    assert read_meta(out)["metrics_core"] == "compiled"
    monkeypatch.setattr(core, "ACTIVE", "pure")
    score_file(engine, string_check, data, out)  # nothing is left to grade
    assert read_meta(out)["metrics_core"] == "compiled"
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:5]))
    score_file(engine, string_check, data, out)
    assert read_meta(out)["metrics_core"] == "compiled, pure"
    assert ("engine", f"graders-engine {core_of(out)}") in Provenance(out, read_meta(out)).facts()
    assert not caplog.records


def core_of(out: Path) -> str:
    meta = read_meta(out)
    return f"{meta['engine']} (metrics: {meta['metrics_core']})"


def test_results_of_a_version_that_recorded_no_core_get_none(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, data: Path
) -> None:
    out = tmp_path / "out.jsonl"
    score_file(engine, string_check, data, out)
    beside = out.with_name("out.jsonl.meta.json")
    meta = json.loads(beside.read_text())
    beside.write_text(json.dumps({k: v for k, v in meta.items() if k != "metrics_core"}))
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:5]))
    score_file(engine, string_check, data, out)
    assert "metrics_core" not in read_meta(out)
    assert len(out.read_bytes().splitlines()) == 10


def test_both_cores_give_the_same_results_and_nothing_to_compare(
    tmp_path: Path, data: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(SIMILARITY))
    compiled, pure = tmp_path / "compiled.jsonl", tmp_path / "pure.jsonl"
    subprocess.run(command(grader, data, compiled, "--quiet"), check=True)
    environment = {**unmeasured(), "GRADERS_PURE": "1"}
    subprocess.run(command(grader, data, pure, "--quiet"), check=True, env=environment)
    assert timeless(pure) == timeless(compiled)
    found = compare(compiled, pure)
    assert (found.before.metrics_core, found.after.metrics_core) == (core.ACTIVE, "pure")
    assert not found.setting_changes
    one, other = (reported(path) for path in (compiled, pure))
    assert other.pop("metrics_core") == "pure"
    assert one.pop("metrics_core") == core.ACTIVE
    assert other == one


def reported(out: Path) -> dict[str, Any]:
    """What `report --json` prints, without what differs between any two runs."""
    ended = subprocess.run(
        [sys.executable, "-m", "graders_engine", "report", out, "--json"],
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return {name: value for name, value in found.items() if name not in ("results", "seconds")}
