"""The exceptions of the package can be sent to other processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from graders_engine import errors
from graders_engine.errors import GradersError, Mistake
from graders_engine.graders.base import RewardsDiffer
from graders_engine.outcome import Failure, Flag, RowOutcome, failed

FAILED = RowOutcome(0, failed(Failure(Flag.OTHER, "lost", "infrastructure")))
MADE: list[GradersError] = [
    errors.InvalidGrader([Mistake("No such type.", "grader.type", hint="Write another one."), Mistake("2")]),
    errors.RunStopped("Every row failed.", "Run it again."),
    RewardsDiffer("1.0 became 0.0", "Row 3"),
    errors.NoReward("There is none.", FAILED),
    errors.UndefinedVariable("`item.a` is missing.", "row"),
    errors.NoSandbox("It ended.", "sandbox_error"),
    errors.BackendFailure("No answer.", status=500, message="m", cause="unavailable"),
    errors.BackendBusy("Too many requests.", 2.5, overloaded=True, status=429),
    errors.BackendRejected("No such model.", status=404),
    errors.EndpointFailure("No answer.", "unavailable"),
    errors.FormulaFailure("domain", "log of 0"),
]  # fmt: skip


def every_kind() -> set[type[GradersError]]:
    kinds = {one for _, one in inspect.getmembers(errors, inspect.isclass)}
    return {one for one in kinds if issubclass(one, GradersError)}


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_exception_with_a_constructor_of_its_own_stays_as_it_is(error: GradersError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", sorted(every_kind() - {type(error) for error in MADE}, key=str))
def test_all_the_others_are_made_of_their_text(kind: type[GradersError]) -> None:
    error = kind("What is wrong.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again), vars(again)) == (kind, "What is wrong.", vars(error))
