"""What is known of a job when its page is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graders_engine.jobs.page.explaining import Explaining
from graders_engine.jobs.page.rollouts import Rollouts
from graders_engine.jobs.page.steps import Steps
from graders_engine.report.html.job import RolloutCard
from graders_engine.storage.watched_jobs import WatchedJob


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a job.

    Attributes:
        job: its row and its checkpoints.
        steps: its events.
        rollouts: of a reinforcement job.
        explaining: explains them.
        cards: those that were picked: the best, the worst, those without a reward.
        valid_rows: of its validation file; None if that is not known.
        now: seconds since 1970.
    """

    job: WatchedJob
    steps: Steps
    rollouts: Rollouts
    explaining: Explaining
    cards: tuple[Sequence[RolloutCard], Sequence[RolloutCard], Sequence[RolloutCard]]
    valid_rows: int | None
    now: float

    @property
    def method(self) -> str:
        """How it trains."""
        method = self.job.request.get("method")
        kind = method.get("type") if isinstance(method, dict) else None
        return str(kind or self.job.spec.get("method") or "supervised")

    @property
    def has_rewards(self) -> bool:
        """Whether it learns from rewards."""
        return self.method == "reinforcement"

    @property
    def metric(self) -> str:
        """The metric that says most of it."""
        return "reward_mean" if self.has_rewards else "loss"

    @property
    def word(self) -> str:
        """What that metric is called."""
        return "reward" if self.has_rewards else "loss"
