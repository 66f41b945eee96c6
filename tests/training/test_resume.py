"""A job that pauses or dies and is resumed gives the same curve, to the last digit, and the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine.training.trainer import JobSpec, Resumed
from graders_engine.training.trl_trainer import TRLTrainer
from tests.training.jobs import MANY_E, PREFERENCE, TURNS, job, prompts, trained
from tests.training.recorder import Died, Recorder

KINDS = [
    "supervised", "dpo", "reinforcement", "reinforcement with adapters", "reinforcement in a format",
]  # fmt: skip
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {
            "type": "object",
            "properties": {"e": {"type": "string", "maxLength": 4}},
            "required": ["e"],
            "additionalProperties": False,
        },
    },
}
INTERVAL = 3
ROOT = Path(__file__).parents[2]


def spec_of(kind: str, base: Path, folder: Path) -> JobSpec:
    """A job of 10 steps in four epochs of 5 rows."""
    method = kind.split()[0]
    rows: dict[str, list[Any]] = {
        "supervised": [_with_content(TURNS, str(at)) for at in range(5)],
        "dpo": [{**PREFERENCE, "preferred_output": [_says(str(at))]} for at in range(5)],
        "reinforcement": prompts(5),
    }
    return job(
        base, folder, method, rows[method], valid=rows[method][:2], grader=MANY_E,
        response_format=FORMAT if "format" in kind else None,
        lora={"r": 4, "alpha": 8} if "adapters" in kind else None,
        hyperparameters={
            "n_epochs": 4, "batch_size": 2, "eval_interval": INTERVAL, "eval_samples": 2,
            "compute_multiplier": 0.5,
        },
    )  # fmt: skip


def _says(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _with_content(row: Any, text: str) -> dict[str, Any]:
    return {"messages": [*row["messages"][:-1], _says(text)]}


@pytest.fixture(scope="module", params=KINDS)
def whole(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[JobSpec, Recorder]:
    """A job that was trained without a break."""
    folder = tmp_path_factory.mktemp("whole")
    spec = spec_of(request.param, base, folder)
    return spec, trained(spec, folder / "kept")


@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_pause_changes_nothing(
    whole: tuple[JobSpec, Recorder], tmp_path: Path, step: int
) -> None:
    spec, unbroken = whole
    first = trained(spec, tmp_path / "first", pause_at=step)
    assert [one.step for one in first.steps] == list(range(1, step + 1))
    assert first.kept[-1][0] == step
    second = trained(spec, tmp_path / "second", first.newest())
    assert [*first.curve(), *second.curve()] == unbroken.curve()
    assert second.weights() == unbroken.weights()
    assert second.warnings == [] or spec.method == "reinforcement"


@pytest.mark.parametrize("step", [5, 7, 10])
def test_a_death_changes_nothing(
    whole: tuple[JobSpec, Recorder], tmp_path: Path, step: int
) -> None:
    spec, unbroken = whole
    first = Recorder(tmp_path / "first", die_at=step)
    with pytest.raises(Died):
        TRLTrainer().train(spec, None, first)
    newest = first.newest()
    second = trained(spec, tmp_path / "second", newest)
    assert [*first.curve()[: newest.step], *second.curve()] == unbroken.curve()
    assert second.weights() == unbroken.weights()
    assert second.found == [one for one in unbroken.found if one.step > newest.step]


def test_a_cancelled_job_ends_behind_its_step_without_a_checkpoint(
    base: Path, tmp_path: Path
) -> None:
    found = trained(spec_of("supervised", base, tmp_path), tmp_path / "kept", cancel_at=2)
    assert [one.step for one in found.steps] == [1, 2]
    assert not found.kept


@pytest.mark.parametrize("kind", ["reinforcement", "reinforcement in a format"])
def test_a_worker_that_is_killed_leaves_what_another_process_goes_on_from(
    base: Path, tmp_path: Path, kind: str
) -> None:
    spec = spec_of(kind, base, tmp_path)
    unbroken = trained(spec, tmp_path / "unbroken")
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    command = [sys.executable, "-m", "tests.training.killed", "spec.json", "kept", "8"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    kept = sorted(int(path.name.removeprefix("step-")) for path in (tmp_path / "kept").iterdir())
    assert kept == [3, 6]
    second = trained(spec, tmp_path / "second", Resumed(6, tmp_path / "kept" / "step-6"))
    assert second.curve() == unbroken.curve()[6:]
    assert second.weights() == unbroken.weights()
