"""A GraderReward serves any process, thread and event loop, and never makes a zero of an outage."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from graders_engine import Engine, GraderReward, InvalidGrader, InvalidRequest, NoReward, Scripted
from graders_engine.adapters.reward import shared_reward
from graders_engine.errors import BackendFailure, LifecycleError
from tests.judges.judge_server import judge_server

JUDGE: dict[str, Any] = {
    "type": "score_model",
    "name": "judge",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}} {{item.label}}"}],
    "range": [0, 1],
}
JSON_ANSWER = {
    "type": "string_check",
    "name": "answer",
    "input": "{{sample.output_json.answer}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}


def answer(request: Any) -> str:
    """A judge that gives 0.5, and has an outage for texts with "down"."""
    if "down" in str(request.messages):
        raise BackendFailure("the endpoint is down")
    return '{"steps": [], "result": 0.5}'


def of_judge(**settings: Any) -> GraderReward:
    return GraderReward(JUDGE, judges=Scripted(answer), **settings)


def test_a_grader_may_be_text_a_path_a_mapping_or_another_reward(
    string_check: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "grader.json"
    path.write_text(json.dumps(string_check))
    first = GraderReward(string_check)
    for given in (
        json.dumps(string_check),
        path,
        str(path),
        f"@{path}",
        MappingProxyType(string_check),
        first,
    ):
        reward = GraderReward(given)
        assert reward.value(reward.grade("cat", {"label": "cat"})) == 1.0


@pytest.mark.parametrize("given", ["@no-such-file.json", "{", {"type": "no such"}, {}])
def test_a_grader_that_cannot_be_used_is_refused_at_once(given: Any) -> None:
    with pytest.raises(InvalidRequest):
        GraderReward(given)


def test_a_file_of_python_source_is_refused_with_how_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "g2.py"
    path.write_text("def grade(sample, item):\n    return 0.5\n")
    with pytest.raises(InvalidRequest, match=r"g2.py is Python source") as refused:
        GraderReward(f"@{path}")
    way = str(refused.value).partition("pass ")[2].removesuffix(".")
    reward = GraderReward(eval(way, {"Path": Path}), sandbox="none")  # noqa: S307 - our own sentence
    assert reward.value(reward.grade("x")) == 0.5


def test_settings_beside_another_reward_are_refused(string_check: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="concurrency"):
        GraderReward(GraderReward(string_check), concurrency=2)


@pytest.mark.parametrize(
    "given", [{"failed": "served"}, {"failed": "zero"}, {"invalid": True}, {"failed": math.nan}]
)
def test_unknown_policies_are_refused(string_check: dict[str, Any], given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="must be one of"):
        GraderReward(string_check, **given)


def test_an_outage_is_no_reward_and_never_a_zero() -> None:
    with of_judge() as reward:
        outcomes = reward.grade_all(
            [reward.row("up", {"label": ""}), reward.row("down", {"label": ""})]
        )
        assert [reward.value(outcome) for outcome in outcomes] == [0.5, None]
        assert reward.means(outcomes) == {"scored": 0.5, "invalid": 0.0, "failed": 0.5}
        assert reward.tally == {"scored": 1, "invalid": 0, "failed": 1}


@pytest.mark.parametrize(("policy", "value"), [("none", None), ("nan", math.nan), (-2, -2)])
def test_the_policy_for_outages_decides_what_a_framework_gets(policy: Any, value: Any) -> None:
    with of_judge(failed=policy) as reward:
        given = reward.value(reward.grade("down", {"label": ""}))
        assert given == value or math.isnan(given or 0) == math.isnan(value)


def test_the_policy_raise_names_the_grader_the_blame_and_the_reason() -> None:
    with (
        of_judge(failed="raise") as reward,
        pytest.raises(NoReward, match=r"judge.*is down") as raised,
    ):
        reward.value(reward.grade("down", {"label": ""}))
    copied = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
    assert copied.outcome.status == "failed"


def test_what_the_model_is_to_blame_for_is_served() -> None:
    reward = GraderReward(JSON_ANSWER)
    outcome = reward.grade("no JSON", {"label": "cat"})
    assert (outcome.status, reward.value(outcome)) == ("invalid", 0.0)
    assert GraderReward(reward, invalid="none").value(outcome) is None


def test_a_row_without_what_the_grader_reads_raises_under_every_policy() -> None:
    reward = GraderReward(JSON_ANSWER, failed="none", invalid="none")
    with pytest.raises(NoReward, match=r"item\.label"):
        reward.value(reward.grade('{"answer": "cat"}', {}))


def test_a_reward_made_of_another_one_has_its_name_and_its_engine(
    name_email: dict[str, Any],
) -> None:
    first = GraderReward(name_email, name="mine")
    assert GraderReward(first, failed="nan").name == "mine"
    assert GraderReward(first, name="other").name == "other"


def test_a_setting_that_is_named_as_a_file_does_not_change_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maths").write_text("")
    first = shared_reward(JSON_ANSWER, {"name": "maths"})
    (tmp_path / "maths").write_text("longer")
    assert shared_reward(JSON_ANSWER, {"name": "maths"}) is first
    assert shared_reward(JSON_ANSWER, {"name": "other"}) is not first


def test_parts_have_the_same_keys_for_each_row(name_email: dict[str, Any]) -> None:
    reward = GraderReward(name_email)
    good = reward.grade('{"name": "Ann", "email": "a@b"}', {"name": "Ann", "email": "a@b"})
    bad = reward.grade("no JSON", {"name": "Ann", "email": "a@b"})
    assert reward.keys == ("name", "email")
    assert list(reward.numbers(good)) == list(reward.numbers(bad))
    assert reward.numbers(good) == {
        "scored": 1.0, "invalid": 0.0, "failed": 0.0, "name": 1.0, "email": 1.0,
    }  # fmt: skip
    assert math.isnan(reward.numbers(bad)["name"])
    assert "name" not in reward.means([bad])


def test_columns_without_a_json_form_are_left_out_and_named_once(
    string_check: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    reward = GraderReward(string_check)
    item = {"label": np.array(["cat"])[0], "image": object(), "n": np.int64(1)}
    with caplog.at_level(logging.WARNING):
        assert [reward.grade("cat", item).reward for _ in range(3)] == [1.0] * 3
    assert [record.getMessage().count("`image`") for record in caplog.records] == [1]


@pytest.mark.parametrize(
    "output",
    [
        {"role": "assistant", "content": "cat"},
        [{"role": "assistant", "content": [{"type": "text", "text": "cat"}]}],
        [{"role": "assistant", "content": "dog"}, {"role": "assistant", "content": "cat"}],
        {"output_text": "cat"},
        np.array(["cat"])[0],
    ],
)
def test_an_output_may_be_in_any_form_that_frameworks_have(
    string_check: dict[str, Any], output: Any
) -> None:
    assert GraderReward(string_check).grade(output, {"label": "cat"}).reward == 1.0


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, '{"city": "Oslo"}'])
def test_tool_calls_may_have_their_arguments_as_an_object(arguments: Any) -> None:
    grader = {
        "type": "string_check",
        "name": "tool",
        "input": "{{sample.output_tools[0].function.arguments}}",
        "reference": '{"city": "Oslo"}',
        "operation": "eq",
    }
    call = {"type": "function", "function": {"name": "weather", "arguments": arguments}}
    output = [{"role": "assistant", "content": "", "tool_calls": [call]}]
    assert GraderReward(grader).grade(output).reward == 1.0


def graded_elsewhere(reward: GraderReward) -> float | None:
    return reward.value(reward.grade("cat", {"label": "cat"}))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_processes_make_engines_of_their_own(
    string_check: dict[str, Any], method: str
) -> None:
    reward = GraderReward(string_check)
    reward.grade("cat", {"label": "cat"})
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(graded_elsewhere, reward).result() == 1.0


FORKED = """
import os, sys, warnings
from graders_engine import GraderReward
grader = {"type": "python", "name": "p", "source": "def grade(sample, item):\\n    return 0.25"}
reward = GraderReward(grader, sandbox="none")
print(reward.grade("x").reward, flush=True)
if child := os.fork():
    print(os.waitpid(child, 0)[1], flush=True)
else:
    print(reward.grade("x").reward, flush=True)
    reward.close()
"""


def test_a_fork_grades_after_its_parent_did() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.split() == ["0.25", "0.25", "0"], ran.stderr


FORKED_WITH_A_JUDGE = """
import os, sys
from graders_engine import GraderReward

def graded(address, is_used):
    message = {"role": "user", "content": "{{sample.output_text}}"}
    grader = {"type": "score_model", "name": "j", "model": "m", "input": [message], "range": [0, 1]}
    reward = GraderReward(grader, judges=address)
    print(reward.grade("x").reward, flush=True)
    if child := os.fork():
        print(os.waitpid(child, 0)[1])
    elif is_used:
        print(reward.grade("y").reward, flush=True)
    sys.exit()

graded(sys.argv[1], sys.argv[2] == "used")
"""


@pytest.mark.parametrize(("use", "printed"), [("used", ["1.0"] * 2), ("unused", ["1.0"])])
def test_a_fork_says_nothing_of_the_connections_of_its_parent(use: str, printed: list[str]) -> None:
    with judge_server() as judge:
        # From 3.12 on, Python warns of any fork beside a thread; that one is this program's.
        ignored = "ignore:This process:DeprecationWarning"
        command = [sys.executable, "-W", ignored, "-c", FORKED_WITH_A_JUDGE, judge.url, use]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ran.stdout.split(), ran.stderr) == ([*printed, "0"], "")


def test_threads_share_a_reward(string_check: dict[str, Any]) -> None:
    reward = GraderReward(string_check)
    labels = ["cat", "dog"] * 200
    with ThreadPoolExecutor(8) as pool:
        graded = list(pool.map(lambda label: reward.grade("cat", {"label": label}).reward, labels))
    assert graded == [1.0, 0.0] * 200


def test_async_code_awaits_rewards_in_one_loop_after_another() -> None:
    async def rewards() -> list[float | None]:
        graded = await asyncio.gather(*(reward.agrade(f"up {n}", {"label": ""}) for n in range(20)))
        rows = [reward.row("up", {"label": ""}), reward.row("down", {"label": ""})]
        return [reward.value(row) for row in [*graded, *await reward.agrade_all(rows)]]

    with of_judge() as reward:
        assert asyncio.run(rewards()) == [0.5] * 21 + [None]
        assert asyncio.run(rewards()) == [0.5] * 21 + [None]


def test_async_code_awaits_graders_that_do_not_wait(string_check: dict[str, Any]) -> None:
    reward = GraderReward(string_check)
    row = reward.row("cat", {"label": "cat"})

    async def rewards() -> list[float | None]:
        graded = [await reward.agrade("cat", {"label": "cat"}), *await reward.agrade_all([row])]
        return [reward.value(one) for one in graded]

    assert asyncio.run(rewards()) == [1.0, 1.0]


def test_rows_that_were_submitted_come_back_in_order() -> None:
    with Engine(judges=Scripted(answer)) as engine:
        rows = [{"item": {"label": ""}, "model_sample": text} for text in ("up", "down", "up")]
        batches = [engine.submit(JUDGE, rows) for _ in range(3)]
        assert [[row.reward for row in batch.result()] for batch in batches] == [
            [0.5, None, 0.5]
        ] * 3


def test_what_is_submitted_to_a_closed_engine_is_refused(string_check: dict[str, Any]) -> None:
    engine = Engine()
    engine.close()
    with pytest.raises(LifecycleError):
        engine.submit(string_check, [])


class Waiting:
    """A judge that never answers."""

    signature = "waiting"

    async def complete(self, request: Any) -> Any:
        await asyncio.Event().wait()

    async def close(self) -> None:
        return


def test_work_of_an_engine_that_is_closed_ends_with_that_reason() -> None:
    engine = Engine(judges=Waiting())
    submitted = engine.submit(JUDGE, [{"item": {"label": ""}, "model_sample": "x"}])
    engine.close()
    with pytest.raises(LifecycleError):
        submitted.result(timeout=30)


def test_an_invalid_grader_names_its_mistakes() -> None:
    with pytest.raises(InvalidGrader, match="operation"):
        GraderReward({"type": "string_check", "name": "x", "input": "", "reference": ""})
