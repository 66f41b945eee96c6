"""What an endpoint says of an error decides, and nothing that our address or a row has in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.policies import Retrying
from tests.judges import judge_server as judge
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, judge_server, said
from tests.judges.rows import HASTY, SCORE, judging, row, scored
from tests.judges.test_conformance import asking


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def refusal(status: int, value: Any) -> Reply:
    return judge.http(status, value if isinstance(value, bytes) else json.dumps(value).encode())


def failure(server: JudgeServer, reply: Reply) -> BackendFailure:
    server.answers(reply)

    async def main() -> BackendFailure:
        backend = OpenAIBackend(server.url)
        try:
            with pytest.raises(BackendFailure) as failed:
                await backend.complete(asking("x"))
        finally:
            await backend.close()
        return failed.value

    return asyncio.run(main())


OPENAI = {"message": "no", "type": "invalid_request_error", "param": "seed", "code": "bad_seed"}
PYDANTIC = [
    {"type": "literal_error", "loc": ["body", "messages", 0, "role"], "msg": "no", "input": "secret"},
    {"type": "missing", "loc": ["body", "model"], "msg": "Field required"},
]  # fmt: skip
BODIES: dict[str, tuple[Any, str | None, str | None, str]] = {
    "OpenAI": ({"error": OPENAI}, "bad_seed", "seed", "no"),
    "a list (Gemini)": ([{"error": {"code": 400, "message": "no"}}], "400", None, "no"),
    "vLLM": ({"object": "error", "message": "no", "param": None, "code": 400}, "400", None, "no"),
    "a text (Ollama)": ({"error": "no"}, None, None, "no"),
    "a detail": ({"detail": "no"}, None, None, "no"),
    "a list of details (FastAPI)": (
        {"detail": PYDANTIC}, None, "messages.0.role", "messages.0.role: no; model: Field required",
    ),
    "details in a message (Mistral)": (
        {"object": "error", "message": {"detail": PYDANTIC[:1]}, "code": None},
        None, "messages.0.role", "no",
    ),
    "a message": ({"message": "no", "code": "gone"}, "gone", None, "no"),
    "a problem (RFC 9457)": ({"title": "T", "status": 400, "detail": "no"}, None, None, "no"),
    "Azure with an inner code": (
        {"error": {"code": "BadRequest", "message": "no", "innererror": {"code": "TooOld"}}},
        "TooOld", None, "no",
    ),
    "Azure with two codes": (
        {"error": {"code": "outer", "message": "no", "inner_error": {"code": "inner"}}},
        "outer", None, "no",
    ),
    "a page": (b"<h1>no</h1>", None, None, "<h1>no</h1>"),
    "JSON that is no object": (b'"no"', None, None, '"no"'),
    "an empty object": ({}, None, None, "{}"),
    "deep objects": ({"error": {"error": {"error": {"error": {"error": {}}}}}}, None, None, '{"e'),
}  # fmt: skip


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(("body", "code", "param", "message"), BODIES.values(), ids=BODIES)
def test_an_error_carries_what_the_endpoint_says(
    server: JudgeServer, status: int, body: Any, code: str | None, param: str | None, message: str
) -> None:
    error = failure(server, refusal(status, body))
    assert isinstance(error, BackendRejected if status == 400 else BackendBusy)
    assert (error.status, error.code, error.param) == (status, code, param)
    assert (error.message or "").startswith(message)
    assert "secret" not in (error.message or "")
    assert server.url not in (error.message or "")


def test_an_error_without_an_answer_has_no_status(server: JudgeServer) -> None:
    error = failure(server, judge.hang_up)
    assert (error.status, error.code, error.param, error.message) == (None, None, None, None)


def test_the_last_failure_of_several_attempts_carries_it_too(server: JudgeServer) -> None:
    async def main() -> BackendFailure:
        backend = Retrying(OpenAIBackend(server.url), HASTY)
        try:
            with pytest.raises(BackendFailure) as failed:
                await backend.complete(asking("x"))
        finally:
            await backend.close()
        return failed.value

    server.answers(refusal(503, {"error": {"message": "starting", "code": "warming"}}))
    error = asyncio.run(main())
    assert (error.status, error.code, error.message) == (503, "warming", "starting")
    assert not isinstance(error, BackendBusy)


NOT_FOUND: dict[str, Any] = {
    "a page": lambda path: f"<h1>Cannot POST {path}</h1>".encode(),
    "OpenAI's": lambda path: {"error": {"message": f"Invalid URL (POST {path})", "param": None}},
    "FastAPI's": lambda path: {"detail": "Not Found", "path": path, "instance": path},
    "the path in a detail": lambda path: {"detail": f"no route {path.lstrip('/')}"},
    "one step of the path": lambda path: {"detail": f"no route '{path.split('/')[1]}'."},
    "the whole address": lambda path: {"error": f"http://127.0.0.1{path} was not found"},
}


@pytest.mark.parametrize("body", NOT_FOUND.values(), ids=NOT_FOUND)
@pytest.mark.parametrize(
    "base", ["/v1", "/structured/v1", "/json_schema/response_format", "/role/developer/v1"]
)
def test_an_endpoint_that_is_not_there_costs_one_request_whatever_its_address(
    server: JudgeServer, base: str, body: Any
) -> None:
    server.script = lambda asked: refusal(404, body(asked.path))
    grader = {**SCORE, "input": [{"role": "developer", "content": "Be strict."}, *SCORE["input"]]}
    graded = scored(server.url.removesuffix("/v1") + base, grader)
    assert graded.status == "failed"
    assert len(server.asked) == 1


QUOTED = "What do response_format and json_schema mean, and which role has a developer?"


@pytest.mark.parametrize(
    "said_of_it",
    [
        lambda text: {"error": {"message": f"Cannot read this: '{text}'", "param": None}},
        lambda text: {"error": {"message": f"Cannot read {text[20:60]} there", "param": None}},
        lambda text: {"error": f"Invalid input: {text}"},
        lambda text: {"detail": [{"loc": ["body", "messages", 1], "msg": f"bad: {text}"}]},
        lambda text: f"Bad text: {text}".encode(),
    ],
)
def test_a_row_that_an_error_quotes_costs_one_request_and_gives_nothing_up(
    server: JudgeServer, said_of_it: Any
) -> None:
    def script(asked: Asked) -> Reply:
        content = asked.body["messages"][-1]["content"]
        return refusal(400, said_of_it(content)) if QUOTED in content else judge.verdict(1)

    server.script = script
    with Engine(judges=judging(server.url)) as engine:
        first, second = engine.score(SCORE, [row(QUOTED), row("another")])
    assert (first.status, second.status) == ("failed", "scored")
    assert len(server.asked) == 2
    assert server.asked[-1].body["response_format"]["type"] == "json_schema"


UNSUPPORTED: dict[str, tuple[str, Any]] = {
    "only in the code": ("binding", {"error": {"code": "unsupported_response_format"}}),
    "only in the type": (
        "binding",
        {"error": {"message": "bad", "type": "response_format_unsupported"}},
    ),
    "in another key": (
        "binding",
        {"error": {"message": "bad request"}, "failed_field": "response_format"},
    ),
    "with the model as the parameter": (
        "binding",
        {"error": {"message": "'response_format' does not go with it", "param": "model"}},
    ),
    "the second of two mistakes": (
        "binding",
        {"detail": [{"loc": ["body", "model"], "msg": "x"},
                    {"loc": ["body", "response_format"], "msg": "extra"}]},
    ),
    "OpenRouter, in what the provider said": (
        "binding",
        {"error": {"message": "Provider returned error",
                   "metadata": {"raw": '{"error":{"message":"response_format is unavailable"}}'}}},
    ),
    "Google, in a field violation": (
        "binding",
        [{"error": {"message": "Invalid argument.",
                    "details": [{"fieldViolations": [{"field": "response_format"}]}]}}],
    ),
    "compact JSON with an address": (
        "binding",
        {"error": {"message": '[{"loc":["body","response_format"],"url":"https://errors.dev/v"}]'}},
    ),
    "words with a slash": (
        "binding", {"error": {"message": "response_format/json_schema unsupported"}},
    ),
    "OpenAI, by its parameter": (
        "binding",
        {"error": {"message": "Unknown.", "param": "response_format", "code": "unknown_parameter"}},
    ),
    "FastAPI": (
        "binding", {"detail": [{"loc": ["body", "response_format", "type"], "msg": "Input should be"}]},
    ),
    "a sentence with a link": (
        "binding",
        {"error": {"message": "No response format `json_schema`. See https://x.example/structured"}},
    ),
    "plain text": ("binding", b"response_format is not supported"),
    "a role, by its parameter": (
        "developer",
        {"error": {"message": "Unsupported value.", "param": "messages[0].role"}},
    ),
    "a role among the messages": (
        "developer", {"error": {"message": "unknown role: developer", "param": "messages"}},
    ),
    "a limit, by its parameter": (
        "max_tokens",
        {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}]},
    ),
}  # fmt: skip
GRADER = {
    **SCORE,
    "input": [{"role": "developer", "content": "You are a developer."}, *SCORE["input"]],
    "sampling_params": {"max_tokens": 9},
}


@pytest.mark.parametrize(("what", "body"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_an_endpoint_says_that_it_does_not_support_is_left_out(
    server: JudgeServer, what: str, body: Any
) -> None:
    server.answers(refusal(400, body), judge.verdict(1))
    assert scored(server.url, GRADER).status in ("scored", "invalid")
    first, second = (asked.body for asked in server.asked)
    changed = {
        "binding": first["response_format"] != second.get("response_format"),
        "developer": second["messages"][0]["role"] == "system"
        and first["response_format"] == second.get("response_format"),
        "max_tokens": "max_tokens" in second,
    }
    assert changed == {key: key == what for key in changed}


@pytest.mark.parametrize("param", ["temperature", "messages[1].content"])
def test_an_error_that_names_another_parameter_is_not_searched_for_names(
    server: JudgeServer, param: str
) -> None:
    message = "bad; note that response_format needs json_schema, and a developer a role"
    grader = {**GRADER, "sampling_params": {"temperature": 0.5}}
    server.answers(refusal(400, {"error": {"message": message, "param": param}}))
    assert scored(server.url, grader).status == "failed"
    assert len(server.asked) == 1


def test_what_worked_once_for_a_model_is_never_given_up(server: JudgeServer) -> None:
    complaint = {"error": {"message": "response_format: no", "param": "response_format"}}
    server.script = lambda asked: (
        refusal(400, complaint) if "row 1" in asked.text else judge.verdict(1)
    )
    with Engine(judges=judging(server.url)) as engine:
        statuses = [
            engine.run(SCORE, model_sample=f"row {n}").metadata.errors.model_grader_server_error
            for n in range(3)
        ]
    assert statuses == [False, True, False]
    assert len(server.asked) == 3
    assert {asked.body["response_format"]["type"] for asked in server.asked} == {"json_schema"}


def test_what_was_not_used_has_not_worked(server: JudgeServer) -> None:
    def script(asked: Asked) -> Reply:
        if "max_completion_tokens" in asked.body:
            return refusal(400, {"error": "unknown field max_completion_tokens"})
        return judge.verdict(1)

    server.script = script
    with Engine(judges=judging(server.url)) as engine:
        for grader in (SCORE, {**SCORE, "sampling_params": {"max_tokens": 9}}):
            assert engine.run(grader, model_sample="x").reward == 1.0
    assert [asked.body.get("max_tokens") for asked in server.asked] == [None, None, 9]


FILTERED = {"message": "filtered", "param": "prompt", "code": "content_filter"}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"error": FILTERED}, True),
        ({"error": {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, True),
        ({"error": {"code": "400", "inner_error": {"code": "content_filter"}}}, True),
        ({"error": {"message": 'the row said "content_filter"', "code": "too_long"}}, False),
        (b'the row said "content_filter"', False),
    ],
)
def test_a_prompt_is_filtered_if_the_code_says_so(
    server: JudgeServer, body: Any, refused: bool
) -> None:
    server.answers(refusal(400, body))
    flags = scored(server.url).flags
    assert list(flags) == [f"model_grader_{'refusal' if refused else 'server'}_error"]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_answer_that_says_nothing_is_an_error_with_its_status(
    server: JudgeServer, api: str
) -> None:
    server.answers(answer({"nothing": said("x")}))

    async def main() -> int | None:
        backend = OpenAIBackend(EndpointSettings(base_url=server.url, api=api))
        with pytest.raises(BackendFailure) as failed:
            await backend.complete(asking("x"))
        await backend.close()
        return failed.value.status

    assert asyncio.run(main()) == 200
