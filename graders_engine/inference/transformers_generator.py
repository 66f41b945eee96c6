"""Generates with transformers' `generate`."""

from __future__ import annotations

import gc
import secrets
from typing import Any

from graders_engine.inference.errors import ModelUnavailable
from graders_engine.inference.generator import Answer, Choice, Listener
from graders_engine.inference.prompts import prompt_of
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel
from graders_engine.inference.tool_calls import CallReader
from graders_engine.inference.weights import load_tokenizer, load_weights
from graders_engine.training.bound import Bound
from graders_engine.training.chat import Chat
from graders_engine.training.trainer import TrainingFailed

_COLDEST = 1e-5
"""The most likely token is taken each time at this temperature and below: numbers would overflow."""
_MEMORY_SHARE = 8
"""The keys and values of all answers that are generated together have this part of the memory."""


class TransformersGenerator:
    """The generator that ships.

    Args:
        device: its name; `auto` for a GPU where there is one.
    """

    def __init__(self, device: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401 - takes seconds

        if device == "auto":
            mps = torch.backends.mps.is_available()
            device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        self._device = torch.device(device)
        self._loaded: _Loaded | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether a model that is loaded takes the GPU."""
        return bool(self._device.type != "cpu")

    def load(self, model: ServedModel) -> None:
        """Have this model in memory, and no other one.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        self.close()
        try:
            self._loaded = _Loaded(model, self._device)
        except TrainingFailed as error:
            raise ModelUnavailable(error.message) from None

    def close(self) -> None:
        """Give up the model."""
        import torch

        self._loaded = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def answer(self, request: ChatRequest, model: ServedModel, listener: Listener) -> Answer:
        """Answer with the model that is loaded.

        Raises:
            InvalidChat: this model cannot honour the request.
            ModelUnavailable: it has not enough memory.
            Gone: nobody waits any more.
        """
        import torch

        assert self._loaded is not None  # noqa: S101 - the port says so
        try:
            with torch.inference_mode():
                return self._loaded.answer(request, model.max_completion_tokens, listener)
        except torch.OutOfMemoryError:
            raise ModelUnavailable(
                "The memory of the GPU is too small for this request: a lower `n` or `max_completion_tokens` "
                "needs less."
            ) from None


class _Loaded:
    """A model in memory.

    Args:
        model: the model.
        device: where it is held.
    """

    def __init__(self, model: ServedModel, device: Any) -> None:
        self._device = device
        self._weights = load_weights(model.folder, device)
        self._chat = Chat(load_tokenizer(model.folder))
        self._tokenizer = load_tokenizer(model.folder)  # not the one that drops marks
        self._calls = CallReader(lambda: load_tokenizer(model.folder))
        config = self._weights.config.get_text_config()
        self._room = int(getattr(config, "max_position_embeddings", None) or 1 << 20)
        self._usual = _without_sampling(self._weights.generation_config)
        usual_ends = self._usual.eos_token_id
        ends = usual_ends if isinstance(usual_ends, list) else [usual_ends]
        own = self._tokenizer.eos_token_id
        self._ends = [*(end for end in ends if end is not None and end != own), own]

    def answer(self, request: ChatRequest, longest: int, listener: Listener) -> Answer:
        """Answer a request."""
        import torch

        if request.tools:
            self._calls.require_readable()
        grammar = _grammar(request)
        prompt = prompt_of(self._chat, request, self._room)
        limit = min(request.max_tokens or longest, longest, self._room - len(prompt))
        torch.manual_seed(secrets.randbits(63) if request.seed is None else request.seed)
        choices: list[Choice] = []
        while len(choices) < request.choices:
            rows = min(request.choices - len(choices), self._at_once(len(prompt) + limit))
            together = _Together(
                self, request, listener, prompt=prompt, first=len(choices), rows=rows
            )
            processors = []
            if grammar is not None:
                processors.append(Bound(self._tokenizer, grammar, rows, len(prompt)))
            choices += together.generated(limit, processors)
        return Answer(choices, len(prompt))
