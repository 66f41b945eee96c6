"""The attacks alone: what each earns, and the hostile samples as rows to be graded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.language.spelling import nearest
from graders_engine.outcome import details_line
from graders_engine.preflight.attacks.catalog import ATTACKS, BY_NAME
from graders_engine.preflight.attacks.plan import NAME
from graders_engine.preflight.attacks.reached import why_lost
from graders_engine.preflight.attacks.verdicts import SILENCED_BY
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.table import CHECKS

_CHECKS = ("not-jsonl", "hackable", "insensitive")


def checks_asked() -> tuple[str, ...]:
    """The checks of attacks, and those whose findings explain what attacks earn."""
    return tuple(check.id for check in CHECKS if check.id in (*SILENCED_BY, *_CHECKS))


def require_attacks(names: Iterable[str]) -> None:
    """Make sure that each of these is the name of an attack.

    Raises:
        InvalidRequest: one is not.
    """
    for name in names:
        if name not in BY_NAME:
            near = nearest(name, tuple(BY_NAME))
            meant = f" Did you mean `{near}`?" if near else ""
            raise InvalidRequest(
                f"There is no attack `{name}`.{meant} The attacks are {', '.join(BY_NAME)}."
            )


def hostile_rows(inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Each hostile sample that was graded, as a row that `graders score` reads."""
    for trial in inputs.trials.get(NAME, []):
        name, variant = trial.ask.label
        key = "model_sample" if isinstance(trial.ask.sample, str) else "sample"
        yield {
            "item": trial.ask.item,
            key: trial.ask.sample,
            "attack": name,
            "variant": variant,
            "kind": BY_NAME[name].kind,
            "line": trial.ask.line,
            "earned": trial.reward,
        }


def why_unattacked(inputs: Inputs) -> str:
    """Why what was earned says nothing of the grader, though something was; empty if it does.

    Of very long answers only failures and seconds count, so that they count where nothing else was tried.
    """
    trials = inputs.trials.get(NAME, [])
    others = [one for one in trials if BY_NAME[one.ask.label[0]].kind != "robustness"]
    if why := why_lost(others or trials):
        return why
    if not others or any(one.outcome.blame is None for one in others):
        return ""
    reasons = (line for one in others for line in one.outcome.flags.values() if line)
    reason = details_line(next(reasons, "")).rstrip(".")
    return f"none of {len(others):,} was graded without a failure{': ' if reason else ''}{reason}"


def not_tried(inputs: Inputs) -> list[str]:
    """The attacks that do not fit the grader, its rows, or the response format of the job."""
    tried = {trial.ask.label[0] for trial in inputs.trials.get(NAME, [])}
    wanted = inputs.options.attacks or tuple(attack.name for attack in ATTACKS)
    return [name for name in wanted if name not in tried]
