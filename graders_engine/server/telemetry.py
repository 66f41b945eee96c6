"""What `/metrics` shows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import accumulate
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from graders_engine.metrics import core
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.retry import Retry
from graders_engine.outcome import BLAMES, Blame, RowOutcome, status_of
from graders_engine.sandbox.base import GradeResult, Program, Sandbox
from graders_engine.version import __version__

SECONDS = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
REWARDS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
MAX_NAME_CHARS = 200
MAX_NAMES = 100
"""Models, and targets of retries, that are counted by name; the rest, and longer names, are "others"."""


class RewardHistogram(Collector):
    """The distribution of rewards by grader type.

    In place of the library's histogram, which takes 0.8 µs a row: as much as a sixth of what a row of a batch
    costs in all. This one counts equal rewards together.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._by_type: dict[str, _Rewards] = {}
        registry.register(self)

    def labels(self, type_: str) -> _Rewards:
        """Counts the rewards of this grader type."""
        return self._by_type.setdefault(type_, _Rewards())

    def collect(self) -> Iterator[Metric]:
        """The family; called by its registry."""
        family = HistogramMetricFamily(
            "graders_reward", "Rewards of graded rows.", labels=("grader_type",)
        )
        for type_, rewards in self._by_type.items():
            family.add_metric((type_,), rewards.buckets(), rewards.sum)
        yield family


class _Rewards:
    """The distribution for one grader type."""

    __slots__ = ("_counts", "sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(REWARDS) + 1)
        self.sum = 0.0

    def observe(self, reward: float | None, times: int = 1) -> None:
        """Count the reward of one row, or of several; None, where a row has none, is left out."""
        if reward is not None:
            self._counts[bisect_left(REWARDS, reward)] += times
            self.sum += reward * times

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, and how many rewards are below each."""
        return list(
            zip((*map(str, REWARDS), "+Inf"), map(float, accumulate(self._counts)), strict=True)
        )


class RowMetrics:
    """Counts the graded rows of one grader type.

    Args:
        type_: the grader's `type`.
        rows: counts by type, status and blame.
        flags: counts by type and flag.
        rewards: the distribution of rewards by type.
    """

    def __init__(self, type_: str, rows: Counter, flags: Counter, rewards: RewardHistogram) -> None:
        self._type, self._flags, self._rewards = type_, flags, rewards.labels(type_)
        self._by_blame = {
            blame: rows.labels(type_, status_of(blame), blame or "none")
            for blame in (None, *BLAMES)
        }

    def add_one(self, row: RowOutcome) -> None:
        """Count a row."""
        self._add_flags(row)
        self._by_blame[row.outcome.blame].inc()
        self._rewards.observe(row.outcome.reward)

    def add(self, rows: Sequence[RowOutcome]) -> Counts[Blame | None]:
        """Count many rows, and say how many have which blame; None stands for scored ones."""
        for row in rows:
            self._add_flags(row)
        blames: Counts[Blame | None] = Counts([row.outcome.blame for row in rows])
        for blame, count in blames.items():
            self._by_blame[blame].inc(count)
        for reward, times in Counts([row.outcome.reward for row in rows]).items():
            self._rewards.observe(reward, times)
        return blames

    def _add_flags(self, row: RowOutcome) -> None:
        if row.outcome.failures or row.sample_flags:
            for flag in row.flags:
                self._flags.labels(self._type, flag).inc()


class ServerMetrics:
    """All that the server counts.

    Attributes:
        registry: the library's, with these metrics and the process's own.
        in_flight: HTTP requests in progress.
        connections_dropped: connections closed for others.
        graders_compiled: graders compiled.
        graders_reused: graders found in the cache.
        sandbox_tier: names the tier of the sandbox.
        refreshed: called before the metrics are shown; what they show is elsewhere until then.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = 0
        self.sandbox_tier: Callable[[], str] = str
        self.refreshed: list[Callable[[], Awaitable[None]]] = []
        self._rows: dict[str, RowMetrics] = {}
        self._names: dict[str, set[str]] = {"model": set(), "target": set()}
        self._make_metrics(self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def _make_metrics(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        Info(
            "graders_engine", "The engine's version, and its text metrics.", registry=registry
        ).info({"version": __version__, "metrics": core.ACTIVE})
        self.add_gauge(
            "graders_http_requests_in_progress",
            "HTTP requests in progress.",
            lambda: self.in_flight,
        )
        self._requests = counter("graders_requests", "Requests answered.", "route", "status")
        self._request_seconds = Histogram(
            "graders_http_request_duration_seconds",
            "Time to answer a request.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._ended: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.connections_dropped = counter(
            "graders_connections_dropped",
            "Idle or slow connections closed at the limit, for new ones.",
        )
        self.graders_compiled = counter("graders_compiled", "Graders compiled.")
        self.graders_reused = counter("graders_reused", "Graders found in the cache.")
        self._graded = counter(
            "graders_rows",
            "Graded rows: scored, invalid or failed, and whose fault it is that there is no reward.",
            "grader_type",
            "status",
            "blame",
        )
        self._flags = counter("graders_flags", "Flags that were set.", "grader_type", "flag")
        self._rewards = RewardHistogram(registry)
        self._sandbox_info = Info("graders_sandbox", "Where python graders run.", registry=registry)
        self.sandbox_running = Gauge(
            "graders_sandbox_calls_running", "Sandbox calls in progress.", registry=registry
        )
        self.sandbox_calls = counter(
            "graders_sandbox_calls", "Sandbox calls by outcome.", "outcome"
        )
        self.sandbox_seconds = Histogram(
            "graders_sandbox_seconds",
            "Duration of sandbox calls.",
            buckets=SECONDS,
            registry=registry,
        )
        self._judge_requests = counter(
            "graders_judge_requests", "Requests to judges by outcome.", "model", "outcome"
        )
        self._judge_tokens = counter(
            "graders_judge_tokens", "Tokens that judges took and gave.", "model", "kind"
        )
        self._judge_kept = counter(
            "graders_judge_kept_replies",
            "Replies of judges that came from the cache and cost nothing.",
            "model",
        )
        self._judge_retries = counter(
            "graders_judge_retries",
            "Requests to judges and other endpoints that were sent again, by the HTTP status before.",
            "target",
            "status",
        )

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when `/metrics` is asked for.

        Args:
            name: the metric's.
            text: its help text.
            read: reads the value.
        """
        Gauge(name, text, registry=self.registry).set_function(read)

    def add_counter(self, name: str, text: str, *labels: str) -> Counter:
        """Show a number that only grows.

        Args:
            name: the metric's.
            text: its help text.
            labels: the names of its labels.
        """
        return Counter(name, text, labels, registry=self.registry)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        self._sandbox_info.info({"tier": self.sandbox_tier()})
        return generate_latest(self.registry)

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request that has ended."""
        ended = self._ended.get((route, status))
        if ended is None:
            ended = self._requests.labels(route, status), self._request_seconds.labels(route)
            self._ended[route, status] = ended
        ended[0].inc()
        ended[1].observe(seconds)

    def rows(self, type_: str) -> RowMetrics:
        """Counts the rows of this grader type."""
        found = self._rows.get(type_)
        if found is None:
            found = RowMetrics(type_, self._graded, self._flags, self._rewards)
            self._rows[type_] = found
        return found

    def judged(self, request: ModelRequest, reply: ModelReply | Exception) -> None:
        """Count a judge's reply, or the error in its place; an engine's `observe`."""
        model = self._known("model", request.model)
        if isinstance(reply, Exception):
            self._judge_requests.labels(model, type(reply).__name__).inc()
            return
        if reply.kept:
            self._judge_kept.labels(model).inc()
            return
        outcome = "refused" if reply.refusal is not None else "replied"
        self._judge_requests.labels(model, outcome).inc()
        answering = self._known("model", reply.model)
        self._judge_tokens.labels(answering, "prompt").inc(reply.usage.prompt_tokens)
        self._judge_tokens.labels(answering, "completion").inc(reply.usage.completion_tokens)

    def retried(self, retry: Retry) -> None:
        """Count a request that is sent again; an engine's `on_retry`."""
        # Any client can read the metrics, and the path in another one's address may be a secret.
        scheme, separator, rest = retry.target.partition("://")
        target = self._known("target", f"{scheme}{separator}{rest.partition('/')[0]}")
        self._judge_retries.labels(target, str(retry.error.status or "no answer")).inc()

    def _known(self, label: str, name: str) -> str:
        # Requests name the models, and each name takes memory: clients must not be able to fill it.
        names = self._names[label]
        if len(names) < MAX_NAMES and len(name) <= MAX_NAME_CHARS:
            names.add(name)
        return name if name in names else "others"


class CountingSandbox:
    """A sandbox around another one that counts its calls.

    Args:
        sandbox: grades.
        metrics: counts.
    """

    def __init__(self, sandbox: Sandbox, metrics: ServerMetrics) -> None:
        self._sandbox, self._metrics = sandbox, metrics
        metrics.sandbox_tier = lambda: self.tier

    @property
    def tier(self) -> str:
        """The inner sandbox's tier."""
        return str(getattr(self._sandbox, "tier", type(self._sandbox).__name__))

    @property
    def isolation(self) -> str:
        """The inner sandbox's isolation."""
        return str(getattr(self._sandbox, "isolation", "call"))

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Grade, and count the outcome; see the port."""
        metrics = self._metrics
        metrics.sandbox_running.inc()
        started, outcome = perf_counter(), "none"
        try:
            verdict = await self._sandbox.grade(program, sample_json, item_json)
            outcome = verdict.kind.value
            return verdict
        finally:
            metrics.sandbox_running.dec()
            metrics.sandbox_calls.labels(outcome).inc()
            metrics.sandbox_seconds.observe(perf_counter() - started)

    async def close(self) -> None:
        """Close the inner sandbox."""
        await self._sandbox.close()
