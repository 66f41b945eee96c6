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


def script_of(spec: JobSpec) -> dict[str, Any]:
    """What the file for the job's seed says."""
    file = Path(spec.training_file).parents[2] / f"script-{spec.seed}.json"
    script: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return script


class ServedTrainer(ScriptedTrainer):
    """See above."""

    def check(self, spec: JobSpec) -> None:
        values = {**spec.hyperparameters, "script": json.dumps(script_of(spec))}
        super().check(replace(spec, hyperparameters=values))

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        rows = Path(spec.training_file).read_text(encoding="utf-8").count("\n")
        values = spec.hyperparameters
        script = script_of(spec)
        paced: Any = Paced(report, script.pop("pace", 0.0))
        more = {
            "steps": total_steps(values, rows),
            "eval_interval": values.get("eval_interval", 5),
            "script": json.dumps(script),
        }
        super().train(replace(spec, hyperparameters={**values, **more}), resumed, paced)
