"""A worker that the system kills: `python -m tests.training.killed SPEC FOLDER STEP`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from graders_engine.training.trainer import JobSpec, StepReport
from graders_engine.training.trl_trainer import TRLTrainer
from tests.training.recorder import Recorder


class Killed(Recorder):
    """A report in whose step the process is killed."""

    step_of_death = 0

    def step(self, report: StepReport) -> None:
        if report.step == self.step_of_death:
            os.kill(os.getpid(), signal.SIGKILL)
        super().step(report)


if __name__ == "__main__":
    report = Killed(Path(sys.argv[2]))
    report.step_of_death = int(sys.argv[3])
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=JobSpec)
    TRLTrainer().train(spec, None, report)
