"""How the rewards of rollouts come about: their lines in the file, explained with the job's grader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine
from graders_engine.engine import AsyncEngine
from graders_engine.errors import GradersError
from graders_engine.files import without_paths
from graders_engine.jobs.page.rollouts import MAX_LINE_BYTES, Picked, Rollouts
from graders_engine.language import strict_json
from graders_engine.report.explain import Explanation, explained
from graders_engine.report.html.job import RolloutCard
from graders_engine.report.html.job_filters import as_text
from graders_engine.report.regraded import Needs, graded_again, needs_of
from graders_engine.settings import EngineSettings

_TEXT_CHARS = 4_000
"""Characters of a row and of an answer."""
_GONE = "The line of this rollout cannot be read any more."
_DIFFERS = (
    "Graded again, its reward is {}: the settings are others, or the grader does not repeat itself."
)


class Explaining:
    """Explains the rollouts of a job.

    Args:
        grader: its JSON; None without one.
        settings: of the engine that grades again.

    Attributes:
        compiled: the grader; None if this version cannot read it.
        problem: why; empty if it can.
    """

    def __init__(self, grader: Any, settings: EngineSettings) -> None:
        self.compiled: CompiledGrader | None = None
        self.problem = "" if grader else "The job has no grader."
        self._needs = Needs()
        self._made: dict[tuple[int, bytes], RolloutCard] = {}
        if not grader:
            return
        try:
            engine = AsyncEngine.from_settings(settings)  # it holds nothing while nothing waits
            self.compiled = engine.compile(grader, check_sources=False)
        except (GradersError, ValueError, TypeError) as error:
            self.problem = without_paths(f"This version cannot read the job's grader: {error}")
            return
        self._needs = needs_of(self.compiled)

    @property
    def graders(self) -> tuple[int | None, int]:
        """How many graders an answer is graded by, and how many of them ask a judge; None if unknown."""
        if self.compiled is None:
            return None, 0
        leaves = [*self.compiled.spec.parts().values()] or [self.compiled.spec]
        return len(leaves), sum(bool(leaf.judge_models()) for leaf in leaves)

    def cards(self, rollouts: Rollouts, picked: list[Picked]) -> list[RolloutCard]:
        """Rollouts with their explanations; those of the last time are made no second time."""
        made = {}
        for one in picked:
            try:
                line = rollouts.read(one.position)
            except OSError:
                line = b""
            made[one.position.line, line] = self._made.get((one.position.line, line)) or self._card(
                one, line
            )
        self._made = made
        return [*made.values()]

    def _card(self, picked: Picked, line: bytes) -> RolloutCard:
        reward, step, split, row, position = picked
        found = _object(line)
        if found is None or len(line) > MAX_LINE_BYTES:
            return RolloutCard(position.line, step, split, row, reward, problem=_GONE)
        item, sample = found.get("item"), found.get("sample")
        explanation, problem = self._explanation(picked, found)
        return RolloutCard(
            position.line, step, split, row, reward, _text(item), _text(sample), explanation, problem
        )  # fmt: skip

    def _explanation(
        self, picked: Picked, found: Mapping[str, Any]
    ) -> tuple[Explanation | None, str]:
        """The explanation of a rollout, and what must be known of it."""
        if self.compiled is None:
            return None, self.problem
        sample = found.get("sample")
        key = "model_sample" if isinstance(sample, str) else "sample"
        row = {"item": found.get("item"), key: sample}  # as it is graded while the job trains
        recorded = ResultLine(
            picked.position.line, picked.reward, "failed" if picked.reward is None else "scored",
            _converted(found.get("sub_rewards"), dict[str, float | None]),
            _converted(found.get("flags"), dict[str, str]), 0.0,
        )  # fmt: skip
        try:
            graded = graded_again(self.compiled, self._needs, row)
            explanation = explained(
                self.compiled, row, picked.position.line, graded, recorded=recorded
            )
        except (GradersError, RecursionError, ValueError) as error:
            return None, without_paths(f"It cannot be explained: {error}")
        if isinstance(graded, str) or graded.counted == picked.reward:
            return explanation, ""
        again = "none" if graded.counted is None else repr(graded.counted)
        return explanation, _DIFFERS.format(again)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = strict_json.decode(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str:
    """The start of a row or an answer, as text."""
    try:
        return as_text(value)[: _TEXT_CHARS + 1]
    except RecursionError:
        return "(It nests too deep to be written.)"


def _converted(value: Any, type_: Any) -> Any:
    """A value of a type; an empty one in place of anything else."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return {}
