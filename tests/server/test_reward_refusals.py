"""The reward route refuses what it must not answer with a number: outages, rows at fault, hostile bodies."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judges.judge_server import (
    JudgeServer,
    Reply,
    answer,
    error,
    judge_server,
    said,
    verdict,
)
from tests.server.serving import SLEEPER, Server, eventually, raw_request, serving
from tests.server.test_reward import SAME, azure, promptfoo, rlhf, slime, start

JUDGE: dict[str, Any] = {
    "type": "score_model",
    "name": "judge",
    "model": "gpt-x",
    "input": [{"role": "user", "content": "{{sample.output_text}} or {{item.label}}"}],
}
FLAGS = ("--no-cache", "--judge-attempts", "1", "--concurrency", "16")
OUTAGES: dict[str, Reply] = {
    "the judge cannot answer": error(500, "down"),
    "the judge refuses": answer(said(None, refusal="I will not.")),
    "the judge gives no verdict": answer(said("fine")),
}
BODIES = {
    "OpenRLHF": rlhf(("2+2?4", "2+2?", "4")),
    "slime": slime("4"),
    "Azure": azure({"output_text": "4"}),
    "promptfoo": promptfoo("4"),
}


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeServer]:
    with judge_server() as running:
        yield running


@pytest.fixture(scope="module")
def judged(judge: JudgeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("judged")
    flags = (*start(folder, JUDGE), "--base-url", judge.url, *FLAGS)
    with serving(folder, *flags, OPENAI_API_KEY="sk-j") as running:
        yield running


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("client", BODIES)
def test_no_client_gets_a_number_for_an_outage(
    judge: JudgeServer, judged: Server, client: str, outage: str
) -> None:
    judge.answers(OUTAGES[outage])
    refused = judged.post("/reward", BODIES[client])
    assert (refused.status, refused.error["code"]) == (503, "no_reward")
    assert refused.headers["retry-after"] == "1"
    assert refused.error["type"] == "server_error"
    judge.answers(verdict(0.75))
    assert judged.post("/reward", BODIES[client]).status == 200


def test_one_failed_row_refuses_the_whole_batch_and_is_named(
    judge: JudgeServer, judged: Server
) -> None:
    judge.script = lambda asked: error(500, "down") if "bad" in asked.text else verdict(1.0)
    refused = judged.post("/", rlhf(("?good", "?", 1), ("?bad", "?", 1), ("?good", "?", 1)))
    assert refused.status == 503
    assert "query[1]: model_grader_server_error" in refused.error["message"]
    assert "query[0]" not in refused.error["message"]


def test_a_batch_is_judged_at_the_same_time_within_the_bound(
    judge: JudgeServer, judged: Server
) -> None:
    together = threading.Barrier(16)

    def wait_for_the_others(conversation: Any) -> None:
        together.wait(30)
        verdict(0.5)(conversation)

    judge.most_in_flight = 0
    judge.answers(wait_for_the_others)
    rows = [(f"?{number}", "?", number) for number in range(32)]
    assert judged.post("/reward", rlhf(*rows)).json["rewards"] == [0.5] * 32
    assert judge.most_in_flight == 16


def test_rewards_are_in_the_order_of_the_rows(judge: JudgeServer, judged: Server) -> None:
    def by_label(asked: Any) -> Reply:
        return verdict(int(asked.body["messages"][-1]["content"].rpartition(" ")[2]) / 100)

    judge.script = by_label
    rows = [(f"?{number}", "?", number) for number in range(50)]
    rewards = judged.post("/reward", rlhf(*rows)).json["rewards"]
    assert rewards == [number / 100 for number in range(50)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plain")
    grader = {**SAME, "reference": "{{item.label.text}}"}
    with serving(folder, *start(folder, grader), "--max-row-bytes", "2000") as running:
        yield running


@pytest.mark.parametrize(
    "body",
    [
        slime("4", None),
        slime("4", {"txt": "4"}),
        rlhf(("?4", "?", {"text": "4"}), ("?4", "?", {})),
        rlhf(("2+2?4", "another prompt", {"text": "4"})),
        azure({}),
        azure({"unknown": 1}),
        azure([]),
        azure(4),
        promptfoo(None),
        {"output": "4", "context": None},
    ],
    ids=str,
)
def test_a_row_at_fault_is_no_zero_and_not_to_be_tried_again(plain: Server, body: Any) -> None:
    refused = plain.post("/reward", body)
    assert (refused.status, refused.error["code"]) == (400, "invalid_row")
    assert "retry-after" not in refused.headers


def test_an_error_in_place_of_azures_output_is_an_outage(plain: Server) -> None:
    body = azure({"error": {"message": "content could not be made"}}) | {
        "item": {"label": {"text": "4"}}
    }
    refused = plain.post("/reward", body)
    assert (refused.status, refused.error["code"]) == (503, "no_reward")


LONE = '"\\ud83d"'
WRONG: dict[str, tuple[Any, int, str | None]] = {
    "nothing": (b"", 400, None),
    "no object": ([], 400, "invalid_type"),
    "no JSON": (b'{"prompt": ', 400, None),
    "NaN": (b'{"prompt": "", "response": "", "label": NaN}', 400, None),
    "no form": ({"text": "4"}, 400, "unknown_form"),
    "an empty object": ({}, 400, "unknown_form"),
    "two forms": ({**slime("4"), **azure({})}, 400, "ambiguous_form"),
    "two forms by one key": ({**rlhf(("?4", "?", 1)), "context": {}}, 400, "ambiguous_form"),
    "no label": ({"prompt": "", "response": "4"}, 400, "missing_required_parameter"),
    "no sample": ({"item": {}}, 400, "missing_required_parameter"),
    "no output": ({"context": {}}, 400, "missing_required_parameter"),
    "no labels": ({"query": [], "prompts": []}, 400, "missing_required_parameter"),
    "a response of no text": (slime([]), 400, "invalid_type"),  # type: ignore[arg-type] # what is tried
    "text for lists": ({"query": "a", "prompts": "a", "labels": "a"}, 400, "invalid_type"),
    "queries of no text": ({"query": [1], "prompts": ["a"], "labels": ["a"]}, 400, "invalid_type"),
    "lists that differ": ({"query": ["a"], "prompts": [], "labels": ["a"]}, 400, None),
    "a context of no object": ({"output": "4", "context": []}, 400, "invalid_type"),
    "vars of no object": ({"output": "4", "context": {"vars": 4}}, 400, "invalid_type"),
    "a long row": (slime("x" * 3000), 413, "row_too_large"),
    "a long row of several": (rlhf(("a", "a", 1), ("?" + "x" * 3000, "?", 1)), 413, "row_too_large"),
    "many values": (b'{"query": [' + b'"",' * (2 << 20) + b'""]}', 413, "too_many_rows"),
    "deep": (b'{"response": "", "prompt": "", "label": ' + b"[" * 9000, 400, None),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_body_that_cannot_be_read_is_refused(plain: Server, name: str) -> None:
    body, status, code = WRONG[name]
    refused = plain.post("/reward", body)
    assert (refused.status, refused.error["code"]) == (status, code)
    assert plain.is_well()


def test_all_mistakes_are_named_at_once(plain: Server) -> None:
    body = {"query": [1, "a"], "prompts": ["a"], "labels": "a"}
    message = plain.post("/reward", body).error["message"]
    assert "'query[0]'" in message
    assert "'labels'" in message
    message = plain.post("/reward", {"label": 1}).error["message"]
    assert "'prompt'" in message
    assert "'response'" in message
    assert "slime" in message


def test_half_a_character_in_a_response_is_read(plain: Server) -> None:
    body = f'{{"prompt": {LONE}, "response": {LONE}, "label": {{"text": {LONE}}}}}'
    assert plain.post("/reward", body.encode()).json == 1.0
    rows = f'{{"query": [{LONE}, {LONE}], "prompts": ["", ""], "labels": [{{"text": {LONE}}}, 1]}}'
    assert plain.post("/reward", rows.encode()).status == 400


def test_forms_other_than_json_are_refused(plain: Server) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        assert plain.ask("POST", "/reward", slime("4"), headers).status == 415
    assert plain.ask("GET", "/reward").status == 405


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[Server]:
    grader = {**SLEEPER, "source": SLEEPER["source"].replace("['seconds']", "['label']")}
    flags = ("--concurrency", "1", "--max-queue", "1", "--deadline-s", "3")
    with serving(tmp_path, *start(tmp_path, grader), *flags) as running:
        yield running


BATCH_60 = rlhf(("?a", "?", 60), ("?b", "?", 60))


def test_a_busy_server_refuses_and_a_client_that_leaves_gives_its_place_back(
    sleeping: Server,
) -> None:
    waiting = [sleeping.connect() for _ in range(2)]
    for connection, body in zip(waiting, (slime("a", 60), BATCH_60), strict=True):
        connection.sendall(raw_request("/reward", json.dumps(body).encode()))
    assert eventually(lambda: sleeping.metric("graders_queue_depth") == 1)
    for body in (slime("a", 0), BATCH_60):
        refused = sleeping.post("/reward", body)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    for connection in waiting:
        connection.close()
    assert eventually(lambda: sleeping.metric("graders_queue_depth") == 0)
    assert sleeping.post("/reward", slime("a", 0)).json == 1.0


@pytest.mark.parametrize("body", [slime("a", 60), BATCH_60], ids=["one row", "two rows"])
def test_work_past_the_deadline_is_given_up(sleeping: Server, body: Any) -> None:
    late = sleeping.post("/reward", body)
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
    assert eventually(lambda: sleeping.metric("graders_sandbox_calls_running") == 0)


def test_a_large_batch_leaves_the_server_to_the_others(plain: Server) -> None:
    row = ("?" + "x" * 100, "?", {"text": "x" * 100})
    body = json.dumps(rlhf(*[row] * 60_000)).encode()
    answers: list[int] = []
    client = threading.Thread(
        target=lambda: answers.append(len(plain.post("/reward", body).json["rewards"]))
    )
    client.start()
    pings = 0
    while client.is_alive():
        pings += plain.ask("GET", "/healthz").status == 200
    client.join()
    assert answers == [60_000]
    assert pings > 2
