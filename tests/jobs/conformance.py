"""What every trainer does that stands behind the port; a subclass names the trainer and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.checkpoints import digest
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Resumed,
    Rollout,
    StepReport,
    Stopped,
    Trainer,
    Wanted,
)


@dataclass
class Recorder:
    """A report that keeps in memory what it is given, and checkpoints in a folder.

    Attributes:
        folder: of the checkpoints.
        pause_after: the step after which a pause is wanted.
        stop_after: the step after whose report everything stops, as if the process were killed.
        calls: the names of what was called, with their steps.
    """

    folder: Path
    local = None
    pause_after: int = 0
    stop_after: int = 0
    calls: list[tuple[str, int]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)
    sampled: list[Rollout] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)
    final: int = 0
    stopped: bool = False

    @property
    def wanted(self) -> Wanted:
        self.require_working()
        is_asked = self.pause_after and self.steps and self.steps[-1].step >= self.pause_after
        return "paused" if is_asked else ""

    def require_working(self) -> None:
        if self.stopped:
            raise Stopped

    def plan(self, plan: Plan) -> None:
        self.calls.append(("plan", 0))
        self.plans.append(plan)

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        self.require_working()

    def rollouts(self, found: Sequence[Rollout]) -> None:
        self.require_working()
        self.calls += [("rollouts", one.step) for one in found]
        self.sampled += found

    def step(self, report: StepReport) -> None:
        self.require_working()
        self.calls.append(("step", report.step))
        self.steps.append(report)
        if report.step == self.stop_after:
            self.stopped = True
            raise Stopped

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        self.require_working()
        self.calls.append(("checkpoint", step))
        if step not in self.kept:
            place = self.folder / f"step-{step}"
            place.mkdir()
            write(place)
            self.kept[step] = digest(place / "model")
        if final:
            self.final = step

    def curve(self) -> list[tuple[int, dict[str, float], dict[str, float], int]]:
        return [(one.step, one.train, one.valid, one.trained_tokens) for one in self.steps]


class TrainerConformance:
    """The tests. A job has at least eight steps, and a checkpoint before the last three.

    Attributes:
        trainer: makes one.
    """

    trainer: Callable[[], Trainer]

    @pytest.fixture
    def spec(self, tmp_path: Path) -> JobSpec:
        raise NotImplementedError

    @pytest.fixture
    def whole(self, spec: JobSpec, tmp_path: Path) -> Recorder:
        """What a trainer tells that nothing happens to."""
        return self.trained(spec, tmp_path / "whole")

    def trained(
        self,
        spec: JobSpec,
        folder: Path,
        resumed: Resumed | None = None,
        pause_after: int = 0,
    ) -> Recorder:
        folder.mkdir()
        report = Recorder(folder, pause_after)
        type(self).trainer().train(spec, resumed, report)
        return report

    def test_each_step_is_reported_once_in_its_order_after_the_plan(self, whole: Recorder) -> None:
        total = whole.plans[0].total_steps
        assert whole.calls[0][0] == "plan"
        assert [one.step for one in whole.steps] == list(range(1, total + 1))
        tokens = [one.trained_tokens for one in whole.steps]
        assert tokens == sorted(tokens)
        assert tokens[0] > 0
        assert total >= 8

    def test_the_weights_of_the_last_step_are_the_final_checkpoint(self, whole: Recorder) -> None:
        assert whole.final == whole.plans[0].total_steps
        assert whole.calls[-1] == ("checkpoint", whole.final)
        assert len(set(whole.kept.values())) == len(whole.kept) > 1
        for step, digested in whole.kept.items():
            assert digest(whole.folder / f"step-{step}" / "model") == digested
            assert any((whole.folder / f"step-{step}" / "state").iterdir())

    def test_the_rewards_of_a_step_are_those_of_its_rollouts(
        self, spec: JobSpec, whole: Recorder
    ) -> None:
        if spec.method != "reinforcement":
            assert not whole.sampled
            return
        for report in whole.steps:
            place = whole.calls.index(("step", report.step))
            assert ("rollouts", report.step) in whole.calls[:place]
            assert ("rollouts", report.step) not in whole.calls[place:]
            rewards = [
                one.reward
                for one in whole.sampled
                if (one.step, one.split) == (report.step, "train") and one.reward is not None
            ]
            mean = sum(rewards) / len(rewards)
            assert report.train["reward_mean"] == pytest.approx(mean, abs=1e-6)

    def test_a_pause_is_obeyed_after_its_step_and_a_resume_is_exact(
        self, spec: JobSpec, whole: Recorder, tmp_path: Path
    ) -> None:
        asked = whole.plans[0].total_steps - 3
        paused = self.trained(spec, tmp_path / "paused", pause_after=asked)
        at = paused.steps[-1].step
        assert at - asked in (
            0,
            1,
        )  # a trainer may look before it reports the step that it has done
        assert paused.calls[-1] == ("checkpoint", at)
        assert paused.final == 0
        resumed = Resumed(at, paused.folder / f"step-{at}")
        rest = self.trained(spec, tmp_path / "rest", resumed)
        assert paused.curve() + rest.curve() == whole.curve()
        assert rest.plans == whole.plans
        assert rest.kept[rest.final] == whole.kept[whole.final]

    def test_after_a_death_a_job_is_taken_up_exactly(
        self, spec: JobSpec, whole: Recorder, tmp_path: Path
    ) -> None:
        died = tmp_path / "died"
        died.mkdir()
        report = Recorder(died, stop_after=whole.plans[0].total_steps - 1)
        with pytest.raises(Stopped):
            type(self).trainer().train(spec, None, report)
        assert report.calls[-1] == ("step", report.stop_after)
        at = max(report.kept)
        rest = self.trained(spec, tmp_path / "rest", Resumed(at, died / f"step-{at}"))
        assert rest.curve() == whole.curve()[at:]
        assert rest.kept[rest.final] == whole.kept[whole.final]
