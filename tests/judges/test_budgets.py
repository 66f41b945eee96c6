"""A budget where replies do not say what they took."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graders_engine.errors import BudgetSpent
from graders_engine.models.base import ModelReply
from graders_engine.models.policies import Budget, Budgeted, Price
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from tests.judges.clock import in_virtual_time
from tests.judges.test_conformance import asking

UNCOUNTED = {
    "nothing": (Usage(), {"max_tokens": 1000}),
    "nothing for money": (Usage(), {"max_cost": 1.0}),
    "only the sum, for money": (Usage(0, 50, 0), {"max_cost": 1.0}),
}


@pytest.mark.parametrize(("usage", "limits"), UNCOUNTED.values(), ids=UNCOUNTED)
def test_a_budget_that_replies_do_not_let_be_kept_ends_behind_the_first(
    usage: Usage, limits: dict[str, Any]
) -> None:
    async def main() -> None:
        backend = Scripted(ModelReply("{}", "m", usage))
        budgeted = Budgeted(backend, Budget(**limits, prices={"judge-1": Price(input=2, output=3)}))
        askers = (budgeted.complete(asking(str(n))) for n in range(9))
        outcomes = await asyncio.gather(*askers, return_exceptions=True)
        assert [isinstance(outcome, ModelReply) for outcome in outcomes] == [True] + [False] * 8
        with pytest.raises(
            BudgetSpent, match="cannot be kept: the replies of 'judge-1' do not say"
        ):
            await budgeted.complete(asking("x"))
        assert len(backend.requests) == 1

    in_virtual_time(main())


def test_a_reply_without_usage_counts_as_the_average_of_the_model_s_others() -> None:
    async def main() -> None:
        replies = [ModelReply("{}", "m", usage) for usage in (Usage(8, 10, 2), Usage(20, 30, 10))]
        refusal = ModelReply("", "m", refusal="filtered")
        backend = Scripted([refusal, *replies, ModelReply("{}", "m")])
        budget = Budget(max_tokens=1000)
        for number in range(4):
            await Budgeted(backend, budget).complete(asking(str(number)))
        assert budget.tokens == 60

    in_virtual_time(main())
