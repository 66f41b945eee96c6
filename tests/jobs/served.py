"""A trainer for jobs that come over the API: the scripted one, with the steps that such a job has.

What it does besides, a file says that is named for the job's seed: `script-SEED.json` beside the store's
folders, as `scripted` has it; and `"pace"`, seconds that each step takes.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from graders_engine.jobs.requests.hyperparameters import total_steps
from graders_engine.training.trainer import JobSpec, Report, Resumed, StepReport
from tests.jobs.scripted import ScriptedTrainer


class Paced:
    """A report whose steps take their time; in all else it is the one that it is given."""

    def __init__(self, report: Report, seconds: float) -> None:
        self.report, self.seconds = report, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.report, name)

    def step(self, report: StepReport) -> None:
        time.sleep(self.seconds)
        self.report.step(report)


class ServedTrainer(ScriptedTrainer):
    """See above."""

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        rows = Path(spec.training_file).read_text(encoding="utf-8").count("\n")
        values = spec.hyperparameters
        file = Path("../..") / f"script-{spec.seed}.json"
        script = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        paced: Any = Paced(report, script.pop("pace", 0.0))
        more = {
            "steps": total_steps(values, rows),
            "eval_interval": values.get("eval_interval", 5),
            "script": json.dumps(script),
        }
        super().train(replace(spec, hyperparameters={**values, **more}), resumed, paced)
