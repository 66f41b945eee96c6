"""Backends that wrap a backend: retries, limits, one asking for all who want the same, a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graders_engine.errors import BackendBusy, BudgetSpent
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest, fingerprint
from graders_engine.models.http import RetryPolicy
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.outcome import Usage

Observer = Callable[[ModelRequest, ModelReply | Exception], None]
"""Called with each request to a judge, and its reply or why there is none."""


class Policy:
    """A backend that is another one, but for what it overrides.

    Args:
        backend: what it wraps.
    """

    def __init__(self, backend: ModelBackend) -> None:
        self.backend = backend
        self.signature = backend.signature

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As the wrapped backend."""
        return await self.backend.complete(request)

    async def close(self) -> None:
        """Close the wrapped backend."""
        await self.backend.close()


class Retrying(Policy):
    """Asks again where that may help (`BackendBusy`), and only there.

    Args:
        backend: what it wraps.
        retry: how long and how often.
    """

    def __init__(self, backend: ModelBackend, retry: RetryPolicy | None = None) -> None:
        super().__init__(backend)
        self.retry = retry or RetryPolicy()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask until there is an answer, or patience ends.

        Raises:
            BackendFailure: the last try's failure, with the number of tries.
        """
        return await self.retry.call(lambda: self.backend.complete(request))


class Limited(Policy):
    """Holds the number of requests in flight, and their pace.

    Args:
        backend: what it wraps.
        concurrency: requests in flight at once.
        pace: when the next one may go.
    """

    def __init__(
        self, backend: ModelBackend, concurrency: int, pace: RateLimiter | None = None
    ) -> None:
        super().__init__(backend)
        self.pace = pace or RateLimiter()
        self._free = asyncio.Semaphore(concurrency)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Wait for a place and a turn, then ask."""
        async with self._free:
            went_at = await self.pace.wait()
            try:
                reply = await self.backend.complete(request)
            except BackendBusy as error:
                if error.overloaded:
                    self.pace.on_throttled(went_at)
                raise
            self.pace.on_success(reply.usage.total_tokens)
            return reply


class Coalesced(Policy):
    """Sends identical requests in flight once; each asker gets the reply."""

    def __init__(self, backend: ModelBackend) -> None:
        super().__init__(backend)
        self._asked: dict[str, asyncio.Task[ModelReply]] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, or wait for the reply to whoever asked the same."""
        key = fingerprint(request)
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self.backend.complete(request))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # An asker that gives up must not take the reply from the others.
        return await asyncio.shield(task)

    def _forget(self, key: str, done: asyncio.Task[ModelReply]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # read, so that a failure nobody waited for leaves no warning behind

    async def close(self) -> None:
        """End what is in flight, and close the wrapped backend."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in a currency's units (usually US dollars) a million tokens.

    Attributes:
        input: of the prompt's tokens.
        output: of the answer's tokens.
        cached_input: of the prompt's tokens that the endpoint had read before; as `input` when left out.
    """

    input: float
    output: float
    cached_input: float | None = None

    def of(self, usage: Usage) -> float:
        """The cost of so many tokens."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = usage.prompt_tokens - cached
        total = fresh * self.input + cached * cached_price + usage.completion_tokens * self.output
        return total / 1e6


class Budget:
    """Money and tokens for all of an engine's judges together.

    What is in flight counts as what a request took on average so far; the first one goes alone. So the budget
    is passed by what single requests take beyond the average, not by a whole crowd of them.

    Args:
        max_cost: money, in the unit of the prices; no limit when left out.
        max_tokens: tokens; no limit when left out.
        prices: by model, as requests name it.
    """

    def __init__(
        self,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        self.prices = dict(prices or {})
        self._max_cost, self._max_tokens = max_cost, max_tokens
        self.cost, self.tokens = 0.0, 0
        self._replies = 0
        self._in_flight = 0
        self._over: str | None = None
        self.first = asyncio.Lock()

    @property
    def blind(self) -> bool:
        """Whether there is a limit, and no reply yet that would tell what a request takes."""
        return not self._replies and (self._max_cost is not None or self._max_tokens is not None)

    def begin(self) -> None:
        """Set aside what one more request may take.

        Raises:
            BudgetSpent: there is not so much left, or there was not for an earlier one: what is asked behind
                a row that got no answer would be paid for and lost.
        """
        if self._over is None:
            self._over = self._overdrawn()
        if self._over is not None:
            raise BudgetSpent(self._over)
        self._in_flight += 1

    def _overdrawn(self) -> str | None:
        ahead = (self._in_flight + 1) / self._replies if self._replies else 0.0
        for name, most, spent in (
            ("cost", self._max_cost, self.cost),
            ("number of tokens", self._max_tokens, self.tokens),
        ):
            if most is not None and (spent >= most or spent * (1 + ahead) > most):
                return (
                    f"The budget for judges is spent: a {name} of {spent:,.10g} of {most:,.10g}, and "
                    f"{self._in_flight} requests under way. "
                    "What was scored stays; the same command with a larger budget goes on from there."
                )
        return None

    def end(self, model: str, usage: Usage | None) -> None:
        """Count what it took."""
        self._in_flight -= 1
        if usage is not None:
            self._replies += 1
            self.tokens += usage.total_tokens
            if model in self.prices:
                self.cost += self.prices[model].of(usage)


class Budgeted(Policy):
    """Stops asking when the budget is spent.

    Args:
        backend: what it wraps.
        budget: shared by all that spend from it.
    """

    def __init__(self, backend: ModelBackend, budget: Budget) -> None:
        super().__init__(backend)
        self.budget = budget

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, if there is budget left.

        Raises:
            BudgetSpent: there is none.
        """
        if self.budget.blind:
            async with self.budget.first:
                if self.budget.blind:
                    return await self._ask(request)
        return await self._ask(request)

    async def _ask(self, request: ModelRequest) -> ModelReply:
        self.budget.begin()
        usage = None
        try:
            reply = await self.backend.complete(request)
            usage = reply.usage
            return reply
        finally:
            self.budget.end(request.model, usage)


class Observed(Policy):
    """Tells an observer of each request and its reply, cached ones included.

    Args:
        backend: what it wraps.
        observer: who is told.
    """

    def __init__(self, backend: ModelBackend, observer: Observer) -> None:
        super().__init__(backend)
        self._observer = observer

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, and tell."""
        try:
            reply = await self.backend.complete(request)
        except Exception as error:
            self._observer(request, error)
            raise
        self._observer(request, reply)
        return reply
