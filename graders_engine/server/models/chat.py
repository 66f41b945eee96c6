"""The handler of chat completions: whole answers, and answers in pieces as they are generated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, cast

from prometheus_client import Counter

from graders_engine.errors import Mistake
from graders_engine.evals.wire import encoded
from graders_engine.graders import mistakes
from graders_engine.inference.errors import ModelUnavailable
from graders_engine.inference.names import find_served
from graders_engine.inference.request import ChatRequest, read_chat
from graders_engine.inference.served import ServedModel
from graders_engine.server.evals.context import QUOTED_CHARS, answer, decoded
from graders_engine.server.exchange import Exchange
from graders_engine.server.models.context import NAME, Context, refused_of, unknown_model
from graders_engine.server.responses import NO_RETRY, Refused, error_body, refusal
from graders_engine.server.scheduler import while_connected
from graders_engine.server.store.query import read_query

EVENTS = b"text/event-stream"
_DONE = b"[DONE]"
_AS_IT_COMES = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Proxies are to hand the pieces on at once."""


class ChatHandler:
    """Handles the requests for chat completions.

    Args:
        context: what handlers need.
        tokens: counts those of prompts and of answers.
    """

    def __init__(self, context: Context, tokens: Counter) -> None:
        self._context, self._tokens = context, tokens

    async def create(self, exchange: Exchange) -> None:
        """Answer as a model does.

        Raises:
            InvalidBody: with all mistakes.
            ModelBusy: another attempt may succeed.
            ModelUnavailable: the model gives no answer.
            NotDownloaded: the model is not on this machine yet.
            Refused: there is no such model, the body is not JSON, or the time is over.
            ClientGone: the client has closed the connection.
        """
        read_query(exchange)
        # In a thread: many messages take a second, in which others want to be answered.
        body, request = await asyncio.to_thread(_read, exchange.body)
        model = await self._model(exchange, body)
        ask = self._stream if request.stream else self._complete
        deadline_s = self._context.settings.deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                await while_connected(ask(exchange, model, body, request), exchange.receive)
        except TimeoutError:
            refused = _too_late(deadline_s)
            if not exchange.started:
                raise refused from None
            await _end_with(exchange, refused)
        except ModelUnavailable:
            # A running job removes its older checkpoints, and may have done so since the name was read.
            await self._model(exchange, body)
            raise

    async def _model(self, exchange: Exchange, body: Mapping[str, Any]) -> ServedModel:
        """The model of a request: its body names it, or its path, as Azure's clients have it.

        Raises:
            InvalidBody: it names none.
            Refused: there is none of this name, or the two are different.
        """
        name = body.get(NAME)
        deployed = exchange.path_parameters.get(NAME)
        if name is None and deployed is None:
            raise Refused(400, mistakes.missing(NAME))
        if None not in (name, deployed) and name != deployed:
            reason = "the address of this deployment names another model."
            raise Refused(400, mistakes.invalid(NAME, reason))
        asked = cast(str, deployed if name is None else name)
        exchange.log_fields[NAME] = asked[:QUOTED_CHARS]
        served = self._context.served
        model = await served.call(
            find_served, served.store, self._context.base_models, exchange.project, asked
        )
        if model is None:
            raise unknown_model(asked)
        return model

    async def _complete(
        self, exchange: Exchange, model: ServedModel, body: Mapping[str, Any], _: ChatRequest
    ) -> None:
        completion = await self._context.models.complete(model, body)
        self._count(exchange, completion["usage"])
        await answer(exchange, completion)

    async def _stream(
        self, exchange: Exchange, model: ServedModel, body: Mapping[str, Any], request: ChatRequest
    ) -> None:
        """Send the pieces of an answer. An error after the first one is a piece, and the last one."""
        # The last piece counts the tokens, whether the client wants to see it or not.
        counted = {**body, "stream_options": {"include_usage": True}}
        pieces = self._context.models.stream(model, counted)
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    if usage := piece.get("usage"):
                        self._count(exchange, usage)
                    if wanted := _wanted(piece, with_usage=request.include_usage):
                        await _send(exchange, encoded(wanted))
            except Exception as error:
                refused = refused_of(error) or refusal(error)
                if refused is None or not exchange.started:
                    raise
                await _end_with(exchange, refused)
                return
        await _send(exchange, _DONE, last=True)

    def _count(self, exchange: Exchange, usage: Mapping[str, Any]) -> None:
        for kind in ("prompt", "completion"):
            count = usage[f"{kind}_tokens"]
            self._tokens.labels(kind).inc(count)
            exchange.log_fields[f"{kind}_tokens"] = count


def _read(text: bytes) -> tuple[dict[str, Any], ChatRequest]:
    """The body of a request.

    Raises:
        InvalidBody: with all mistakes.
        Refused: it is not JSON.
    """
    body = decoded(text, "a chat completion", "Send fewer or shorter messages.")
    return body, read_chat(body)


def _wanted(piece: dict[str, Any], *, with_usage: bool) -> dict[str, Any] | None:
    """A piece as the client wants it; None for one that it does not want."""
    if with_usage:
        return piece
    if not piece["choices"]:
        return None
    return {key: value for key, value in piece.items() if key != "usage"}


async def _send(exchange: Exchange, piece: bytes, *, last: bool = False) -> None:
    if not exchange.started:
        await exchange.start_response(EVENTS, _AS_IT_COMES)
    await exchange.send_chunk(b"data: " + piece + b"\n\n", last=last)


async def _end_with(exchange: Exchange, refused: Refused) -> None:
    """End an answer that has begun: the SDKs raise what such a piece says."""
    exchange.log_fields["error"] = refused.mistake.code
    await _send(exchange, error_body(refused.status, refused.mistake), last=True)


def _too_late(deadline_s: float) -> Refused:
    message = f"The server's deadline of {deadline_s:g} s passed before the answer was whole."
    return Refused(504, Mistake(message, code="deadline_exceeded"), NO_RETRY)
