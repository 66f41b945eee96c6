"""What every backend promises; the names are the specification."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine.errors import BackendFailure
from graders_engine.graders import verdict
from graders_engine.models.base import (
    AudioPart,
    ImagePart,
    ModelBackend,
    ModelMessage,
    ModelReply,
    ModelRequest,
    Sampling,
    TextPart,
)
from graders_engine.models.cache import Cached, ReplyStore
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.policies import Budget, Budgeted, Coalesced, Limited, Observed, Retrying
from graders_engine.models.recorded import Recorded, Recording, Transcript
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from tests.judges import judge_server as judge
from tests.judges.rows import HASTY

SCHEMA = verdict.schema({"type": "number"})
KEY = "sk-secret-of-the-tests"


def text_of(request: ModelRequest) -> str:
    """All text of a request's messages."""
    parts = (part for message in request.messages for part in message.parts)
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))


def content(reply: ModelReply) -> ModelReply:
    """A reply without the mark that says that it was kept."""
    return msgspec.structs.replace(reply, kept=False)


def asking(*texts: str, **more: Any) -> ModelRequest:
    messages = tuple(ModelMessage("user", (TextPart(text),)) for text in texts)
    return ModelRequest("judge-1", messages, SCHEMA, **more)


REFUSED, CUT_OFF, OUTAGE = asking("refuse"), asking("go on"), asking("break down")
REQUESTS = {
    "plain": asking("one"),
    "several messages": asking("one", "two", "three"),
    "blocks": ModelRequest(
        "judge-1",
        (
            ModelMessage("developer", (TextPart("look"),)),
            ModelMessage(
                "user", (ImagePart("data:,x", "low"), AudioPart("UklGRg==", "wav"), TextPart("!"))
            ),
            ModelMessage("assistant", (TextPart("seen"),)),
        ),
        SCHEMA,
    ),
    "sampling": asking("one", sampling=Sampling(50, "low", 7, 0.0, 1.0)),
    "a repeat": asking("one", repeat=2),
    "another model": msgspec.structs.replace(asking("one"), model="judge-2"),
    "no text": asking(""),
    "every script": asking("naïve 漢字 🙂 \u2028 \x00"),
    "a lone surrogate": asking("\ud800"),
    "an answer with a lone surrogate": asking("say half"),
    "a long text": asking("long " * 50_000),
    "refused": REFUSED,
    "cut off": CUT_OFF,
}


def thought(text: str, messages: int, model: str) -> ModelReply | None:
    """What the model behind every backend here says; None where it breaks down."""
    usage = Usage(40, 49, 9)
    if "break down" in text:
        return None
    if "refuse" in text:
        return ModelReply("", model, usage, refusal="I will not.")
    if "go on" in text:
        return ModelReply('{"steps"', model, usage, finish="length")
    said = "\ud800" if "say half" in text else "whole"
    told = {"steps": [], "result": messages, "said": said}
    return ModelReply(json.dumps(told, ensure_ascii=False), model, usage)


def thought_of(request: ModelRequest) -> ModelReply | None:
    return thought(text_of(request), len(request.messages), request.model)


def scripted() -> Scripted:
    return Scripted(lambda request: thought_of(request) or BackendFailure("broken down"))


def over_http(asked: judge.Asked) -> judge.Reply:
    """The same model behind an endpoint, in both request forms."""
    messages = asked.body["messages"] if "messages" in asked.body else asked.body["input"]
    reply = thought(asked.text, len(messages), asked.body["model"])
    if reply is None:
        return judge.error(400, "broken down")
    more: dict[str, Any] = {"model": reply.model}
    if "messages" in asked.body:
        text, refusal = reply.text, reply.refusal
        return judge.answer(judge.said(text, finish=reply.finish, refusal=refusal) | more)
    more["usage"] = {"input_tokens": 40, "output_tokens": 9, "total_tokens": 49}
    if reply.finish == "length":
        more |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    refused = {"type": "refusal", "refusal": reply.refusal}
    content = judge.spoken(reply.text) if reply.refusal is None else refused
    return judge.answer(judge.responded(content, **more))


@dataclass
class Files:
    """What the policies with a file write to."""

    transcript: Transcript
    store: ReplyStore


POLICIES: dict[str, Callable[[ModelBackend, Files], ModelBackend]] = {
    "retrying": lambda inner, _: Retrying(inner, HASTY),
    "limited": lambda inner, _: Limited(inner, 2),
    "shared": lambda inner, _: Coalesced(inner),
    "budgeted": lambda inner, _: Budgeted(inner, Budget(max_tokens=10**9)),
    "observed": lambda inner, _: Observed(inner, lambda request, reply: None),
    "cached": lambda inner, files: Cached(inner, files.store),
    "recording": lambda inner, files: Recording(inner, files.transcript),
}


def stacked(files: Files) -> ModelBackend:
    backend: ModelBackend = scripted()
    for wrap in POLICIES.values():
        backend = wrap(backend, files)
    return backend


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    opened = Files(Transcript(tmp_path), ReplyStore(tmp_path / "replies.sqlite"))
    yield opened
    opened.transcript.close()
    opened.store.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transcript of every request that the model answers."""
    folder = tmp_path_factory.mktemp("recorded")
    transcript = Transcript(folder)

    async def record() -> None:
        for request in REQUESTS.values():
            await Recording(scripted(), transcript).complete(request)

    asyncio.run(record())
    transcript.close()
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[judge.JudgeServer]:
    with judge.judge_server() as opened:
        opened.script = over_http
        yield opened


@pytest.fixture(
    params=["openai chat", "openai responses", "recorded", "scripted", "all policies", *POLICIES]
)
def backend(request: Any, server: judge.JudgeServer, recorded: Path, files: Files) -> ModelBackend:
    kind = request.param
    if kind in POLICIES:
        return POLICIES[kind](scripted(), files)
    if kind == "recorded":
        return Recorded(recorded)
    if kind == "scripted":
        return scripted()
    if kind == "all policies":
        return stacked(files)
    settings = EndpointSettings(base_url=server.url, api=kind.removeprefix("openai "))
    return OpenAIBackend(settings, api_key=KEY, retry=HASTY)


def check(backend: ModelBackend, promise: Callable[[ModelBackend], Awaitable[None]]) -> None:
    async def checked() -> None:
        try:
            await promise(backend)
        finally:
            await backend.close()

    asyncio.run(checked())


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_every_request_has_its_reply(backend: ModelBackend, request_: ModelRequest) -> None:
    async def promise(backend: ModelBackend) -> None:
        reply = await backend.complete(request_)
        assert content(reply) == thought_of(request_)

    check(backend, promise)


def test_the_same_request_has_the_same_reply(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        first = await backend.complete(REQUESTS["plain"])
        assert content(await backend.complete(asking("one"))) == content(first)

    check(backend, promise)


def test_a_refusal_and_a_cut_off_answer_are_replies_with_their_usage(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        refused, cut_off = await backend.complete(REFUSED), await backend.complete(CUT_OFF)
        assert (refused.refusal, refused.text) == ("I will not.", "")
        assert (cut_off.refusal, cut_off.finish) == (None, "length")
        assert refused.usage == cut_off.usage == Usage(40, 49, 9)

    check(backend, promise)


def test_no_answer_is_a_failure_of_the_backend_and_the_next_request_is_answered(
    backend: ModelBackend,
) -> None:
    async def promise(backend: ModelBackend) -> None:
        for _ in range(2):
            with pytest.raises(BackendFailure):
                await backend.complete(OUTAGE)
        assert await backend.complete(asking("one"))

    check(backend, promise)


def test_requests_at_the_same_time_get_their_own_replies(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        requests = [*REQUESTS.values()] * 3
        replies = await asyncio.gather(*(backend.complete(request) for request in requests))
        assert [content(reply) for reply in replies] == [
            thought_of(request) for request in requests
        ]

    check(backend, promise)


def test_who_gives_up_leaves_the_backend_in_order(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        for turns in range(4):  # given up before it began, and at several places behind that
            task = asyncio.create_task(backend.complete(asking("one")))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await backend.complete(asking("one"))

    check(backend, promise)


def test_the_signature_says_what_answers_and_holds_no_key(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        before = backend.signature
        await backend.complete(asking("one"))
        assert before
        assert backend.signature == before
        assert KEY not in before

    check(backend, promise)


def test_closing_twice_is_allowed(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        await backend.complete(asking("one"))
        await backend.close()

    check(backend, promise)


def test_closing_before_the_first_request_is_allowed(backend: ModelBackend) -> None:
    async def promise(backend: ModelBackend) -> None:
        await backend.close()

    check(backend, promise)
