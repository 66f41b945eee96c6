"""A pytest plug-in: the fixture `assert_reward`, which tests an output with a grader.

Where `grader.json` is a string_check of the output and `{{item.answer}}`::

    def test_the_capital(assert_reward):
        output = "Paris"  # what your system answers to "The capital of France?"
        assert_reward("@grader.json", output, {"answer": "Paris"}, at_least=0.8)

An output without a reward fails the test. Where a judge failed, or its endpoint is down, nothing is known of
the output: `--graders-outage=skip` or `xfail` says so in place of `fail`. Run with pytest 8.3 to 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest  # and nothing heavy: each pytest of an environment that has this package imports this file


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--graders-outage`."""
    parser.getgroup("graders").addoption(
        "--graders-outage",
        choices=("fail", "skip", "xfail"),
        default="fail",
        help="What a test is whose judge failed: nothing is known of the output then.",
    )


@pytest.fixture
def assert_reward(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Fail the test unless an output has a reward of `at_least`; gives the row's outcome.

    Its arguments are a grader, an output and an item, as for GraderReward, and its settings.
    """
    outage: str = request.config.getoption("--graders-outage")

    def check(
        grader: Any, output: Any, item: Any = None, *, at_least: float = 1.0, **settings: Any
    ) -> Any:
        from graders_engine.adapters.reward import shared_reward, status_of

        reward = shared_reward(grader, settings)
        row = reward.grade(output, item)
        request.node.user_properties.append((reward.name, row.counted))
        if row.counted is not None and row.counted >= at_least:
            return row
        got = "no reward" if row.counted is None else f"reward {row.counted:g}"
        found = [f"{got}, but at least {at_least:g} was wanted ({status_of(row)})"]
        found += [f"  {key}: {value}" for key, value in (row.sub_rewards | row.flags).items()]
        text = "\n".join([*found, f"  output: {output}"])
        if status_of(row) == "failed" and outage != "fail":
            (pytest.skip if outage == "skip" else pytest.xfail)(text)
        return pytest.fail(text, pytrace=False)

    return check
