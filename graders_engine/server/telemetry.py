"""What `/metrics` shows. Counting is plain arithmetic; prometheus-client writes it out when asked."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import RowOutcome
from graders_engine.sandbox.base import GradeResult, Program, Sandbox
from graders_engine.version import __version__

SECONDS = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
MAX_MODELS = 100
"""Models that are counted by name."""
REWARDS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


Level = tuple[type[GaugeMetricFamily | CounterMetricFamily], str, str, Callable[[], float]]


class Distribution:
    """Counts of numbers by upper bounds, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, number: float, times: int = 1) -> None:
        """Count one, or as many equal ones."""
        self._counts[bisect_left(self._bounds, number)] += times
        self._sum += number * times

    def merge(self, other: Distribution) -> None:
        """Count what another one has counted, with the same bounds."""
        self._counts = [
            mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)
        ]
        self._sum += other._sum

    def write(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put it into a family of Prometheus's, whose counts are cumulative."""
        buckets, below = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        family.add_metric(labels, buckets, self._sum)


class GradedRows:
    """The graded rows of one grader type."""

    __slots__ = ("flags", "rewards", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter(scored=0, invalid=0, failed=0)
        self.flags: Counter[str] = Counter()
        self.rewards = Distribution(REWARDS)

    def add(self, rows: Sequence[RowOutcome]) -> None:
        """Count rows; the rewards of those that have one."""
        for row in rows:
            if row.outcome.failures or row.sample_flags:
                self.flags.update(list(row.flags))
        self.statuses.update([row.outcome.status for row in rows])
        rewards = Counter([row.outcome.reward for row in rows])
        for reward, times in rewards.items():
            if reward is not None:
                self.rewards.add(reward, times)

    def merge(self, other: GradedRows) -> None:
        """Count what another one has counted."""
        self.statuses.update(other.statuses)
        self.flags.update(other.flags)
        self.rewards.merge(other.rewards)


class Requests:
    """The answered requests of one route."""

    __slots__ = ("seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds = Distribution(SECONDS)

    def add(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        self.seconds.add(seconds)


class Counted:
    """A sandbox that is another one, and counts.

    Args:
        sandbox: the one that grades.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.calls: Counter[str] = Counter()
        self.running = 0
        self.seconds = Distribution(SECONDS)

    @property
    def tier(self) -> str:
        """The other one's tier."""
        return str(getattr(self._sandbox, "tier", type(self._sandbox).__name__))

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Grade, and count what came of it; see the port."""
        self.running += 1
        started, came = perf_counter(), "none"
        try:
            verdict = await self._sandbox.grade(program, sample_json, item_json)
            came = verdict.kind.value
            return verdict
        finally:
            self.running -= 1
            self.calls[came] += 1
            self.seconds.add(perf_counter() - started)

    async def close(self) -> None:
        """Close the other one."""
        await self._sandbox.close()


class ServerMetrics(Collector):
    """All that is counted.

    Args:
        sandbox: counts the calls of python graders.

    Attributes:
        levels: what is read when asked for: a family of Prometheus's, a name, what it says, and how it
            is had.
        registry: prometheus-client's, with these and the process's own.
    """

    def __init__(self, sandbox: Counted) -> None:
        self._sandbox = sandbox
        self._graded: dict[str, GradedRows] = {}
        self._requests: dict[str, Requests] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._models: set[str] = set()
        self.levels: list[Level] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def graded(self, type_: str) -> GradedRows:
        """Where the rows of this grader type are counted."""
        return self._graded.get(type_) or self._graded.setdefault(type_, GradedRows())

    def requests(self, route: str) -> Requests:
        """Where the requests of this route are counted."""
        return self._requests.get(route) or self._requests.setdefault(route, Requests())

    def judged(self, request: ModelRequest, reply: ModelReply | Exception) -> None:
        """Count a judge's reply, or why there is none; an engine's `observe`."""
        asked = self._known(request.model)
        if isinstance(reply, Exception):
            self._asked[asked, type(reply).__name__] += 1
            return
        self._asked[asked, "refused" if reply.refusal is not None else "replied"] += 1
        answered = self._known(reply.model)
        self._tokens[answered, "prompt"] += reply.usage.prompt_tokens
        self._tokens[answered, "completion"] += reply.usage.completion_tokens

    def _known(self, model: str) -> str:
        # Requests name the models, and every name is kept: a client must not fill the memory with them.
        if len(self._models) < MAX_MODELS:
            self._models.add(model)
        return model if model in self._models else "others"

    def collect(self) -> Iterator[Metric]:
        """What there is, in Prometheus's families; called by its registry."""
        yield _info("graders_engine", "The engine's version.", {"version": __version__})
        for family, name, text, read in self.levels:
            yield family(name, text, read())
        yield from self._of_requests()
        yield from self._of_rows()
        yield from self._of_sandbox()
        yield _counts(
            "graders_judge_requests", "Requests to judges.", ("model", "came"), self._asked
        )
        yield _counts("graders_judge_tokens", "Tokens of judges.", ("model", "kind"), self._tokens)

    def _of_requests(self) -> Iterator[Metric]:
        answered = Counter(
            {
                (route, str(status)): count
                for route, requests in self._requests.items()
                for status, count in requests.statuses.items()
            }
        )
        yield _counts("graders_requests", "Requests answered.", ("route", "status"), answered)
        seconds = HistogramMetricFamily(
            "graders_request_seconds", "Time to answer a request.", labels=("route",)
        )
        for route, requests in self._requests.items():
            requests.seconds.write(seconds, (route,))
        yield seconds

    def _of_rows(self) -> Iterator[Metric]:
        rows: Counter[tuple[str, str]] = Counter()
        flags: Counter[tuple[str, str]] = Counter()
        rewards = HistogramMetricFamily(
            "graders_reward", "Rewards of graded rows.", labels=("grader_type",)
        )
        for type_, graded in self._graded.items():
            rows.update({(type_, status): count for status, count in graded.statuses.items()})
            flags.update({(type_, flag): count for flag, count in graded.flags.items()})
            graded.rewards.write(rewards, (type_,))
        labels = ("grader_type", "status")
        yield _counts(
            "graders_rows",
            "Graded rows: scored, invalid (the row's fault) or failed.",
            labels,
            rows,
        )
        yield _counts("graders_flags", "Flags that were set.", ("grader_type", "flag"), flags)
        yield rewards

    def _of_sandbox(self) -> Iterator[Metric]:
        sandbox = self._sandbox
        yield _info("graders_sandbox", "Where python graders run.", {"tier": sandbox.tier})
        yield GaugeMetricFamily(
            "graders_sandbox_calls_running", "Calls begun and not done.", sandbox.running
        )
        calls = Counter({(came,): count for came, count in sandbox.calls.items()})
        yield _counts("graders_sandbox_calls", "Calls by what came of them.", ("came",), calls)
        seconds = HistogramMetricFamily("graders_sandbox_seconds", "Time of a call.", labels=())
        sandbox.seconds.write(seconds, ())
        yield seconds


def _counts(
    name: str,
    text: str,
    labels: Sequence[str],
    counts: Counter[tuple[str, str]] | Counter[tuple[str]],
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _info(name: str, text: str, labels: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(f"{name}_info", text, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), 1)
    return family
