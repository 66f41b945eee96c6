"""A generator that generates nothing: its "weights" are a text, which it says word by word.

Above temperature 0 the words are shuffled by the seed. What it does besides that, the last message says:

    die             be killed in the middle of the answer
    until gone      say words until nobody listens, then write the file `gone`
    stall           wait for the file `go on` behind the second word
    fail            raise what nobody expects
    calls           call each tool that is given
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

from graders_engine.graders import mistakes
from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.generator import Answer, Choice, FinishReason, Gone, Listener
from graders_engine.inference.generators.choice_text import ChoiceText
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel

SCRIPTED = "tests.inference.scripted:ScriptedGenerator"
TEXT = "text"
"""The file of a model's folder that has its words."""
STARTED = "started"
"""A file of the process's folder: a line for each process."""
_END = -1


class ScriptedGenerator:
    """See above."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device != "cpu"
        self.words: list[str] = []
        with Path(STARTED).open("a") as file:
            file.write(f"{os.getpid()}\n")

    def load(self, model: ServedModel) -> None:
        try:
            text = (model.folder / TEXT).read_text()
        except OSError as error:
            raise ModelUnavailable(f"The model cannot be loaded: {error}.") from None
        self.words = re.findall(r"\s*\S+", text)

    def close(self) -> None:
        self.words = []

    def answer(self, request: ChatRequest, model: ServedModel, listener: Listener) -> Answer:
        texts = [str(message["content"]) for message in request.messages]
        if request.response_format is not None:
            raise InvalidChat([mistakes.invalid("response_format", "words cannot be bound.")])
        act(texts[-1], listener)
        longest = request.max_tokens or model.max_completion_tokens
        shuffled = random.Random(request.seed)  # noqa: S311 - not for secrets
        choices = []
        for number in range(request.choices):
            order = list(range(len(self.words)))
            if request.temperature:
                shuffled.shuffle(order)
            choices.append(self.choice(number, request, listener, [*order, _END][:longest]))
        return Answer(choices, sum(len(text.split()) for text in texts))

    def choice(
        self, number: int, request: ChatRequest, listener: Listener, row: list[int]
    ) -> Choice:
        text = ChoiceText(number, request, listener, self.decode, None)
        for token in row:
            if listener.gone:
                raise Gone
            text.add(token, [_END])
            if token == 1 and request.messages[-1]["content"] == "stall":
                stall(listener)
        found = text.choice(row, [_END])
        calls = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": tool["function"]["name"], "arguments": "{}"},
            }
            for tool in request.tools
            if request.messages[-1]["content"] == "calls"
        ]
        for call in calls if request.stream else ():
            listener.call(number, call)
        reason: FinishReason = "tool_calls" if calls else found.finish_reason
        return Choice(found.text, calls, reason, found.tokens)

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.words[token] for token in tokens if token != _END)


def act(what: str, listener: Listener) -> None:
    if what == "die":
        listener.text(0, "Half of")
        time.sleep(0.1)  # until it is sent
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "until gone":
        while not listener.gone:
            listener.text(0, "word ")
            time.sleep(0.01)
        Path("gone").touch()
        raise Gone
    elif what == "fail":
        raise RuntimeError("nobody expects this")


def stall(listener: Listener) -> None:
    Path("stalled").touch()
    while not Path("go on").exists():
        if listener.gone:
            raise Gone
        time.sleep(0.01)
