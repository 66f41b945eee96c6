"""All that checks may look at."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graders_engine.errors import Mistake, UnavailableGrader
from graders_engine.models.policies import Price
from graders_engine.outcome import Blame
from graders_engine.preflight.check import WHY_NOT
from graders_engine.preflight.data_file import DataFile
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.options import Options
from graders_engine.preflight.references import ReferenceSource, Sample
from graders_engine.preflight.reward_scale import RewardScale, mean_of, rewards_in, scale_of
from graders_engine.preflight.trials import Plan, Trial

if TYPE_CHECKING:
    from graders_engine.dataset.results.line import ResultLine
    from graders_engine.outcome import RowOutcome


@dataclass(frozen=True, slots=True)
class GivenSample:
    """A sample of the user's that belongs to a row, before it is graded.

    Attributes:
        line: its line in the samples' file.
        number: its number among the samples of a line, from 1; 0 for the only one.
        source: the row to grade.
        item: the item that it is graded with: its row's, where its own says something else.
        sample: the model's output.
        row: the line of the row that it belongs to, of the training or validation file; 0 for none.
        prompt: equal for samples of one prompt.
        other: the fields that the grader reads in which its own item has another value than its row.
    """

    line: int
    number: int
    source: Mapping[str, Any]
    item: Any
    sample: Sample
    row: int
    prompt: str
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GradedSample:
    """A sample of the user's, graded.

    Attributes:
        line: its line in the samples' file.
        number: its number among the samples of a line, from 1; 0 for the only one.
        item: the item that it is graded with: its row's, where its own says something else.
        sample: the model's output: its text, or the whole sample.
        reward: the reward as training would count it; None if a judge, the row or an outage is to blame.
        blame: whose fault it is that there is no reward; None if there is one.
        flags: the flags that are set, with their details.
        sub_rewards: of a multi, by key.
        row: the line of the row that it belongs to, of the training or validation file; 0 for none.
        prompt: equal for samples of one prompt.
        other: the fields that the grader reads in which its own item has another value than its row.
    """

    line: int
    number: int
    item: Any
    sample: Sample
    reward: float | None
    blame: Blame | None
    flags: Mapping[str, str]
    sub_rewards: Mapping[str, float | None]
    row: int
    prompt: str
    other: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: GivenSample, outcome: RowOutcome | ResultLine) -> GradedSample:
        """A sample with what came of grading it."""
        return cls(
            given.line, given.number, given.item, given.sample, outcome.counted, outcome.blame,
            outcome.flags, outcome.sub_rewards, given.row, given.prompt, given.other,
        )  # fmt: skip


_ORDINARY = ("references", "others", "constants", "usual")
_EMPTY = (("empty",), ("blank",), ("refusal",))
"""Stages, and attacks, whose samples a model may give without meaning to mislead."""


@dataclass
class Inputs:
    """All that checks may look at; what is not given is None or empty.

    Attributes:
        options: what is asked.
        job: the fine-tuning job's request.
        job_file: its file's name.
        grader: the grader; None if it cannot be compiled.
        grader_file: its file's name; empty if it was given as JSON.
        mistakes: why it cannot be compiled.
        train: the training file.
        validation: the validation file.
        references: where reference answers come from.
        plan: what was graded.
        trials: what came of it, by stage; a stage that was left out is missing.
        stopped: why the grading ended before all was graded; empty if it did not.
        given: those of the user's samples that belong to a row.
        samples: those of them that have been graded.
        regraded: the trials of the user's samples.
        samples_read: how many samples the file holds.
        samples_unreadable: the lines of those that cannot be read, such as one that is no JSON, with the
            reason.
        samples_lost: the lines of those that belong to no row.
        samples_fault: why they cannot be read; empty if they can.
        samples_file: their file's name.
        samples_sha256: of its bytes, in hexadecimal.
        prices: by the judges' models.
        concurrency: how many answers are graded at once.
        collecting: ids of the checks whose collectors saw the files.
    """

    options: Options
    job: Mapping[str, Any] | None = None
    job_file: str = ""
    grader: GraderFacts | None = None
    grader_file: str = ""
    mistakes: Sequence[Mistake] = ()
    train: DataFile | None = None
    validation: DataFile | None = None
    references: ReferenceSource | None = None
    plan: Plan = field(default_factory=lambda: Plan([]))
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    stopped: str = ""
    given: Sequence[GivenSample] = ()
    samples: Sequence[GradedSample] = ()
    regraded: Sequence[Trial] = ()
    samples_file: str = ""
    samples_sha256: str = ""
    samples_read: int = 0
    samples_unreadable: Sequence[tuple[int, str]] = ()
    samples_lost: Sequence[int] = ()
    samples_fault: str = ""
    prices: Mapping[str, Price] = field(default_factory=dict)
    concurrency: int = 1
    collecting: frozenset[str] = frozenset()

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files of rows that were given, the training file first."""
        return tuple(file for file in (self.train, self.validation) if file is not None)

    @functools.cached_property
    def lacking(self) -> str:
        """Why the engine cannot run the grader, such as a judge without endpoint; empty if it can."""
        if self.grader is None:
            return WHY_NOT["grader"]
        try:
            self.grader.compiled.require_runnable()
        except UnavailableGrader as error:
            reason = str(error).partition(". ")[0].rstrip(".")
            return f"nothing is graded here: {reason}"
        return ""

    @functools.cached_property
    def sure_references(self) -> bool:
        """Whether the reference answers are right answers.

        They are if they are named or implied; if their field's name says so, the grader reads it, and its
        values are what a model would write; or if they are guessed and mostly rewarded.
        """
        trials = self.trials.get("references", ())
        if self.references is None or not trials:
            return False
        if self.references.confidence != "guessed":
            return True
        scale = self.scale
        rewarded = sum(scale.rewarded(trial.reward) for trial in trials) if scale else 0
        plain = self.references.read and not self.references.formed
        return plain or rewarded >= len(trials) / 2

    @property
    def rewards(self) -> list[float]:
        """All that was earned, by what was made up and by the user's samples."""
        trials = [trial.reward for found in self.trials.values() for trial in found]
        known = [*trials, *(sample.reward for sample in self.samples)]
        return [reward for reward in known if reward is not None]

    @property
    def why_unsure(self) -> str:
        """Why there are no reference answers to rely on."""
        if self.references is None or not self.references.field:
            return WHY_NOT["references"]
        if not self.trials.get("references"):
            return "no reference answer was graded"
        return (
            f"`{self.references.field}` seems to be an input: few of its values are rewarded as answers; "
            "name the answer with --reference-field"
        )

    @functools.cached_property
    def scale(self) -> RewardScale | None:
        """The grader's own scale; None if nothing is known of it."""
        trials = {stage: list(found) for stage, found in self.trials.items()}
        by_answer: dict[tuple[str, ...], list[Trial]] = {}
        for trial in (*trials.get("constants", []), *trials.get("usual", [])):
            by_answer.setdefault(trial.ask.label, []).append(trial)
        means = [mean for found in by_answer.values() if (mean := mean_of(found)) is not None]
        return scale_of(
            self.grader.range if self.grader else None,
            trials.get("references", []),
            trials.get("others", []),
            means,
            self.rewards,
            [
                *rewards_in(
                    trial
                    for stage, found in trials.items()
                    for trial in found
                    if stage in _ORDINARY or trial.ask.label[:1] in _EMPTY
                ),
                *(sample.reward for sample in self.samples if sample.reward is not None),
            ],
        )
