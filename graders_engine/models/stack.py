"""The policies around what answers for models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graders_engine.models.base import ModelBackend
from graders_engine.models.policies import Budget, Budgeted, Coalesced, IsUsable, Limited, Retrying
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.retry import OnRetry, RetryPolicy

if TYPE_CHECKING:
    from graders_engine.models.cache import ReplyStore


def build_backend(
    backend: ModelBackend,
    *,
    retry: RetryPolicy,
    concurrency: int,
    limiter: RateLimiter,
    budget: Budget,
    store: ReplyStore | None,
    is_usable: IsUsable | None = None,
    target: str,
    on_retry: OnRetry | None,
) -> ModelBackend:
    """The policies around an endpoint's backend; the cache is the outermost: a kept reply passes no other.

    Args:
        backend: makes one attempt.
        retry: how often and how long to try.
        concurrency: requests in flight at once.
        limiter: when the next one may go.
        budget: what may be spent.
        store: keeps replies; None keeps none.
        is_usable: tells which replies are kept; None for all that are whole.
        target: the endpoint as retries name it.
        on_retry: called before each further attempt.
    """
    limited = Limited(backend, concurrency, limiter)
    retrying = Retrying(limited, retry, target=target, on_retry=on_retry)
    budgeted = Budgeted(retrying, budget)
    if store is None:
        return Coalesced(budgeted)
    from graders_engine.models.cache import Cached  # it is loaded already: there is a store

    return Cached(budgeted, store, is_usable)
