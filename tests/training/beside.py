"""One of the processes that train a job: `-m tests.training.beside SPEC FOLDER PAUSE_AT STEP`.

STEP is that of the checkpoint in FOLDER from which the job is resumed; 0 for none. The first process leaves
its record in `record.json` of FOLDER.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.training.trainer import JobSpec, Resumed
from graders_engine.training.trl_trainer import TRLTrainer
from tests.training.recorder import Recorder


class Silent(Recorder):
    """A report of a process that is not the first: it keeps nothing."""

    def checkpoint(self, *_: Any, **__: Any) -> None:
        raise AssertionError("only the first process keeps weights")


def main(spec_file: Path, folder: Path, pause_at: int, step: int) -> None:
    spec = msgspec.json.decode(spec_file.read_bytes(), type=JobSpec)
    resumed = Resumed(step, folder / f"step-{step}") if step else None
    is_first = os.environ["RANK"] == "0"
    report = Recorder(folder, pause_at=pause_at, resumed=step) if is_first else Silent(folder)
    TRLTrainer().train(spec, resumed, report)
    if is_first:
        record = {
            "curve": report.curve(),
            "weights": report.weights(),
            "rollouts": [(one.step, one.split, one.reward) for one in report.found],
            "planned": report.plans[0].rollouts_per_step,
        }
        (folder / "record.json").write_bytes(msgspec.json.encode(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
