"""Reinforcement jobs whose rollouts are graded as those of a trainer; the answers are no model's."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from graders_engine.jobs.checkpoints import Checkpoints
from graders_engine.jobs.reporting import JobReport
from graders_engine.outcome import Flag
from graders_engine.training.reward import Rewards, Tally
from graders_engine.training.rows import Row, Split
from graders_engine.training.step_data import step_data
from graders_engine.training.trainer import JobSpec, Plan, StepReport
from tests.jobs.made import PROJECT, Bench

GRADER: dict[str, Any] = {
    "type": "multi",
    "name": "sum",
    "graders": {
        "total": {
            "type": "string_check",
            "name": "total",
            "operation": "eq",
            "input": "{{sample.output_json.total}}",
            "reference": "{{item.label}}",
        },
        "words": {
            "type": "text_similarity",
            "name": "words",
            "evaluation_metric": "fuzzy_match",
            "input": "{{sample.output_json.words}}",
            "reference": "{{item.words}}",
        },
    },
    "calculate_output": "0.8 * total + 0.2 * words",
}
ROWS: list[dict[str, Any]] = [
    {
        "messages": [{"role": "user", "content": f"What is {n} plus {n}? Answer in JSON."}],
        "label": str(2 * n),
        "words": f"{n} and {n}",
    }
    for n in range(1, 9)
]
Answer = Callable[[random.Random, int, dict[str, Any]], Any]
"""An answer to a row, by the step."""


def learning(draw: random.Random, step: int, row: dict[str, Any]) -> Any:
    """Answers that are better at each step; some are no JSON."""
    if draw.random() < 0.3 / step:
        return "no JSON"
    right = draw.random() < min(0.95, step / 12)
    words = row["words"] if draw.random() < 0.5 else "I do not know"
    return json.dumps({"total": row["label"] if right else "0", "words": words})


@dataclass
class GradedJob:
    """A job that works step by step, as its worker would.

    Attributes:
        bench: where it is.
        steps: of all of it.
        interval: steps from one validation to the next.
        group: answers to each row.
        batch: rows of a step.
        answer: gives the answers.
        grader: of the job.
        outages: steps, each with how many of its rollouts have no reward.
        rows: of both files.
    """

    bench: Bench
    steps: int = 12
    interval: int = 4
    group: int = 4
    batch: int = 2
    answer: Answer = learning
    grader: Mapping[str, Any] | None = None
    outages: Mapping[int, int] | None = None
    rows: Sequence[dict[str, Any]] = ()
    request: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.draw = random.Random(5)  # noqa: S311 - no secret
        self.given = list(self.rows or ROWS)
        self.id = self.bench.job(
            status="running", steps=self.steps, grader=dict(self.grader or GRADER)
        )
        jobs = self.bench.store.jobs
        made = self.bench.job_of(self.id)
        values = {
            "n_epochs": 3, "batch_size": self.batch, "learning_rate_multiplier": 1.0,
            "eval_interval": self.interval, "eval_samples": 1, "compute_multiplier": 0.5,
        }  # fmt: skip
        self.folder = self.bench.place(self.id)
        self.folder.mkdir(parents=True)
        self.valid = self.given[: max(1, len(self.given) // 2)]
        (self.folder / "validation.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in self.valid)
        )
        spec = {**made.spec, "hyperparameters": values, "validation_file": "validation.jsonl"}
        self.spec = msgspec.convert(spec, JobSpec)
        request = self.request or {
            "model": "tiny", "suffix": "sums", "training_file": "file-1", "validation_file": "file-2",
            "method": {"type": "reinforcement", "reinforcement": {"hyperparameters": {"n_epochs": 3}}},
        }  # fmt: skip
        assert jobs.delete(PROJECT, self.id)
        assert jobs.add(replace(made, spec=spec, request=request, created_at=1_900_000_000))
        self.rewards = Rewards(self.spec)
        job = self.bench.job_of(self.id)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.report = JobReport(
            jobs, self.spec, self.folder, Checkpoints(jobs, job, self.folder), 0
        )
        self.report.plan(Plan(self.steps, len(self.given), "cpu", 99_008, self.batch * self.group))
        (self.folder / "validation.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in self.valid)
        )
        self.step = 0

    def work(self, steps: int) -> None:
        """Do so many steps."""
        for _ in range(steps):
            self._one_step(self.step + 1)

    def _one_step(self, step: int) -> None:
        chosen = [self.draw.randrange(len(self.given)) for _ in range(self.batch)]
        rows = [Row(number + 1, self.given[number]) for number in chosen for _ in range(self.group)]
        tallies: dict[Split, Tally] = {"train": self._graded(step, "train", rows)}
        if step % self.interval == 0 or step == self.steps:
            rows = [Row(number, row) for number, row in enumerate(self.valid, 1)]
            tallies["valid"] = self._graded(step, "valid", rows)
        self.report.rollouts([one for tally in tallies.values() for one in tally.rollouts])
        seconds = {
            "sampling": 2.0,
            "grading": 0.25,
            "training": 1.0,
            "eval": 0.5 * ("valid" in tallies),
        }
        seconds["full_iteration"] = sum(seconds.values())
        groups = [
            tallies["train"].rollouts[at : at + self.group]
            for at in range(0, self.batch * self.group, self.group)
        ]
        same = sum(len({one.reward for one in group}) == 1 for group in groups) / len(groups)
        graders = {"": str(self.spec.grader and self.spec.grader["name"])}
        graders |= {
            key: part["name"]
            for key, part in ((self.spec.grader or {}).get("graders") or {}).items()
        }
        data = step_data(graders, tallies, seconds, {"frac_zero_std": same, "clipped_ratio": 0.0})
        train = _mean(tallies["train"])
        valid = (
            _mean(tallies["valid"])
            if "valid" in tallies and not tallies["valid"].has_outage
            else {}
        )
        if valid:
            valid["parse_error_mean"] = tallies["valid"].flag_mean(Flag.SAMPLE_PARSE)
        self.report.step(StepReport(step, {"loss": 0.0, **train}, valid, 640 * step, data))
        self.step = step
        if "valid" in tallies:
            self.report.checkpoint(step, _write, valid, final=step == self.steps)

    def _graded(self, step: int, split: Split, rows: list[Row]) -> Tally:
        tally = Tally()
        samples = [self.answer(self.draw, step, row.value) for row in rows]
        self.rewards.grade(tally, step, split, rows, samples)
        if split == "train":
            for number in range((self.outages or {}).get(step, 0)):
                flags = {"model_grader_server_error": "The judge answered 503."}
                tally.rollouts[number] = replace(tally.rollouts[number], reward=None, flags=flags)
                tally.blames["infrastructure"] += 1
                tally.errors["", "model_grader_server_error"] += 1
        return tally

    def close(self) -> None:
        """Close its files."""
        self.report.close()
        self.rewards.close()


def _mean(tally: Tally) -> dict[str, float]:
    return {} if tally.reward_mean is None else {"reward_mean": tally.reward_mean}


def _write(folder: Any) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_text("weights")
