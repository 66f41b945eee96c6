"""A trainer for jobs that come over the API: the scripted one, with the steps that such a job has.

What it does besides, a file says that is named for the job's seed: `script-SEED.json` beside the store's
folders, as `scripted` has it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from graders_engine.jobs.requests.hyperparameters import total_steps
from graders_engine.training.trainer import JobSpec, Report, Resumed
from tests.jobs.scripted import ScriptedTrainer


class ServedTrainer(ScriptedTrainer):
    """See above."""

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        rows = Path(spec.training_file).read_text(encoding="utf-8").count("\n")
        values = spec.hyperparameters
        script = Path("../..") / f"script-{spec.seed}.json"
        more = {
            "steps": total_steps(values, rows),
            "eval_interval": values.get("eval_interval", 5),
            "script": script.read_text(encoding="utf-8") if script.exists() else "{}",
        }
        super().train(replace(spec, hyperparameters={**values, **more}), resumed, report)
