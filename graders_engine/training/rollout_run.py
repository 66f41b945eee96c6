"""A reinforcement job while TRL trains it: its completions are graded, which is what it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from graders_engine.outcome import Flag
from graders_engine.training.chat import Chat
from graders_engine.training.reward import Rewards, Tally
from graders_engine.training.rows import Row, Split
from graders_engine.training.run import Run
from graders_engine.training.samples import sample_of
from graders_engine.training.schedule import Schedule
from graders_engine.training.slow_grading import warned_of
from graders_engine.training.step_data import step_data
from graders_engine.training.trainer import JobSpec, Report, StepReport, TrainingFailed

_MOST_CLIPPED = 0.5


class RolloutRun(Run):
    """What a reinforcement job's callbacks and its reward do.

    Args:
        spec, schedule, report, tokens, memory: as for `Run`; `tokens` are those of the prompts.
        rewards: grades.
        rows: of both files.
        chat: of the model.
        tokenizer: reads tool calls out of completions.
    """

    def __init__(
        self,
        spec: JobSpec,
        schedule: Schedule,
        report: Report,
        tokens: list[int],
        memory: Mapping[str, Any],
        *,
        rewards: Rewards,
        rows: Mapping[Split, list[Row]],
        chat: Chat,
        tokenizer: Any,
    ) -> None:
        super().__init__(spec, schedule, report, tokens, memory)
        self._rewards, self._rows = rewards, rows
        self._chat, self._tokenizer = chat, tokenizer
        self._tallies: dict[Split, Tally] = {}
        self._has_warned_of_length = bool(memory.get("has_warned_of_length"))
        self._has_warned_of_errors = bool(memory.get("has_warned_of_errors"))
        parts = rewards.compiled.spec.parts()
        self._graders = {"": rewards.compiled.spec.name or "grader"}
        self._graders |= {key: part.name or key for key, part in parts.items()}
        # TRL names the function in its logs.
        self.__name__ = "reward"

    def __call__(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Any,
        row: Sequence[int],
        **_: Any,
    ) -> list[float | None]:
        """The rewards of completions: TRL calls it in each step, and for each batch of an evaluation."""
        begun = monotonic()
        split: Split = "train" if self.trainer.model.training else "valid"
        step = self.trainer.state.global_step + (split == "train")
        rows = [self._rows[split][position] for position in row]
        samples = [
            self._sample(one, prompt, text, ids)
            for one, prompt, text, ids in zip(
                rows, prompts, completions, completion_ids, strict=True
            )
        ]
        if split == "train":
            self.part_took("sampling", self.since_begun)
            self._tallies = {}
        counted = Tally()
        if (
            split == "train"
        ):  # those of an evaluation are not trained, and `_tokens` has not its rows
            counted.tokens = sum(map(len, completion_ids)) + sum(self._tokens[one] for one in row)
        found, tallies = self._graded(counted, step, split, rows, samples)
        tally = self._tallies.setdefault(split, Tally())
        for one in tallies:
            tally.add(one)
        if split == "train":
            self.part_took("grading", monotonic() - begun)
            self._rewards.require_sense(tally)
        return found

    def _graded(
        self, tally: Tally, step: int, split: Split, rows: list[Row], samples: list[Any]
    ) -> tuple[list[float | None], list[Tally]]:
        """The rewards of this process's samples, and the tallies of all processes."""
        from accelerate.utils import gather_object

        failed: TrainingFailed | None = None
        found: list[float | None] = []
        try:
            with warned_of(self.report, step, len(samples)):
                found = self._rewards.grade(tally, step, split, rows, samples)
        except TrainingFailed as error:
            failed = error
        # All have to know: none may wait for one that has ended.
        own = tally, failed and (failed.code, failed.message, failed.param)
        gathered: list[tuple[Tally, Any]] = gather_object([own])
        for _, arguments in gathered:
            if arguments:
                raise TrainingFailed(*arguments)
        return found, [one for one, _ in gathered]

    def _sample(self, row: Row, prompt: str, text: str, ids: Sequence[int]) -> Any:
        tools = row.value.get("tools")
        before = self._chat.ids(prompt) if tools else []
        return sample_of(self._tokenizer, tools, text, ids, before)

    def tokens_of(self, step: int) -> int:
        """The tokens of the step's prompts, one for each completion, and of the completions."""
        return self._tallies["train"].tokens

    def numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The mean reward beside what all methods have."""
        found = super().numbers(logs)
        reward = self._tallies["train"].reward_mean
        return found if reward is None else {**found, "reward_mean": reward}

    def valid_numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The mean reward, and the share of completions that cannot be read; neither in an outage."""
        tally = self._tallies["valid"]
        reward = tally.reward_mean
        if reward is None or tally.has_outage:
            return {}
        return {"reward_mean": reward, "parse_error_mean": tally.flag_mean(Flag.SAMPLE_PARSE)}

    def data(self, seconds: Mapping[str, float], local: Mapping[str, float]) -> dict[str, Any]:
        """What the metrics event says beside the numbers."""
        return step_data(self._graders, self._tallies, seconds, local)

    def send(self, report: StepReport) -> None:
        """Tell of a step after its rollouts."""
        self.report.rollouts(
            [rollout for tally in self._tallies.values() for rollout in tally.rollouts]
        )
        super().send(report)
        self._warn_of_length(report)
        self._warn_of_errors(report.step)

    def evaluated(self, control: Any) -> None:
        """The evaluation is done; the job pauses behind it if too many of its rollouts have no reward."""
        tally = self._tallies["valid"]
        if tally.has_outage:
            self.paused = f"Validation: {tally.outage()}"
        super().evaluated(control)

    def memory(self) -> dict[str, Any]:
        """What a resumed job needs to know beside TRL's state."""
        return {
            **super().memory(),
            "window": list(self._rewards.window),
            "has_warned_of_length": self._has_warned_of_length,
            "has_warned_of_errors": self._has_warned_of_errors,
        }

    def _warn_of_length(self, report: StepReport) -> None:
        clipped = report.data["local"].get("clipped_ratio", 0)
        if clipped > _MOST_CLIPPED and not self._has_warned_of_length:
            self._has_warned_of_length = True
            self.report.warn(
                f"{clipped:.0%} of the completions of step {report.step} were cut off at the limit of "
                f"{self.spec.max_completion_tokens} tokens.",
                {"step": report.step, "clipped_ratio": clipped},
            )

    def _warn_of_errors(self, step: int) -> None:
        tally = self._tallies["train"]
        failed = tally.blames["grader"]
        if failed and not self._has_warned_of_errors:
            self._has_warned_of_errors = True
            self.report.warn(
                f"The grader failed on {failed} of the {len(tally.rollouts)} rollouts of step {step}; they "
                "count with what it gives all the same, mostly 0. `errors` in the metrics events counts them "
                f"for each step. One of its errors: {tally.example}",
                {"step": step, "failed": failed},
            )
