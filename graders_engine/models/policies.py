"""Backends that wrap a backend: retries, limits, one request for equal ones, a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from graders_engine.errors import BudgetSpent
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest, fingerprint
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.retry import OnRetry, RetryPolicy
from graders_engine.outcome import Usage
from graders_engine.tasks import SharedTask

Observer = Callable[[ModelRequest, ModelReply | Exception], None]
"""Called with each request to a judge, and its reply or the exception in its place.

A reply with `kept` cost nothing this time.
"""
IsUsable = Callable[[ModelReply, ModelRequest], bool]
"""Whether a whole reply to this request answers it, so that it is worth keeping."""


class Policy:
    """A backend that behaves as the one it wraps, except for what a subclass overrides.

    Args:
        backend: what it wraps.
        signature: the wrapped backend's when left out.
    """

    def __init__(self, backend: ModelBackend, signature: str | None = None) -> None:
        self.backend = backend
        self.signature = backend.signature if signature is None else signature

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As the wrapped backend."""
        return await self.backend.complete(request)

    async def close(self) -> None:
        """Close the wrapped backend."""
        await self.backend.close()


class Retrying(Policy):
    """Asks again after a `BackendBusy`, and after nothing else.

    Args:
        backend: what it wraps.
        retry: how often and how long.
        target: what is asked, for `on_retry` and the log; the backend's signature when left out.
        on_retry: called before each further attempt.
    """

    def __init__(
        self,
        backend: ModelBackend,
        retry: RetryPolicy | None = None,
        *,
        target: str | None = None,
        on_retry: OnRetry | None = None,
    ) -> None:
        super().__init__(backend)
        self._retry = retry or RetryPolicy()
        self._target = target or backend.signature
        self._on_retry = on_retry

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask until there is an answer, or the retry policy gives up.

        Raises:
            BackendFailure: the last attempt's failure, with the number of attempts.
        """
        return await self._retry.call(
            lambda: self.backend.complete(request), target=self._target, on_retry=self._on_retry
        )


class Limited(Policy):
    """Limits the number of requests in flight, and their rate.

    Args:
        backend: what it wraps.
        concurrency: requests in flight at once.
        limiter: when the next one may go.
    """

    def __init__(
        self, backend: ModelBackend, concurrency: int, limiter: RateLimiter | None = None
    ) -> None:
        super().__init__(backend)
        self._limiter = limiter or RateLimiter()
        self._free = asyncio.Semaphore(concurrency)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Wait until a request may go, then ask."""
        async with self._free:
            return await self._limiter.call(lambda: self.backend.complete(request), _tokens_of)


def _tokens_of(reply: ModelReply) -> int:
    return reply.usage.total_tokens


class Coalesced(Policy):
    """Sends equal requests that are in flight at the same time once; each caller gets the reply."""

    def __init__(self, backend: ModelBackend) -> None:
        super().__init__(backend)
        self._in_flight: dict[str, _Asked] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, or wait for the reply to an equal request; it ends when all who wait are cancelled."""
        key = fingerprint(request)
        asked = self._in_flight.get(key)
        if asked is None or not asked.task.is_open:
            asked = self._in_flight[key] = _Asked(SharedTask(self.backend.complete(request)))
        try:
            reply = await asked.task.wait()
            if asked.is_paid:
                return msgspec.structs.replace(reply, kept=True)
            asked.is_paid = True  # by the first that gets it, for who asked may be cancelled
            return reply
        finally:
            if self._in_flight.get(key) is asked and not asked.task.is_open:
                del self._in_flight[key]

    async def close(self) -> None:
        """Cancel what is in flight, and close the wrapped backend."""
        for asked in list(self._in_flight.values()):
            await asked.task.end()
        await super().close()


@dataclass(slots=True, eq=False)
class _Asked:
    """A request in flight, and whether its reply was given to one that pays for it."""

    task: SharedTask[ModelReply]
    is_paid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in a currency's units (usually US dollars) for a million tokens.

    Attributes:
        input: of the prompt's tokens.
        output: of the answer's tokens.
        cached_input: of prompt tokens that the endpoint has in its own cache; as `input` when left out.
    """

    input: float
    output: float
    cached_input: float | None = None

    def of(self, usage: Usage) -> float:
        """The cost of these tokens."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = usage.prompt_tokens - cached
        total = fresh * self.input + cached * cached_price + usage.completion_tokens * self.output
        return total / 1e6


class Budget:
    """Money and tokens for all of an engine's judges together.

    A request in flight counts as the average of the earlier ones, and the first one goes alone. So the budget
    can only be exceeded by what single requests take beyond the average, not by a whole crowd of them.

    Args:
        max_cost: money, in the unit of the prices; no limit when left out.
        max_tokens: no limit when left out.
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
        self._counted: dict[str, _Counted] = {}
        self._exhausted: str | None = None
        self.first = asyncio.Lock()

    @property
    def blind(self) -> bool:
        """Whether there is a limit, and no reply yet that shows what a request takes."""
        return not self._replies and (self._max_cost is not None or self._max_tokens is not None)

    def begin(self) -> None:
        """Reserve what one more request may take.

        Raises:
            BudgetSpent: too little is left, or was left for an earlier request: replies to later rows would
                be paid for and lost behind a row without one; or replies do not say what they take.
        """
        if self._exhausted is None:
            self._exhausted = self._find_exhausted()
        if self._exhausted is not None:
            raise BudgetSpent(self._exhausted)
        self._in_flight += 1

    def _find_exhausted(self) -> str | None:
        reserved = (self._in_flight + 1) / self._replies if self._replies else 0.0
        for used, limit, spent in (
            ("the cost so far is {} of {}", self._max_cost, self.cost),
            ("{} of {} tokens are used", self._max_tokens, self.tokens),
        ):
            if limit is not None and (spent >= limit or spent * (1 + reserved) > limit):
                numbers = used.format(_in_digits(spent), _in_digits(limit))
                return (
                    f"The budget for judges is spent: {numbers}{'' if spent >= limit else self._expected()}. "
                    "Scored rows are kept; run the same command with a larger budget to resume."
                )
        return None

    def _expected(self) -> str:
        """What is expected to take the rest of a budget."""
        if not self._in_flight:
            return ", and one more request would probably need more than the rest"
        what = "request that is" if self._in_flight == 1 else "requests that are"
        return (
            f", and the {self._in_flight:,} {what} still being answered will probably need the rest"
        )

    def end(self, model: str, usage: Usage | None) -> None:
        """Count what it took.

        A reply that does not say it counts as the average of the model's others; without any, the budget
        cannot be kept, and no further request begins.
        """
        self._in_flight -= 1
        if usage is None:
            return
        self._replies += 1
        counted = self._counted.setdefault(model, _Counted())
        price = self.prices.get(model)
        cost = price.of(usage) if price else 0.0
        if self._shows(usage):
            counted.add(usage.total_tokens, cost)
            self.tokens += usage.total_tokens
            self.cost += cost
        elif counted.replies:
            self.tokens += round(counted.tokens / counted.replies)
            self.cost += counted.cost / counted.replies
        elif self._max_cost is not None or self._max_tokens is not None:
            self._exhausted = self._exhausted or (
                f"The budget for judges cannot be kept: the replies of '{model}' do not say how many tokens "
                "they took. Scored rows are kept; run the same command without a budget to resume."
            )

    def _shows(self, usage: Usage) -> bool:
        """Whether usage says what a reply took, in the units of the limits."""
        if self._max_cost is None:
            return usage.total_tokens > 0
        return usage.prompt_tokens + usage.completion_tokens > 0


@dataclass(slots=True)
class _Counted:
    """What those replies of a model took that say so."""

    replies: int = 0
    tokens: int = 0
    cost: float = 0.0

    def add(self, tokens: int, cost: float) -> None:
        self.replies += 1
        self.tokens += tokens
        self.cost += cost


class Budgeted(Policy):
    """Stops asking when the budget is spent. A reply that was kept takes nothing from it.

    Args:
        backend: what it wraps.
        budget: shared by all that spend from it.
    """

    def __init__(self, backend: ModelBackend, budget: Budget) -> None:
        super().__init__(backend)
        self._budget = budget

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, if enough of the budget is left.

        Raises:
            BudgetSpent: too little is left.
        """
        if self._budget.blind:
            async with self._budget.first:
                if self._budget.blind:
                    return await self._ask(request)
        return await self._ask(request)

    async def _ask(self, request: ModelRequest) -> ModelReply:
        self._budget.begin()
        usage = None
        try:
            reply = await self.backend.complete(request)
            # What a filter stopped may have cost nothing: then it says nothing of other replies.
            free = reply.refusal is not None and not reply.usage.total_tokens
            usage = None if reply.kept or free else reply.usage
            return reply
        finally:
            self._budget.end(request.model, usage)


class Observed(Policy):
    """Passes each request and its reply to an observer, kept replies included.

    Args:
        backend: what it wraps.
        observer: is called with them.
    """

    def __init__(self, backend: ModelBackend, observer: Observer) -> None:
        super().__init__(backend)
        self._observer = observer

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, and tell the observer."""
        try:
            reply = await self.backend.complete(request)
        except Exception as error:
            self._observer(request, error)
            raise
        self._observer(request, reply)
        return reply


def _in_digits(amount: float) -> str:
    """A number of tokens, or an amount of money, without an exponent: 0.000045."""
    return format(Decimal(f"{amount:.10g}"), ",f")
