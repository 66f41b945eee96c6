"""What `/metrics` counts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.errors import BackendBusy
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.retry import Retry
from graders_engine.outcome import BLAMES, Blame, Failure, Flag, Outcome, RowOutcome, Usage
from graders_engine.server.telemetry import MAX_NAMES, REWARDS, ServerMetrics

REQUEST = ModelRequest("judge", (), {})
REPLY = ModelReply("7", "judge-1", Usage(11, 15, 4))


KEPT = ModelReply(REPLY.text, REPLY.model, REPLY.usage, kept=True)


def samples(metrics: ServerMetrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_kept_reply_is_counted_apart_and_its_tokens_are_not() -> None:
    metrics = ServerMetrics()
    metrics.judged(REQUEST, REPLY)
    metrics.judged(REQUEST, KEPT)
    metrics.judged(REQUEST, KEPT)
    found = samples(metrics)
    assert found['graders_judge_kept_replies_total{model="judge"}'] == 2
    assert found['graders_judge_requests_total{model="judge",outcome="replied"}'] == 1
    assert found['graders_judge_tokens_total{kind="prompt",model="judge-1"}'] == 11
    assert found['graders_judge_tokens_total{kind="completion",model="judge-1"}'] == 4


def test_judges_are_counted_by_outcome() -> None:
    metrics = ServerMetrics()
    metrics.judged(REQUEST, ModelReply("", "judge-1", refusal="no"))
    metrics.judged(REQUEST, TimeoutError())
    found = samples(metrics)
    assert found['graders_judge_requests_total{model="judge",outcome="refused"}'] == 1
    assert found['graders_judge_requests_total{model="judge",outcome="TimeoutError"}'] == 1


def test_retries_are_counted_by_target_and_status() -> None:
    metrics = ServerMetrics()
    for attempt in (1, 2):
        metrics.retried(Retry("judge", attempt, 0.5, BackendBusy("too many", status=429)))
    metrics.retried(Retry("judge", 3, 0.5, BackendBusy("no connection")))
    found = samples(metrics)
    assert found['graders_judge_retries_total{status="429",target="judge"}'] == 2
    assert found['graders_judge_retries_total{status="no answer",target="judge"}'] == 1


def test_requests_cannot_fill_the_memory_with_the_names_of_models() -> None:
    metrics = ServerMetrics()
    for number in range(MAX_NAMES + 50):
        metrics.judged(ModelRequest(f"m{number}", (), {}), TimeoutError())
        metrics.retried(Retry(f"m{number}", 1, 0.0, BackendBusy("late")))
    found = samples(metrics)
    others = 'graders_judge_requests_total{model="others",outcome="TimeoutError"}'
    assert found[others] == 50
    assert found['graders_judge_retries_total{status="no answer",target="others"}'] == 50
    assert len([name for name in found if "_total{" in name]) == 2 * MAX_NAMES + 2


def row(reward: float | None, *flags: Flag, blame: Blame = "grader") -> RowOutcome:
    failures = tuple(Failure(flag, "", blame) for flag in flags)
    return RowOutcome(0, Outcome(reward, reward or 0.0, failures=failures))


ROWS = st.lists(
    st.builds(row, st.floats(-2, 2) | st.sampled_from(REWARDS))
    | st.builds(row, st.none(), st.just(Flag.OTHER), blame=st.sampled_from(BLAMES))
)


@given(ROWS)
def test_rows_counted_together_are_counted_as_one_by_one(rows: list[RowOutcome]) -> None:
    together, singly = ServerMetrics(), ServerMetrics()
    blames = together.rows("string_check").add(rows)
    for one in rows:
        singly.rows("string_check").add_one(one)
    assert blames == Counter(one.outcome.blame for one in rows)
    named = [samples(metrics) for metrics in (together, singly)]
    for name in named[1]:
        if name.startswith(("graders_rows", "graders_flags", "graders_reward")):
            assert named[0][name] == pytest.approx(named[1][name])
    rewards = [one.outcome.reward for one in rows if one.outcome.reward is not None]
    for bound in REWARDS:
        name = f'graders_reward_bucket{{grader_type="string_check",le="{bound}"}}'
        assert named[0][name] == sum(reward <= bound for reward in rewards)
