"""A job in two processes on this machine: as in one, but each has a half of each step.

The launcher starts several processes only for GPUs; told to use none, these compute on the CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.training.jobs import job, prompts
from tests.training.test_resume import FORMAT

ROOT = Path(__file__).parents[2]
E_OR_NOT = {
    "type": "python",
    "name": "e_or_not",
    "source": "def grade(sample, item):\n    return 0.5 + 0.5 * ('e' in sample['output_json']['e'])\n",
}
"""It fails, so that the reward is 0, on answers that are not bound to the format."""

CONFIG = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 1
num_processes: 2
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
use_cpu: true
rdzv_backend: static
same_network: true
"""


def in_processes(folder: Path, *, pause_at: int = 0, step: int = 0) -> dict[str, Any]:
    """The record of a job whose spec is in the folder's parent."""
    command = [
        *(
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--config_file",
            "../accelerate.yaml",
        ),
        *("--main_process_port", "0", "-m", "tests.training.beside"),
        *("../spec.json", ".", str(pause_at), str(step)),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()[-6000:]
    found: dict[str, Any] = msgspec.json.decode((folder / "record.json").read_bytes())
    return found


def test_two_processes_share_each_step_and_resume_without_a_difference(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(5), grader=E_OR_NOT, valid=prompts(2),
        response_format=FORMAT, max_completion_tokens=48,
        hyperparameters={
            "n_epochs": 2, "batch_size": 2, "eval_interval": 3, "eval_samples": 2, "compute_multiplier": 0.5,
        },
    )  # fmt: skip
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    (tmp_path / "accelerate.yaml").write_text(CONFIG)
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
    unbroken = in_processes(tmp_path / "unbroken")
    assert [step for step, *_ in unbroken["curve"]] == [1, 2, 3, 4, 5]
    for step, train, _, _ in unbroken["curve"]:
        rewards = [
            reward for of, split, reward in unbroken["rollouts"] if (of, split) == (step, "train")
        ]
        assert len(rewards) == unbroken["planned"] == 8
        assert set(rewards) <= {0.5, 1}
        assert train["reward_mean"] == pytest.approx(sum(rewards) / 8)
    first = in_processes(tmp_path / "broken", pause_at=2)
    assert (tmp_path / "broken" / "step-2" / "state" / "rng_state_1.pth").exists()
    second = in_processes(tmp_path / "broken", step=2)
    assert first["curve"] + second["curve"] == unbroken["curve"]
    assert second["weights"] == unbroken["weights"]
