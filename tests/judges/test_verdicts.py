"""From a judge's answers to a reward: repeats, labels, ranges, parts of a multi, tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine import AsyncEngine, Engine, InvalidRequest
from graders_engine.errors import BackendFailure
from graders_engine.graders.verdict import middle, most_frequent
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from tests.judges import judge_server as judge
from tests.judges.clock import in_virtual_time
from tests.judges.judge_server import USED, JudgeServer, judge_server
from tests.judges.rows import LABEL, SCORE, judging, row, rows, scored

PARSE = "model_grader_parse_error"


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


@pytest.mark.parametrize(
    ("bounds", "result", "reward", "raw"),
    [
        (None, 0.3, 0.3, None),
        (None, 1, 1.0, None),
        (None, 1.7, 1.0, 1.7),
        (None, -0.5, 0.0, -0.5),
        ([0, 10], 7, 7.0, None),
        ([0, 10], 1e308, 10.0, 1e308),
        ([-1, 1], -3, -1.0, -3.0),
        ([0.5, 0.75], 0.6, 0.6, None),
    ],
)
def test_a_score_is_clamped_to_its_range(
    bounds: list[float] | None, result: float, reward: float, raw: float | None
) -> None:
    graded = scored(Scripted(result), {**SCORE, "range": bounds})
    assert (graded.reward, graded.outcome.score) == (reward, raw)
    assert isinstance(graded.reward, float)


def test_the_first_number_that_is_clamped_is_logged_once_for_each_judge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    graders = {
        name: {**SCORE, "name": name, "model": model, "range": [0, 10]}
        for name, model in (("a", "judge-1"), ("b", "judge-2"), ("c", "judge-1"))
    }
    multi = {"type": "multi", "name": "m", "graders": graders, "calculate_output": "a + b + c"}
    with Engine(judges=judging(Scripted(70))) as engine:
        assert [one.reward for one in engine.score(multi, rows(5))] == [30.0] * 5
    logged = [record.getMessage() for record in caplog.records]
    assert sorted(text.split(" answered ")[0] for text in logged) == ["judge-1", "judge-2"]
    for text in logged:
        assert "answered 70, which is not within the range from 0 to 10" in text
        assert "here 10." in text


def test_numbers_within_the_range_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Engine(judges=judging(Scripted(10))) as engine:
        assert engine.run({**SCORE, "range": [0, 10]}, model_sample="x").reward == 10.0
    assert not caplog.records


@pytest.mark.parametrize(("label", "reward"), [("kind", 1.0), ("plain", 1.0), ("rude", 0.0)])
def test_a_label_passes_or_does_not(label: str, reward: float) -> None:
    graded = scored(Scripted(label), LABEL)
    assert (graded.reward, graded.status, graded.flags) == (reward, "scored", {})


REPEATS: dict[str, tuple[list[Any], float | None, list[float]]] = {
    "the middle of three": ([0.1, 0.9, 0.5], 0.5, [0.1, 0.9, 0.5]),
    "one outlier changes nothing": ([0.5, 0.5, 0.0, 0.5, 1.0], 0.5, [0.5, 0.5, 0.0, 0.5, 1.0]),
    "an even number": ([0.2, 0.4], 0.3, [0.2, 0.4]),
    "one of five cannot be read": (["{", 0.1, 0.2, 0.4, 0.8], 0.3, [0.1, 0.2, 0.4, 0.8]),
    "two of five refuse": (
        [ModelReply("", "m", refusal="no")] * 2 + [0.1, 0.2, 0.3], 0.2, [0.1, 0.2, 0.3],
    ),
    "half cannot be read": (["{", "{", 0.5, 0.5], None, []),
    "none can be read": (["{"] * 3, None, []),
    "clamped after the middle was taken": ([0.5, 3.0, 5.0], 1.0, [0.5, 1.0, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "reward", "given_"), REPEATS.values(), ids=REPEATS)
def test_the_median_of_several_answers_counts(
    answers: list[Any], reward: float | None, given_: list[float]
) -> None:
    graded = scored(Scripted(answers), repeats=len(answers))
    assert graded.reward == (None if reward is None else pytest.approx(reward))
    assert graded.outcome.repeats == ({"": given_} if given_ else {})
    assert list(graded.flags) == ([] if reward is not None else [PARSE])


@pytest.mark.parametrize(
    ("answers", "reward"),
    [
        (["kind", "rude", "kind"], 1.0),
        (["rude", "rude", "kind"], 0.0),
        (["rude", "kind", "plain"], 0.0),  # a tie: the one that was given first
        (["kind", "rude"], 1.0),
        (["rude", "kind"], 0.0),
        (["kind", "plain", "rude", "rude"], 0.0),  # labels are counted, not what they pass for
        (["{", "rude", "kind", "kind"], 1.0),
    ],
)
def test_the_majority_s_label_counts(answers: list[str], reward: float) -> None:
    graded = scored(Scripted(answers), LABEL, repeats=len(answers))
    assert graded.reward == reward


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_most_frequent_is_a_label_that_no_other_beats(labels: list[str]) -> None:
    winner = most_frequent(labels)
    assert all(labels.count(winner) >= labels.count(label) for label in labels)
    level = [label for label in labels if labels.count(label) == labels.count(winner)]
    assert winner == level[0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_middle_has_as_many_above_as_below(numbers: list[float]) -> None:
    value = middle(numbers)
    half = len(numbers) // 2
    assert sum(number < value for number in numbers) <= half
    assert sum(number > value for number in numbers) <= half


def test_each_repeat_is_asked_with_a_seed_of_its_own(server: JudgeServer) -> None:
    with Engine(judges=judging(server.url, repeats=3)) as engine:
        engine.run(SCORE, model_sample="x")
        engine.run({**SCORE, "sampling_params": {"seed": 40}}, model_sample="x")
    seeds = [asked.body["seed"] for asked in server.asked]
    assert sorted(seeds[:3]) == [0, 1, 2]
    assert sorted(seeds[3:]) == [40, 41, 42]


def test_each_repeat_says_which_it_is() -> None:
    backend = Scripted(0.5)
    scored(backend, repeats=3)
    assert sorted(request.repeat for request in backend.requests) == [0, 1, 2]


def test_an_outage_of_one_repeat_fails_the_row_and_only_that_one_is_asked_again(
    server: JudgeServer, tmp_path: Path
) -> None:
    def reply(asked: judge.Asked) -> judge.Reply:
        return judge.error(400, "no") if asked.body["seed"] == 3 else judge.verdict(0.5)

    server.script = reply
    settings = judging(server.url, repeats=5, cache=tmp_path / "replies.sqlite")
    with Engine(judges=settings) as engine:
        [failed] = engine.score(SCORE, rows(1))
        assert (failed.status, failed.reward) == ("failed", None)
        assert len(server.asked) == 5
        server.answers(judge.verdict(0.5))
        [graded] = engine.score(SCORE, rows(1))
    assert (graded.status, graded.reward) == ("scored", 0.5)
    assert [asked.body["seed"] for asked in server.asked[5:]] == [3]
    assert graded.outcome.usage["judge-1-2026"] == Usage(5 * 40, 5 * 49, 5 * 9)


def test_a_judge_is_asked_at_least_once() -> None:
    with pytest.raises(InvalidRequest, match="at least once, not 0"):
        Engine(judges=JudgeSettings(repeats=0))


def multi(*parts: dict[str, Any], formula: str) -> dict[str, Any]:
    named = {f"g{number}": part for number, part in enumerate(parts)}
    return {"type": "multi", "name": "m", "graders": named, "calculate_output": formula}


def test_parts_of_a_multi_are_asked_at_the_same_time(server: JudgeServer) -> None:
    together = threading.Barrier(3, timeout=20)

    def reply(asked: judge.Asked) -> judge.Reply:
        def waits_for_the_others(conversation: judge.Conversation) -> None:
            together.wait()  # breaks, and the row fails, unless all three are here
            judge.verdict(0.5)(conversation)

        return waits_for_the_others

    server.script = reply
    parts = [{**SCORE, "model": f"judge-{n}"} for n in range(3)]
    with Engine(judges=judging(server.url)) as engine:
        response = engine.run(multi(*parts, formula="g0 + g1 + g2"), model_sample="x")
    assert (response.reward, response.flags) == (1.5, {})
    assert server.most_in_flight == 3


def test_parts_with_the_same_question_are_asked_once(server: JudgeServer) -> None:
    grader = multi(SCORE, {**SCORE, "range": [0, 0.25]}, formula="g0 + g1")
    with Engine(judges=judging(server.url)) as engine:
        response = engine.run(grader, model_sample="x")
    assert response.reward == 1.25
    assert response.metadata.scores == {"g0": 1.0, "g1": 1.0}
    assert len(server.asked) == 1


def test_a_part_that_fails_counts_nothing_and_the_others_keep_their_rewards() -> None:
    def answer(request: ModelRequest) -> Any:
        return BackendFailure("no") if request.model == "down" else 0.5

    grader = multi(SCORE, {**SCORE, "model": "down"}, formula="g0 + g1")
    with Engine(judges=judging(Scripted(answer))) as engine:
        [graded] = engine.score(grader, rows(1))
        response = engine.run(grader, model_sample="x")
    assert (graded.status, graded.reward) == ("failed", None)
    assert graded.sub_rewards == {"g0": 0.5, "g1": None}
    assert graded.flags == {"model_grader_server_error": "g1: no"}
    assert response.reward == 0.5
    assert response.sub_rewards == {"g0": 0.5, "g1": 0.0}


def test_tokens_are_counted_in_all_and_by_model(server: JudgeServer) -> None:
    server.script = lambda asked: judge.answer(
        {**judge.said(judge.verdict_text(1)), "model": f"{asked.body['model']}-2026"}
    )
    grader = multi(SCORE, {**SCORE, "model": "judge-2"}, formula="g0 + g1")
    with Engine(judges=judging(server.url, repeats=2)) as engine:
        answer = engine.run(grader, model_sample="x").model_dump()
    twice = {key: 2 * tokens for key, tokens in USED.items()}
    used = answer["model_grader_token_usage_per_model"]
    assert used == {"judge-1-2026": twice, "judge-2-2026": twice}
    assert answer["metadata"]["token_usage"] == 4 * 49
    assert answer["metadata"]["sampled_model_name"] == "judge-1-2026, judge-2-2026"


def test_cached_tokens_of_either_form_are_told(server: JudgeServer) -> None:
    usage = {**judge.USAGE, "prompt_tokens_details": {"cached_tokens": 32, "audio_tokens": 0}}
    server.answers(judge.answer(judge.said(judge.verdict_text(1), usage=usage)))
    assert scored(server.url).outcome.usage == {"judge-1-2026": Usage(40, 49, 9, 32)}


def test_tokens_are_counted_though_the_answer_cannot_be_read(server: JudgeServer) -> None:
    server.answers(judge.answer(judge.said("prose")))
    with Engine(judges=judging(server.url, repeats=3)) as engine:
        answer = engine.run(SCORE, model_sample="x").model_dump()
        spent = engine.spending()
    assert answer["reward"] == 0.0
    assert answer["metadata"]["errors"][PARSE] is True
    assert answer["metadata"]["token_usage"] == spent["tokens"] == 3 * 49


def test_a_row_whose_template_fails_asks_nobody_and_costs_nothing(server: JudgeServer) -> None:
    grader = {**SCORE, "input": [{"role": "user", "content": "{{item.missing}}"}]}
    with Engine(judges=judging(server.url)) as engine:
        answer = engine.run(grader, model_sample="x").model_dump()
    assert answer["metadata"]["errors"]["invalid_variable_error"] is True
    assert (answer["metadata"]["token_usage"], server.asked) == (None, [])


def test_kept_replies_cost_nothing_again_but_their_tokens_are_told(tmp_path: Path) -> None:
    settings = judging(Scripted(0.5), cache=tmp_path / "replies.sqlite")
    with Engine(judges=settings) as engine:
        first = engine.run(SCORE, model_sample="x")
    with Engine(judges=settings) as engine:
        again = engine.run(SCORE, model_sample="x")
        assert engine.spending()["tokens"] == 0
    assert again.metadata.token_usage == first.metadata.token_usage


def test_identical_rows_in_flight_are_asked_once() -> None:
    backend = Scripted(0.5, latency_s=1)

    async def grade() -> list[float | None]:
        async with AsyncEngine(judges=judging(backend), concurrency=50) as engine:
            return [one.reward async for one in engine.score(SCORE, [row("the same")] * 50)]

    assert in_virtual_time(grade()) == [0.5] * 50
    assert len(backend.requests) == 1


def test_an_observer_sees_what_was_asked_and_answered() -> None:
    seen: list[tuple[ModelRequest, Any]] = []
    with Engine(judges=judging(Scripted(0.5)), observe=lambda *told: seen.append(told)) as engine:
        engine.run(SCORE, model_sample="the sample")
    [(request, reply)] = seen
    assert "the sample" in json.dumps([part.text for m in request.messages for part in m.parts])  # type: ignore[union-attr] # text alone here
    assert json.loads(reply.text)["result"] == 0.5
