"""A key that an endpoint repeats in any form is in nothing that comes out of the engine."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import BackendFailure
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, judge_server
from tests.judges.rows import HASTY, LABEL, SCORE, judging, row, scored
from tests.judges.test_conformance import asking
from tests.keys.echoes import (
    FORMS,
    KEY,
    all_forms,
    echo,
    error_with,
    left_in,
    mixed,
    verdict_with,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with judge_server() as opened:
        yield opened


def everything(value: Any) -> bytes:
    """All that can be seen of an outcome or an exception, those behind it included."""
    seen = [repr(value), str(value)]
    while isinstance(value, BaseException):
        seen += [str(value), repr(value), repr(vars(value)), *traceback.format_exception(value)]
        value = value.__cause__ or value.__context__
    return "\n".join(seen).encode()


def failure(server: JudgeServer, **settings: Any) -> BackendFailure:
    async def main() -> BackendFailure:
        backend = OpenAIBackend(EndpointSettings(base_url=server.url, **settings))
        try:
            with pytest.raises(BackendFailure) as failed:
                await backend.complete(asking("x"))
        finally:
            await backend.close()
        return failed.value

    return asyncio.run(main())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_in_an_answer_leaves_the_verdict_and_not_the_key(
    server: JudgeServer, form: Any
) -> None:
    server.answers(echo(200, verdict_with(form(KEY), 0.25)))
    graded = scored(server.url)
    assert not left_in(everything(graded))
    assert graded.reward == 0.25


def test_an_answer_whose_key_cannot_be_taken_out_is_not_used(server: JudgeServer) -> None:
    server.answers(echo(200, verdict_with(mixed(KEY), 0.25)))
    graded = scored(server.url)
    assert (graded.status, graded.reward) == ("failed", None)
    assert "repeats a key" in str(graded.flags)
    assert not left_in(everything(graded))
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("form", [*FORMS.values(), mixed], ids=[*FORMS, "mixed"])
def test_a_key_in_an_error_is_in_no_exception(server: JudgeServer, form: Any, status: int) -> None:
    for body in (error_with(form(KEY)), form(KEY).encode()):
        server.answers(echo(status, body))
        error = failure(server)
        assert error.status == status
        assert not left_in(everything(error))


def test_an_error_still_says_what_is_wrong(server: JudgeServer) -> None:
    server.answers(judge.error(401, f"Incorrect API key provided: {KEY}. See the manual."))
    error = failure(server)
    assert error.message == "Incorrect API key provided: ***. See the manual."


def test_an_answer_in_another_encoding_of_characters_hides_no_key(server: JudgeServer) -> None:
    for encoding in ("utf-16", "utf-16-be", "utf-32-le"):
        text = json.dumps(error_with(KEY), ensure_ascii=False).encode(encoding)
        for status in (200, 400):
            server.answers(judge.http(status, text))
            seen = everything(failure(server))
            assert not left_in(seen.replace(b"\0", b"").replace(b"\\x00", b""))


HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
NOT_HTTP = {
    "in place of a status": f"{KEY}\r\n\r\n",
    "in place of a number": f"HTTP/1.1 {KEY} OK\r\n\r\n",
    "in a header that is none": f"{HEAD}{KEY}\r\n\r\n{{}}",
    "in the name of a header": f"{HEAD}{KEY}: 1\r\n\r\n{{}}",
    "in the length": f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n{{}}",
    "in the encoding": f"{HEAD}Content-Encoding: {KEY}\r\n\r\n{{}}",
    "in the transfer encoding": f"{HEAD}Transfer-Encoding: {KEY}\r\n\r\n{{}}",
    "in the length of a chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n",
    "in the body, without JSON": f"HTTP/1.1 200 OK\r\nContent-Length: {len(KEY)}\r\n\r\n{KEY}",
    "in a body that ends early": f"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{KEY}",
}


@pytest.mark.parametrize("answer", NOT_HTTP.values(), ids=NOT_HTTP)
def test_a_key_in_what_is_no_answer_is_in_no_exception_and_no_log(
    server: JudgeServer, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)

    def reply(conversation: judge.Conversation) -> None:
        conversation.write(answer.encode())
        conversation.close_connection = True

    server.answers(reply)
    assert not left_in(everything(failure(server)) + caplog.text.encode())


def test_keys_of_other_endpoints_headers_parameters_and_bodies_are_masked_too(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {
        "of another endpoint": "key-of-B-777",
        "in a header": "tok_header_42",
        "in a parameter": "code%20param-99",
        "in a body": "body-credential-1",
        "with a line end": "env-with-line-end-5",
    }
    monkeypatch.setenv("KEY_B", keys["of another endpoint"])
    monkeypatch.setenv("KEY_A", keys["with a line end"] + "\r\n")
    config = tmp_path / "graders.toml"
    config.write_text(
        f'[endpoints.default]\nbase_url = "{server.url}?code=code%2520param-99"\n'
        'api_key_env = "KEY_A"\nheaders = { "X-Token" = "tok_header_42" }\n'
        'extra_body = { provider = { api_key = ["body-credential-1"] }, top_k = 3 }\n'
        '[endpoints.b]\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "KEY_B"\n'
    )
    for key in keys.values():
        server.answers(echo(200, verdict_with(all_forms(key), 0.5)), echo(400, error_with(key)))
        with Engine(judges=JudgeSettings(config=config, retry=HASTY)) as engine:
            seen = everything(list(engine.score(SCORE, [row("a"), row("b")])))
        assert not left_in(seen, key)


def test_the_key_of_the_judges_is_masked_in_what_endpoint_graders_and_embeddings_answer(
    server: JudgeServer,
) -> None:
    graders = (
        {"type": "endpoint", "url": f"{server.url}/grade"},
        {"type": "text_similarity", "evaluation_metric": "cosine", "input": "a", "reference": "b"},
    )
    for grader in graders:
        server.answers(echo(400, error_with(all_forms(KEY))))
        settings = judging(server.url)
        with Engine(judges=settings, embeddings=f"openai:m@{server.url}") as engine:
            engine.run(SCORE, model_sample="x")  # the judge's endpoint is known from here on
            [graded] = engine.score(grader, [row()])
        assert graded.status == "failed"
        assert "***" in str(graded.flags)
        assert not left_in(everything(graded))


@pytest.mark.parametrize(
    "part",
    ["user:s3cretPW", "s3cretPW", "dXNlcjpzM2NyZXRQVw==", "api-key=zzz", "{'api-key': 'zzz'}",
     '{"api-key": "zzz"}'],
)  # fmt: skip
def test_keys_in_the_address_of_an_endpoint_grader_are_masked(
    server: JudgeServer, part: str
) -> None:
    def script(asked: judge.Asked) -> judge.Reply:
        assert asked.headers["authorization"] == "Basic dXNlcjpzM2NyZXRQVw=="
        assert asked.path == "/v1/grade?api-key=zzz"
        return judge.error(400, f"no: {part}")

    server.script = script
    url = server.url.replace("http://", "http://user:s3cretPW@") + "/grade?api-key=zzz"
    with Engine() as engine:
        [graded] = engine.score({"type": "endpoint", "url": url}, [row()])
    said = graded.flags["endpoint_grader_server_error"]
    assert "HTTP 400" in said
    assert part not in said
    assert "zzz" not in said


@pytest.mark.parametrize(
    "key",
    [
        *("none", "x", "EMPTY", "1", "0", "anything", "sk", "result", "kind"),
        *("not-needed", "NOT_NEEDED", "sk-no-key-required", "no-key", "dummy-key", "your-api-key"),
        *("lm-studio", "LM Studio", "local-key", "sk-1234", "sk-xxxxxxxxxxxxxxxx"),
        *("0000000000000000", "1234567890123456"),
    ],
)
def test_what_people_give_in_place_of_a_key_changes_no_answer(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    answer = f"none of it is EMPTY, 1 x 0.1 is anything, sk result: {key}"
    replies = []

    def observe(request: Any, reply: Any) -> None:
        replies.append(reply)

    labels = {**LABEL, "labels": [key, "other"], "passing_labels": [key]}
    for grader, result, reward in ((SCORE, 0.1, 0.1), (labels, key, 1.0)):
        server.answers(judge.answer(verdict_with(answer, result)))
        with Engine(judges=judging(server.url), observe=observe) as engine:
            [graded] = engine.score(grader, [row()])
        assert graded.reward == reward
        assert answer in replies[-1].text
        assert replies[-1].model == f"judge {answer}"


@pytest.mark.parametrize("digits", ["12345678", "0.1234567", "2024-10-21"])
def test_digits_that_stand_in_a_header_are_left_in_numbers(
    server: JudgeServer, digits: str
) -> None:
    number = float(f"0.{digits.replace('0.', '').replace('-', '')}")
    server.answers(judge.verdict(number))
    settings = EndpointSettings(base_url=server.url, headers={"X-Account": digits})
    with Engine(judges=judging(OpenAIBackend(settings))) as engine:
        assert engine.run(SCORE, model_sample="x").reward == number


def test_a_key_is_in_the_repr_of_no_settings(server: JudgeServer) -> None:
    settings = EndpointSettings(
        base_url=f"{server.url}?key={KEY[:9]}", headers={"a": KEY}, query={"b": KEY},
        extra_body={"c": KEY},
    )  # fmt: skip
    backend = OpenAIBackend(settings, api_key=KEY)
    with Engine(
        judges=f"{server.url}?key={KEY[:9]}", embeddings=f"openai:m@{server.url}"
    ) as engine:
        shown = f"{settings!r} {backend!r} {engine!r} {engine.settings!r}"
    assert "CANARY" not in shown
    asyncio.run(backend.close())


def test_a_long_answer_full_of_beginnings_of_a_key_takes_no_time(server: JudgeServer) -> None:
    for text in ((KEY[:-1] + "\\n \\t" * 50) * 10_000, "\\" * 3_000_000, "\\u0073" * 500_000):
        server.answers(judge.http(400, f"{text}{KEY}".encode()))
        error = failure(server)
        assert error.status == 400
        assert not left_in(everything(error))


def test_basic_authorisation_is_sent_as_before(server: JudgeServer) -> None:
    server.answers(judge.answer({"score": 1}))
    url = server.url.replace("http://", "http://me%40home:p%3Aw@")
    with Engine() as engine:
        assert engine.run({"type": "endpoint", "url": url}, model_sample="x").reward == 1.0
        own = {"type": "endpoint", "url": url, "headers": {"authorization": "Bearer mine-12345"}}
        assert engine.run(own, model_sample="x").reward == 1.0
    sent = [asked.headers["authorization"] for asked in server.asked]
    assert sent == [f"Basic {base64.b64encode(b'me@home:p:w').decode()}", "Bearer mine-12345"]
