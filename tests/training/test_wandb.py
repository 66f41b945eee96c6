"""A job that names wandb leaves a run with its numbers, without a key beside the job."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from graders_engine.training.trainer import JobSpec, TrainingFailed
from graders_engine.training.wandb_report import WandbReport
from tests.training.jobs import TURNS, job, trained
from tests.training.recorder import Recorder


@pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra `wandb`")
def test_without_a_key_the_run_is_written_beside_the_job_and_a_warning_names_how_to_upload_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("WANDB_MODE", "WANDB_ERROR_REPORTING"):
        monkeypatch.setenv(name, "")  # so that what the job sets is undone
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    integration = {"type": "wandb", "wandb": {"project": "mine", "tags": ["a"]}}
    spec = job(base, tmp_path, "supervised", [TURNS] * 4, wandb=integration)
    found = trained(spec, tmp_path / "kept")
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert f"wandb sync {folder}" in found.warnings[0]
    (binary,) = folder.glob("run-ftjob-1.wandb")
    content = binary.read_bytes()
    assert b"train/loss" in content
    assert b"mine" in content


def test_without_the_package_the_integration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    spec = JobSpec("ftjob-1", "dpo", "", None, 1e-3, 8, "", None, {}, 1, wandb={"project": "p"})
    with pytest.raises(TrainingFailed) as failed:
        WandbReport(spec, Recorder(tmp_path))
    assert (failed.value.code, failed.value.param) == ("integration_not_available", "integrations")
