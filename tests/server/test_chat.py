"""Chat completions through the stock `openai` package: base models, tuned ones and checkpoints."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from graders_engine.server.routes import PREFIXES
from graders_engine.storage.store import Store
from tests.inference.tuned import STEPS, names_of, trained_job
from tests.server.models_of import ADMIN, BASE, OTHER, OWN, WORDS, client_of, models_server, train
from tests.server.serving import Answer, Server, eventually, raw_request

CHAT = "/v1/chat/completions"
KEY = {"authorization": f"Bearer {OWN}"}
SECRET = "what nobody else may read"  # noqa: S105 - no password
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Say it."}], "temperature": 0}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with models_server(tmp_path_factory.mktemp("chat")) as running:
        yield running


@pytest.fixture
def inference(shared: Server) -> Path:
    """The folder of the process that answers."""
    return shared.log_file.parent / "store" / "inference"


def body(model: str = BASE, **more: Any) -> dict[str, Any]:
    return {**ASK, "model": model, **more}


def saying(text: str) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": text}])


def text_of(completion: Any) -> str:
    return str(completion.choices[0].message.content)


def pieces_of(answer: bytes) -> list[Any]:
    """The data of each event; the last one need not be JSON."""
    events = answer.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") for event in events)
    texts = [event.removeprefix("data: ") for event in events]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


def line_of(server: Server, answer: Answer) -> dict[str, Any]:
    """What the log says of a request; it is written behind the answer."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        wanted = answer.headers["x-request-id"]
        found[:] = [line for line in server.log if line.get("request_id") == wanted]
        return bool(found)

    assert eventually(is_there)
    return found[0]


def test_base_models_tuned_models_and_checkpoints_answer(shared: Server) -> None:
    client = client_of(shared, OWN)
    model, first, last = names_of(train(shared))
    asked = {
        BASE: WORDS, model: "I was trained 10 steps.", first: "I was trained 5 steps.",
        last: "I was trained 10 steps.",
    }  # fmt: skip
    for name, words in asked.items():
        answer = client.chat.completions.create(**body(name))
        assert text_of(answer) == words
        assert (answer.object, answer.model) == ("chat.completion", name)
        assert answer.id.startswith("chatcmpl-")
        assert answer.created > 0
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens == 2
        assert answer.usage.completion_tokens == len(words.split()) + 1
        assert answer.usage.total_tokens == answer.usage.completion_tokens + 2


def test_an_answer_comes_in_pieces_with_its_usage_where_that_is_asked_for(shared: Server) -> None:
    client = client_of(shared, OWN)
    for options, usages in (({"include_usage": True}, 1), ({"include_usage": False}, 0), (None, 0)):
        sent = body(stream=True, stream_options=options)
        pieces = list(client.chat.completions.create(**sent))
        text = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
        assert text == WORDS
        assert len([one for one in pieces if one.choices]) > 3
        assert {one.object for one in pieces} == {"chat.completion.chunk"}
        assert len({one.id for one in pieces}) == 1
        assert [one.choices[0].finish_reason for one in pieces if one.choices][-1] == "stop"
        counted = [one.usage for one in pieces if one.usage is not None]
        assert len(counted) == usages
        if usages:
            assert pieces[-1].choices == []
            assert counted[0].completion_tokens == len(WORDS.split()) + 1
        else:
            assert all("usage" not in one.model_fields_set for one in pieces)


def test_pieces_end_with_done_and_are_not_kept_by_proxies(shared: Server) -> None:
    answer = shared.ask("POST", CHAT, body(stream=True), KEY)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    pieces = pieces_of(answer.body)
    assert pieces[-1] == "[DONE]"
    assert all("usage" not in piece for piece in pieces[:-1])


def test_pieces_are_sent_as_they_are_generated(shared: Server, inference: Path) -> None:
    pieces = client_of(shared, OWN).chat.completions.create(**saying("stall"), stream=True)
    heard = ""
    for piece in pieces:
        heard += piece.choices[0].delta.content or ""
        if heard and not (inference / "go on").exists():
            assert len(heard) < len(
                WORDS
            )  # the generator waits for this file behind its second word
            (inference / "go on").touch()
    assert heard == WORDS
    (inference / "go on").unlink()


def test_every_form_of_the_call_works_without_waiting_too(shared: Server) -> None:
    model, *_ = names_of(train(shared))

    async def use() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{shared.url}/openai/v1", api_key=OWN, max_retries=0
        ) as client:
            chat: Any = client.chat.completions
            assert text_of(await chat.create(**body(model))) == "I was trained 10 steps."
            pieces = await chat.create(**body(stream=True))
            text = "".join([one.choices[0].delta.content or "" async for one in pieces])
            assert text == WORDS
            assert model in [one.id async for one in client.models.list()]
            assert (await client.models.retrieve(model)).id == model
            assert (await client.models.delete(model)).deleted
            with pytest.raises(openai.NotFoundError):
                await chat.create(**body(model))

    asyncio.run(use())


def test_the_package_of_npm_asks_and_streams(shared: Server, node_folder: Path) -> None:
    model, *_ = names_of(train(shared))
    script = shutil.copy(Path(__file__).with_name("chat.mjs"), node_folder)
    done = subprocess.run(
        ["node", script, shared.url, OWN, BASE, model],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answers"] == [WORDS, "I was trained 10 steps."]
    assert found["streamed"] == WORDS
    assert found["tokens"] == len(WORDS.split()) + 1
    assert found["listed"] == [True, True]
    assert found["deleted"] == [model, "model", True]
    assert found["errors"] == [
        ["NotFoundError", 404, "model_not_found", "model"],
        ["BadRequestError", 400, "invalid_value", "model"],
        ["BadRequestError", 400, "unsupported_value", "logprobs"],
    ]


def test_azures_client_asks_a_deployment(shared: Server) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=shared.url, api_key=OWN, api_version="2025-04-01-preview", max_retries=0
    ) as client:
        for name in (BASE, names_of(train(shared))[0]):
            made: Any = client.chat.completions.create(**body(name))
            assert made.model == name
        untyped: Any = client
        assert (
            "".join(
                one.choices[0].delta.content or ""
                for one in untyped.chat.completions.create(**body(stream=True))
            )
            == WORDS
        )
    path = "/openai/deployments/Qwen/tiny/chat/completions?api-version=2024-10-21"
    assert shared.ask("POST", path, ASK, KEY).json["model"] == BASE
    answer = shared.ask("POST", path, body("ft:other"), KEY)
    assert (answer.status, answer.error["param"]) == (400, "model")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_all_prefixes_answer(shared: Server, prefix: str) -> None:
    for path in ("/chat/completions", "/chat/completions?api-version=v1"):
        answer = shared.ask("POST", prefix + path, body(), KEY)
        assert answer.json["choices"][0]["message"]["content"] == WORDS


def test_tools_seeds_stops_and_several_answers_reach_the_model(shared: Server) -> None:
    create = client_of(shared, OWN).chat.completions.create
    answer = create(**body(n=3, stop=" colour", max_completion_tokens=20, seed=1))
    assert [one.message.content for one in answer.choices] == ["Blue is the"] * 3
    assert [one.index for one in answer.choices] == [0, 1, 2]
    shuffled = [text_of(create(**body(temperature=1, seed=seed))) for seed in (1, 1, 2)]
    assert shuffled[0] == shuffled[1] != shuffled[2]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    called = create(**saying("calls"), tools=[tool])
    assert called.choices[0].finish_reason == "tool_calls"
    assert called.choices[0].message.tool_calls[0].function.name == "look"


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 1}, "model", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages[0].content[0].type", "invalid_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs", "unsupported_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"audio": {"voice": "x"}}, "audio", "unknown_parameter"),
        ({"store": True}, "store", "unsupported_value"),
        ({"response_format": {"type": "json_object"}}, "response_format", "invalid_value"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_honoured_is_400_with_the_parameter(
    shared: Server, more: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    if stream and param == "stream_options":
        more = {"stream_options": {"include_usage": 1}}
        param, code = "stream_options.include_usage", "invalid_type"
    answer = shared.ask("POST", CHAT, {**body(), **more, "stream": stream}, KEY)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b'{"model": "\xff"}', b"1" * 100])
def test_a_body_that_is_no_request_is_400(shared: Server, sent: bytes) -> None:
    assert shared.ask("POST", CHAT, sent, KEY).status == 400


def test_a_body_that_is_too_long_is_413(shared: Server) -> None:
    long = saying("x" * (5 << 20))
    assert shared.ask("POST", CHAT, long, KEY).status == 413
    many = body(messages=[{"role": "user", "content": ""}] * 200_000)
    assert shared.ask("POST", CHAT, many, KEY).status == 413


def test_an_unknown_name_and_a_forbidden_one_have_the_same_answer(shared: Server) -> None:
    forbidden = [*names_of(train(shared)), names_of(train(shared, status="running"))[1]]
    unknown = [
        "ft:none", "", "..", "../../etc", "tiny", "/", "a\nb", "a\0b", "\ud800", "Qwen%2Ftiny", "x" * 5_000,
        BASE.lower(), f"{BASE} ",
    ]  # fmt: skip
    for name in (*forbidden, *unknown):
        for stream in (False, True):
            answer = shared.ask(
                "POST", CHAT, body(name, stream=stream), {"authorization": f"Bearer {OTHER}"}
            )
            error = answer.error
            if name != "\ud800":
                assert (answer.status, error["code"], error["param"]) == (
                    404, "model_not_found", "model",
                ), name  # fmt: skip
                quoted = f"The model '{name[:80]}' does not exist or you do not have access to it."
                assert error["message"] == quoted
            else:
                assert answer.status == 400


def test_a_permission_opens_and_closes_answers_within_one_request(shared: Server) -> None:
    permissions = client_of(shared, ADMIN).fine_tuning.checkpoints.permissions
    create = client_of(shared, OTHER).chat.completions.create
    for name in names_of(train(shared)):
        with pytest.raises(openai.NotFoundError):
            create(**body(name))
        (made,) = permissions.create(name, project_ids=["other"]).data
        assert text_of(create(**body(name))).startswith("I was trained")
        permissions.delete(made.id, fine_tuned_model_checkpoint=name)
        with pytest.raises(openai.NotFoundError):
            create(**body(name))


def test_a_deleted_model_answers_no_more_though_it_is_in_memory(shared: Server) -> None:
    model, first, last = names_of(train(shared))
    client = client_of(shared, OWN)
    assert text_of(client.chat.completions.create(**body(model)))
    client.models.delete(model)
    for name in (model, last):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**body(name))
    assert text_of(client.chat.completions.create(**body(first))) == "I was trained 5 steps."


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_ends_the_generation(
    shared: Server, inference: Path, stream: bool
) -> None:
    (inference / "stalled").unlink(missing_ok=True)
    sent = json.dumps({**saying("stall"), "stream": stream}).encode()
    with shared.connect() as connection:
        connection.sendall(raw_request(CHAT, sent, f"Authorization: Bearer {OWN}"))
        assert eventually((inference / "stalled").exists)
        connection.shutdown(socket.SHUT_RDWR)
    # It would wait for ever, and so would the next request.
    assert text_of(client_of(shared, OWN).chat.completions.create(**body())) == WORDS


def begun(ask: Callable[[], Any]) -> Any:
    """A stream whose first piece was sent before the process died."""
    found: list[Any] = []

    def has_begun() -> bool:
        try:
            found.append(ask())
        except openai.InternalServerError:
            return False
        return True

    assert eventually(has_begun)
    return found[0]


def test_a_model_that_dies_is_an_error_and_the_next_request_is_answered(shared: Server) -> None:
    create = client_of(shared, OWN).chat.completions.create
    with pytest.raises(openai.InternalServerError) as died:
        create(**saying("die"))
    assert (died.value.status_code, died.value.code) == (503, "model_lost")
    pieces = begun(lambda: create(**saying("die"), stream=True))
    assert next(pieces).choices[0].delta.content == "Half of"
    with pytest.raises(openai.APIError, match="died before the answer was whole") as broken:
        next(pieces)
    assert broken.value.code == "model_lost"
    assert text_of(create(**body())) == WORDS


def test_a_stream_that_breaks_does_not_end_as_a_whole_one(shared: Server) -> None:
    answers: list[Answer] = []

    def has_begun() -> bool:
        """Whether the first piece was sent before the process died."""
        answers.append(shared.ask("POST", CHAT, {**saying("die"), "stream": True}, KEY))
        return answers[-1].status == 200

    assert eventually(has_begun)
    answer = answers[-1]
    pieces = pieces_of(answer.body)
    assert "[DONE]" not in pieces
    assert pieces[-1]["error"]["code"] == "model_lost"
    assert line_of(shared, answer)["error"] == "model_lost"


def test_a_model_that_cannot_be_loaded_is_500_and_not_asked_again(shared: Server) -> None:
    with Store(shared.log_file.parent / "store") as store:
        job = trained_job(store)
        (store.job_folder(job.id) / "step-10" / "model" / "text").unlink()
    model, *_ = names_of(job)
    for stream in (False, True):
        answer = shared.ask("POST", CHAT, body(model, stream=stream), KEY)
        assert (answer.status, answer.error["code"]) == (500, "model_unavailable")
        assert answer.headers["x-should-retry"] == "false"
        assert str(shared.log_file.parent) not in answer.error["message"]


def test_a_checkpoint_that_is_removed_before_it_is_loaded_does_not_exist(
    shared: Server, inference: Path
) -> None:
    job = train(shared, status="running")
    _, first, _ = names_of(job)
    pieces = client_of(shared, OWN).chat.completions.create(**saying("stall"), stream=True)
    next(pieces)
    with ThreadPoolExecutor() as others:
        asked = others.submit(shared.ask, "POST", CHAT, body(first), KEY)
        time.sleep(0.5)  # it waits for its turn; without this the name would be unknown at once
        with Store(shared.log_file.parent / "store") as store:
            kept, *_ = (one for one in store.jobs.all_checkpoints(job.id) if one.step == STEPS[0])
            store.jobs.remove_checkpoint(kept.id)
            shutil.rmtree(store.job_folder(job.id) / kept.folder)
        (inference / "go on").touch()
        answer = asked.result()
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    (inference / "go on").unlink()


def test_an_answer_that_takes_too_long_is_504(tmp_path: Path) -> None:
    stalling = {**saying("stall"), "stream": True}
    with models_server(tmp_path, "--deadline-s", "1") as server:
        # The first requests may be too late already: the process that answers has to start.
        assert eventually(lambda: server.ask("POST", CHAT, body(), KEY).status == 200)
        answer = server.ask("POST", CHAT, saying("stall"), KEY)
        assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
        assert answer.headers["x-should-retry"] == "false"
        # The generation has ended, too: it would wait for ever, and so would the next request.
        assert eventually(lambda: server.ask("POST", CHAT, body(), KEY).status == 200)
        streamed: list[Answer] = []

        def begins() -> bool:
            streamed.append(server.ask("POST", CHAT, stalling, KEY))
            return streamed[-1].status == 200

        assert eventually(begins)
        assert pieces_of(streamed[-1].body)[-1]["error"]["code"] == "deadline_exceeded"
        assert eventually(lambda: server.ask("POST", CHAT, body(), KEY).status == 200)


def test_logs_and_metrics_have_names_and_tokens_and_no_contents(shared: Server) -> None:
    prompt, answered = (
        f'graders_model_tokens_total{{kind="{kind}"}}' for kind in ("prompt", "completion")
    )

    def counted() -> tuple[float, float]:
        return shared.metric(prompt, KEY), shared.metric(answered, KEY)

    before = counted()
    for stream in (False, True):
        sent = {**saying(SECRET), "stream": stream, "user": SECRET}
        line = line_of(shared, shared.ask("POST", CHAT, sent, KEY))
        assert (line["model"], line["status"]) == (BASE, 200)
        assert (line["prompt_tokens"], line["completion_tokens"]) == (5, 9)
    assert counted() == (before[0] + 10, before[1] + 18)
    everything = (
        shared.log_file.read_text() + shared.ask("GET", "/metrics", None, KEY).body.decode()
    )
    assert SECRET not in everything
    assert WORDS not in everything
    route = 'graders_requests_total{route="/chat/completions",status="200"}'
    assert shared.metric(route, KEY) >= 2


def test_the_server_itself_loads_no_model(shared: Server) -> None:
    assert text_of(client_of(shared, OWN).chat.completions.create(**body())) == WORDS
    maps = Path(f"/proc/{shared.process.pid}/maps")
    if maps.exists():
        assert "libtorch" not in maps.read_text()
