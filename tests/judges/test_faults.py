"""Whatever an endpoint does, a row ends in the contract's flag, and an outage is never a zero."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from graders_engine import Engine
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.retry import RetryPolicy
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, Reply, answer, error, http, said, verdict
from tests.judges.rows import HASTY, LABEL, SCORE, judging, row, scored

SERVER = "model_grader_server_error"
PARSE = "model_grader_parse_error"
REFUSAL = "model_grader_refusal_error"
CUT_OFF = "model_grader_exceeded_max_tokens_error"
STATUS = {SERVER: "failed", PARSE: "invalid", REFUSAL: "invalid", CUT_OFF: "invalid"}
IMPATIENT = RetryPolicy(attempts=2, total_s=60, attempt_s=0.5, wait_initial_s=0.01)
HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
DEEP = "[" * 100_000
AZURE_FILTER = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry. To learn more about our content filtering policies "
    "please read our documentation: \r\nhttps://go.microsoft.com/fwlink/?linkid=2198766.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
}


class Fault(NamedTuple):
    """What the endpoint answers, the flag it ends in, words of its details, and the requests it takes."""

    reply: Reply
    flag: str
    words: str
    requests: int = 1
    retry: RetryPolicy = HASTY


def text(content: Any, **more: Any) -> Reply:
    return answer(said(content, **more))


def choices(value: Any) -> Reply:
    return answer({**said(""), "choices": value})


TRIED_AGAIN = {
    "429": Fault(error(429, "slow down"), SERVER, "HTTP 429: ", 3),
    "429 with Retry-After": Fault(error(429, "slow", Retry_After="0.05"), SERVER, "(3 tries", 3),
    "500": Fault(error(500, "oh"), SERVER, "HTTP 500", 3),
    "502 with a page": Fault(http(502, HTML), SERVER, "502 Bad Gateway", 3),
    "503": Fault(error(503, "starting"), SERVER, "starting", 3),
    "504": Fault(error(504, "slow"), SERVER, "HTTP 504", 3),
    "reset before the answer": Fault(judge.hang_up, SERVER, "Error", 3),
    "reset in the middle of the body": Fault(judge.reset_midway, SERVER, "Error", 3),
    "a body that ends early": Fault(judge.cut_short, SERVER, "ClientPayloadError", 3),
    "a broken chunk": Fault(
        lambda to: to.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        SERVER, "(3 tries", 3,
    ),
    "no HTTP at all": Fault(lambda to: to.write(b"hello\r\n\r\n"), SERVER, "(3 tries", 3),
    "a broken gzip": Fault(http(200, b"{}", Content_Encoding="gzip"), SERVER, "(3 tries", 3),
    "silence": Fault(judge.silence, SERVER, "no answer within 0.5 s (2 tries", 2, IMPATIENT),
    "a byte now and then": Fault(judge.drip, SERVER, "no answer within 0.5 s", 2, IMPATIENT),
}  # fmt: skip
"""Another try may help: each is asked for again, as often as patience allows."""
NEVER_AN_ANSWER = {
    "400": Fault(error(400, "bad"), SERVER, "HTTP 400"),
    "401": Fault(error(401, "no such key"), SERVER, "no such key"),
    "404": Fault(error(404, "no such model"), SERVER, "no such model"),
    "413": Fault(error(413, "too large"), SERVER, "HTTP 413"),
    "201": Fault(http(201, b"{}"), SERVER, "HTTP 201"),
    "204": Fault(http(204), SERVER, "HTTP 204"),
    "a redirect": Fault(
        http(307, Location="http://127.0.0.1:1/"), SERVER, "a redirect is not followed"
    ),
    "a page with status 200": Fault(http(200, HTML), SERVER, "the answer is not JSON: <!doctype", 3),
    "a stream": Fault(
        http(200, b'data: {"choices": [{"delta": {"content": "{"}}]}\n\n' * 99), SERVER,
        "extra_body = {stream = false}",
    ),
    "a stream that begins with an event": Fault(
        http(200, b"event: message\ndata: {}\n\n"), SERVER, "the endpoint streams its answer",
    ),
    "a stream that begins with a comment": Fault(
        http(200, b": OPENROUTER PROCESSING\n\ndata: {}\n\n"), SERVER, "the endpoint streams its answer",
    ),
    "broken JSON": Fault(http(200, b'{"choices": ['), SERVER, "the answer is not JSON", 3),
    "no body": Fault(http(200), SERVER, "the answer is empty", 3),
    "NaN in the answer": Fault(http(200, b'{"choices": NaN}'), SERVER, "the answer is not JSON", 3),
    "bytes that are no text": Fault(http(200, b"\xff\xfe{}"), SERVER, "the answer is not JSON", 3),
    "too deep an answer": Fault(http(200, DEEP.encode()), SERVER, "the answer is not JSON", 3),
    "10 MB": Fault(http(200, b" " * 10_000_000), SERVER, "longer than 4194304 bytes"),
    "10 MB of verdict": Fault(text("x" * 10_000_000), SERVER, "longer than 4194304 bytes"),
    "an error with status 200": Fault(
        answer({"error": {"message": "no"}}), SERVER, "the endpoint answered with an error"
    ),
    "a list": Fault(answer([said("{}")]), SERVER, "answered without a message"),
    "a string": Fault(answer("hello"), SERVER, "answered without a message"),
    "null": Fault(answer(None), SERVER, "answered without a message"),
    "nested lists": Fault(http(200, b"[" * 90 + b"]" * 90), SERVER, "without a message"),
    "no choices": Fault(choices([]), SERVER, "answered without a message", 3),
    "choices that are null": Fault(choices(None), SERVER, "answered without a message", 3),
    "choices that are a string": Fault(choices("abc"), SERVER, "answered without a message"),
    "choices that are an object": Fault(choices({"0": 1}), SERVER, "answered without a message"),
    "a choice that is a number": Fault(choices([1]), SERVER, "answered without a message"),
    "a choice without a message": Fault(choices([{"index": 0}]), SERVER, "without a message"),
    "a message that is a string": Fault(choices([{"message": "hi"}]), SERVER, "without a message"),
    "content that is a number": Fault(text(5), SERVER, "answered without a message"),
    "content that is an object": Fault(text({"result": 1}), SERVER, "answered without a message"),
    "a refusal that is an object": Fault(
        text(None, refusal={"why": "no"}), SERVER, "answered without a message"
    ),
}  # fmt: skip
"""No further try can better it."""
NO_VERDICT = {
    "prose round the JSON": Fault(
        text(f"Here it is: {judge.verdict_text(1)} Well done!"), PARSE, "not JSON alone"
    ),
    "prose": Fault(text("I would say 0.7."), PARSE, "not JSON alone"),
    "nothing": Fault(text(""), PARSE, "the judge's answer is empty"),
    "content that is null": Fault(text(None), PARSE, "the judge's answer is empty"),
    "half a verdict": Fault(text('{"steps": [], "resu'), PARSE, "not JSON alone"),
    "two verdicts": Fault(text(judge.verdict_text(1) * 2), PARSE, "not JSON alone"),
    "a number alone": Fault(text("1"), PARSE, "has no `result`"),
    "a list of a verdict": Fault(text('[{"result": 1}]'), PARSE, "has no `result`"),
    "a verdict without a result": Fault(text('{"steps": [], "score": 1}'), PARSE, "no `result`"),
    "the verdict one level down": Fault(text('{"verdict": {"result": 1}}'), PARSE, "no `result`"),
    "a number as a string": Fault(text('{"result": "0.7"}'), PARSE, "is not a number: '0.7'"),
    "true": Fault(text('{"result": true}'), PARSE, "is not a number: 'true'"),
    "null for a result": Fault(text('{"result": null}'), PARSE, "is not a number: 'null'"),
    "a list for a result": Fault(text('{"result": [1]}'), PARSE, "is not a number: '[1]'"),
    "an object for a result": Fault(text('{"result": {"a": 1}}'), PARSE, "is not a number"),
    "NaN": Fault(text('{"steps": [], "result": NaN}'), PARSE, "not JSON alone"),
    "Infinity": Fault(text('{"steps": [], "result": Infinity}'), PARSE, "not JSON alone"),
    "1e999": Fault(text('{"steps": [], "result": 1e999}'), PARSE, "is not a number"),
    "an integer beyond all doubles": Fault(
        text('{"result": 1' + "0" * 400 + "}"), PARSE, "too large"
    ),
    "an integer of 5000 digits": Fault(text('{"result": ' + "9" * 5000 + "}"), PARSE, "answer"),
    "too deep a verdict": Fault(text(DEEP), PARSE, "not JSON alone"),
    "a million characters": Fault(text("x" * 1_000_000), PARSE, "not JSON alone"),
}
"""The judge answered, but not with a verdict."""
DECLINED = {
    "a refusal": Fault(text(None, refusal="I cannot rate that."), REFUSAL, "I cannot rate that."),
    "the content filter": Fault(text("", finish="content_filter"), REFUSAL, "content filter"),
    "Azure's filter of prompts": Fault(
        http(400, json.dumps({"error": AZURE_FILTER}).encode()), REFUSAL, "content filter"
    ),
    "a refusal beside a verdict": Fault(
        text(judge.verdict_text(1), refusal="No."), REFUSAL, "the judge refused: No."
    ),
    "cut off": Fault(text('{"steps": [', finish="length"), CUT_OFF, "was cut off"),
    "cut off before the first word": Fault(text(None, finish="length"), CUT_OFF, "was cut off"),
    "cut off behind a whole verdict": Fault(
        text(judge.verdict_text(1), finish="length"), CUT_OFF, "was cut off"
    ),
}
UNPAID = "Azure's filter of prompts"
FAULTS = TRIED_AGAIN | NEVER_AN_ANSWER | NO_VERDICT | DECLINED


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge.judge_server() as opened:
        yield opened


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_ends_in_its_flag(server: JudgeServer, fault: Fault) -> None:
    server.answers(fault.reply)
    before = len(server.asked)
    graded = scored(server.url, retry=fault.retry)
    assert (graded.reward, graded.status) == (None, STATUS[fault.flag])
    assert list(graded.flags) == [fault.flag]
    assert fault.words in graded.flags[fault.flag]
    assert len(graded.flags[fault.flag]) < 800
    assert server.saw(before + fault.requests)
    # What was answered was paid for, whatever it was worth.
    paid = 49 if fault.flag != SERVER and fault is not FAULTS[UNPAID] else 0
    assert sum(used.total_tokens for used in graded.outcome.usage.values()) == paid


RESPONSES = {
    "a refusal": ((judge.responded({"type": "refusal", "refusal": "No."})), REFUSAL),
    "the content filter": (
        judge.responded(status="incomplete", incomplete_details={"reason": "content_filter"}),
        REFUSAL,
    ),
    "cut off while it reasoned": (
        judge.responded(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        CUT_OFF,
    ),
    "cut off": (
        judge.responded(
            judge.spoken('{"st'), status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
        CUT_OFF,
    ),
    "prose": (judge.responded(judge.spoken("0.7")), PARSE),
    "an empty text": (judge.responded(judge.spoken("")), PARSE),
    "failed": (judge.responded(status="failed", error={"message": "oh"}), SERVER),
    "cancelled": (judge.responded(status="cancelled"), SERVER),
    "no message": (judge.responded(), SERVER),
    "no output": ({"object": "response"}, SERVER),
    "an output that is a string": ({"output": "hi"}, SERVER),
    "an output that is null": ({"output": None}, SERVER),
    "a block that is a number": ({"output": [{"type": "message", "content": [5]}]}, SERVER),
    "a text that is a number": (judge.responded({"type": "output_text", "text": 5}), SERVER),
    "a refusal that is a number": (judge.responded({"type": "refusal", "refusal": 5}), SERVER),
    "details that are a string": (
        judge.responded(judge.spoken("{}"), incomplete_details="x"), SERVER
    ),
    "a chat completion": (said(judge.verdict_text(1)), SERVER),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "flag"), RESPONSES.values(), ids=RESPONSES)
def test_a_fault_in_the_responses_form_ends_in_its_flag(
    server: JudgeServer, reply: Any, flag: str
) -> None:
    server.answers(answer(reply))
    settings = EndpointSettings(base_url=server.url, api="responses")
    graded = scored(OpenAIBackend(settings))
    assert (graded.reward, graded.status) == (None, STATUS[flag])
    assert list(graded.flags) == [flag]
    assert bool(graded.outcome.usage) == (flag != SERVER)


RECOVERABLE: dict[str, list[Reply]] = {
    "429": [error(429, "slow down")],
    "429 with seconds": [error(429, "slow down", Retry_After="0.02")],
    "429 with milliseconds": [error(429, "slow down", retry_after_ms="20")],
    "429 with a date": [error(429, "slow down", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")],
    "429 with nonsense": [error(429, "slow down", Retry_After="soon")],
    "429 with no number": [error(429, "slow down", Retry_After="nan")],
    "500": [error(500, "oh")],
    "503 twice": [error(503, "starting"), error(503, "starting")],
    "408 and 409": [error(408, "late"), error(409, "again")],
    "a reset": [judge.reset_midway],
    "a hang-up and a 502": [judge.hang_up, http(502, HTML)],
}


@pytest.mark.parametrize("first", RECOVERABLE.values(), ids=RECOVERABLE)
def test_what_passes_leaves_the_reward(server: JudgeServer, first: list[Reply]) -> None:
    server.answers(*first, verdict(0.75))
    before = len(server.asked)
    graded = scored(server.url)
    assert (graded.reward, graded.status, graded.flags) == (0.75, "scored", {})
    assert len(server.asked) - before == len(first) + 1


def test_silence_that_ends_leaves_the_reward(server: JudgeServer) -> None:
    server.answers(judge.silence, verdict(0.5))
    retry = RetryPolicy(attempts=2, attempt_s=1, wait_initial_s=0.01)
    assert scored(server.url, retry=retry).reward == 0.5


ODD_BUT_SOUND = {
    "an empty refusal": (
        {"choices": said(judge.verdict_text(0.5), refusal="")["choices"]},
        {"prompt": 40, "completion": 9},
    ),
    "usage is left out": ({"usage": None}, {}),
    "usage is a string": ({"usage": "lots"}, {}),
    "usage is a list": ({"usage": [1]}, {}),
    "usage has strings": ({"usage": {"prompt_tokens": "40", "completion_tokens": 9}}, {"completion": 9}),
    "usage has a negative number": ({"usage": {"prompt_tokens": -1}}, {}),
    "usage has booleans": ({"usage": {"prompt_tokens": True}}, {}),
    "details are a string": (
        {"usage": {"prompt_tokens": 7, "prompt_tokens_details": "x"}}, {"prompt": 7},
    ),
    "the model is left out": ({"model": None}, {"prompt": 40, "completion": 9}),
}  # fmt: skip


@pytest.mark.parametrize(("oddity", "tokens"), ODD_BUT_SOUND.values(), ids=ODD_BUT_SOUND)
def test_an_answer_that_is_odd_beside_its_verdict_is_scored(
    server: JudgeServer, oddity: dict[str, Any], tokens: dict[str, int]
) -> None:
    server.answers(answer(said(judge.verdict_text(0.5)) | oddity))
    graded = scored(server.url)
    assert (graded.reward, graded.status) == (0.5, "scored")
    [used] = graded.outcome.usage.values()
    assert (used.prompt_tokens, used.completion_tokens) == (
        tokens.get("prompt", 0),
        tokens.get("completion", 0),
    )
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens
    assert list(graded.outcome.usage) == ["judge-1" if "model" in oddity else "judge-1-2026"]


def test_a_label_that_is_none_of_the_labels_is_no_verdict(server: JudgeServer) -> None:
    for result in ["Kind", "kind ", "", "lovely", 1, None, ["kind"]]:
        server.answers(verdict(result))
        graded = scored(server.url, LABEL)
        assert list(graded.flags) == [PARSE], result
        assert "not one of the labels" in graded.flags[PARSE]


def test_one_row_s_fault_leaves_the_others_alone(server: JudgeServer) -> None:
    bad = {"3": error(400, "no"), "5": text("prose"), "7": text(None, refusal="no")}
    server.script = lambda asked: bad.get(asked.text.rpartition("answer: ")[2][0], verdict(1))
    with Engine(judges=judging(server.url)) as engine:
        graded = list(engine.score(SCORE, [row(f"{n}") for n in range(9)]))
    assert [one.status for one in graded] == [
        "scored", "scored", "scored", "failed", "scored", "invalid", "scored", "invalid", "scored",
    ]  # fmt: skip
