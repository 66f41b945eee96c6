"""Passes requests to a server of vLLM, which it starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any

from graders_engine.graders import mistakes
from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.generator import Answer, Choice, FinishReason, Gone, Listener
from graders_engine.inference.generators.prompts import prompt_of, text_of
from graders_engine.inference.generators.vllm_process import VLLMProcess, require_vllm
from graders_engine.inference.generators.weights import has_adapters, load_tokenizer, whole_folder
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel
from graders_engine.training.base_model import room_of
from graders_engine.training.chat import MARK, Chat
from graders_engine.training.trainer import TrainingFailed

_DATA, _DONE = b"data: ", b"[DONE]"
_GAVE_NO_ANSWER = "vLLM gave no answer: {}"


class VLLMGenerator:
    """Passes requests to vLLM.

    Args:
        device: its name; `auto` leaves it to vLLM.

    Attributes:
        on_gpu: whether a model that is loaded takes the GPU.
    """

    def __init__(self, device: str) -> None:
        self.on_gpu = device != "cpu"
        self._device = device
        self._process: VLLMProcess | None = None
        self._chat: Chat | None = None
        self._room = 0

    def load(self, model: ServedModel) -> None:
        """Have this model in memory, and no other one.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        self.close()
        require_vllm()
        whole = whole_folder(model.folder)
        try:
            self._chat = Chat(load_tokenizer(model.folder))
            self._room = room_of(str(whole))
        except TrainingFailed as error:
            raise ModelUnavailable(error.message) from None
        adapters = model.folder if has_adapters(model.folder) else None
        self._process = VLLMProcess(whole, adapters, self._device)

    def close(self) -> None:
        """Give up the model, and end its server."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def answer(self, request: ChatRequest, model: ServedModel, listener: Listener) -> Answer:
        """Answer with the model that is loaded.

        Raises:
            InvalidChat: it cannot honour the request.
            ModelUnavailable: vLLM gave no answer.
            Gone: nobody waits any more.
        """
        assert self._process is not None  # noqa: S101 - the port says so
        self._check(request)
        collected = _Collected(request.choices)
        connection = self._process.connection()
        try:
            body = _body(self._process.name, request, model.max_completion_tokens)
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(body), self._process.headers
            )
            for chunk in _chunks(connection.getresponse()):
                if listener.gone:
                    raise Gone
                for choice, text in collected.add(chunk):
                    if request.stream:
                        listener.text(choice, text)
        except (OSError, HTTPException, ValueError, KeyError) as error:
            raise ModelUnavailable(_GAVE_NO_ANSWER.format(error)) from error
        finally:
            connection.close()
        return collected.answer()

    def _check(self, request: ChatRequest) -> None:
        """Refuse what vLLM would make something else of."""
        assert self._chat is not None  # noqa: S101 - it is set with the process
        if request.tools:
            reason = 'with `engine = "vllm"` the calls of tools cannot be read: leave them out.'
            raise InvalidChat([mistakes.invalid("tools", reason)])
        prompt_of(self._chat, request, self._room)
        if MARK in text_of(self._chat, request):
            reason = "they have the text of a special token, which vLLM would take for the token."
            raise InvalidChat([mistakes.invalid("messages", reason)])


def _body(name: str, request: ChatRequest, longest: int) -> dict[str, Any]:
    body = {
        "model": name,
        "messages": request.messages,
        "n": request.choices,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": min(request.max_tokens or longest, longest),
        "seed": request.seed,
        "stop": list(request.stop),
        "response_format": request.response_format,
        "stream": True,  # so that it can be left at any time
        "stream_options": {"include_usage": True},
    }
    return {key: value for key, value in body.items() if value is not None}


def _chunks(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """The chunks of an answer.

    Raises:
        ModelUnavailable: it is refused, or not whole.
    """
    if response.status != 200:
        reason = response.read().decode("utf-8", "replace")[:500]
        raise ModelUnavailable(_GAVE_NO_ANSWER.format(reason))
    for line in response:
        if not line.startswith(_DATA):
            continue
        data = line[len(_DATA) :].strip()
        if data == _DONE:
            return
        yield json.loads(data)
    raise ModelUnavailable(_GAVE_NO_ANSWER.format("it was cut off"))


class _Collected:
    """What chunks are together.

    Args:
        choices: how many there are.
    """

    def __init__(self, choices: int) -> None:
        self._texts = [""] * choices
        self._reasons: list[FinishReason] = ["stop"] * choices
        self._usage: dict[str, Any] = {}

    def add(self, chunk: dict[str, Any]) -> Iterator[tuple[int, str]]:
        """Add a chunk; gives the texts in it, by choice."""
        if "error" in chunk:
            raise ModelUnavailable(_GAVE_NO_ANSWER.format(chunk["error"]))
        self._usage = chunk.get("usage") or self._usage
        for one in chunk["choices"]:
            number, text = one["index"], one["delta"].get("content") or ""
            self._texts[number] += text
            if one.get("finish_reason") == "length":
                self._reasons[number] = "length"
            if text:
                yield number, text

    def answer(self) -> Answer:
        """The whole. vLLM counts the tokens of all choices together, so they stand with the first one."""
        tokens = [self._usage["completion_tokens"], *[0] * (len(self._texts) - 1)]
        choices = [
            Choice(text, [], reason, count)
            for text, reason, count in zip(self._texts, self._reasons, tokens, strict=True)
        ]
        return Answer(choices, self._usage["prompt_tokens"])
