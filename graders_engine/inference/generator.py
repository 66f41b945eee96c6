"""The port between the process that answers and what generates: `Generator` generates, `Listener` listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel

GENERATORS = {
    "transformers": "graders_engine.inference.generators.transformers_generator:TransformersGenerator",
    "vllm": "graders_engine.inference.generators.vllm_generator:VLLMGenerator",
}
"""By the engine's name in graders.toml: what generates, as `MODULE:CLASS`."""
FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer.

    Attributes:
        text: what it says; None where it is calls of tools alone.
        tool_calls: as on the wire.
        finish_reason: why it ends.
        tokens: how many were generated for it.
    """

    text: str | None
    tool_calls: list[dict[str, Any]]
    finish_reason: FinishReason
    tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model has answered.

    Attributes:
        choices: as many as were asked for.
        prompt_tokens: what the model has read.
    """

    choices: list[Choice]
    prompt_tokens: int


class Listener(Protocol):
    """Who waits for an answer."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more: generating stops then."""
        ...

    def text(self, choice: int, text: str) -> None:
        """Hear a piece of a choice's text, which is not taken back."""
        ...

    def call(self, choice: int, call: dict[str, Any]) -> None:
        """Hear a tool call of a choice, as on the wire."""
        ...


class Generator(Protocol):
    """Something that generates: made with the name of a device, and called by one thread."""

    @property
    def on_gpu(self) -> bool:
        """Whether a model that is loaded takes the GPU, which jobs need."""
        ...

    def load(self, model: ServedModel) -> None:
        """Have this model in memory, and no other one.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        ...

    def answer(self, request: ChatRequest, model: ServedModel, listener: Listener) -> Answer:
        """Answer with the model that is loaded. If the request streams, the listener hears all of it before.

        Raises:
            InvalidChat: this model cannot honour the request; before the listener has heard anything.
            ModelUnavailable: it has not enough memory, or the like.
            Gone: nobody waits any more.
        """
        ...

    def close(self) -> None:
        """Give up the model, and end what was started for it."""
        ...


class Gone(Exception):
    """Raised when generating was stopped because nobody waits for the answer."""
