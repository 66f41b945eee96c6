"""A pytest plug-in: the fixture `assert_reward`, which tests an output with a grader.

::

    def test_the_capital(assert_reward):
        assert_reward("@grader.json", ask("The capital of France?"), {"answer": "Paris"}, at_least=0.8)

An output without a reward fails the test. Where a judge failed, or its endpoint is down, nothing is known of
the output: `--graders-outage=skip` or `xfail` says so in place of `fail`. Run with pytest 8.3 to 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:  # this file is imported by each pytest of an environment that has the package
    from graders_engine.outcome import RowOutcome


class AssertReward(Protocol):
    """What the fixture is; `settings` are those of GraderReward."""

    def __call__(
        self,
        grader: Any,
        output: Any,
        item: Any = None,
        *,
        at_least: float = 1.0,
        **settings: Any,
    ) -> RowOutcome:
        """Fail the test unless the output has at least this reward; give the row's outcome."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--graders-outage`."""
    parser.getgroup("graders").addoption(
        "--graders-outage",
        choices=("fail", "skip", "xfail"),
        default="fail",
        help="What a test is whose judge failed: nothing is known of the output then.",
    )


@pytest.fixture(name="assert_reward")
def _assert_reward(request: pytest.FixtureRequest) -> AssertReward:
    """Fail the test unless an output has a reward."""
    outage: str = request.config.getoption("--graders-outage")

    def check(
        grader: Any, output: Any, item: Any = None, *, at_least: float = 1.0, **settings: Any
    ) -> RowOutcome:
        from graders_engine.adapters.reward import shared_reward

        reward = shared_reward(grader, settings)
        row = reward.grade(output, item)
        request.node.user_properties.append((reward.name, row.counted))
        if row.counted is None or row.counted < at_least:
            text = "\n".join(_lines(row, output, at_least))
            if row.status == "failed" and outage == "skip":
                pytest.skip(text)
            if row.status == "failed" and outage == "xfail":
                pytest.xfail(text)
            pytest.fail(text, pytrace=False)
        return row

    return check


def _lines(row: RowOutcome, output: Any, at_least: float) -> Iterator[str]:
    reward = "no reward" if row.counted is None else f"reward {row.counted:g}"
    yield f"{reward}, but at least {at_least:g} was wanted ({row.status})"
    yield from (f"  {key}: {part}" for key, part in row.sub_rewards.items())
    yield from (f"  {flag}: {details}" for flag, details in row.flags.items())
    yield f"  output: {output}"
