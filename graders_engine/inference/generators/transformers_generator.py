"""Generates with transformers' `generate`."""

from __future__ import annotations

import copy
import gc
import secrets
from collections.abc import Sequence
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.generator import Answer, Choice, Gone, Listener
from graders_engine.inference.generators.choice_text import ChoiceText
from graders_engine.inference.generators.prompts import prompt_of
from graders_engine.inference.generators.tool_calls import CallReader
from graders_engine.inference.generators.weights import load_tokenizer, load_weights, whole_folder
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel
from graders_engine.training.base_model import device_memory, room_of
from graders_engine.training.bound import BindingFailed, Bound, grammar_of, words_of
from graders_engine.training.chat import Chat
from graders_engine.training.trainer import TrainingFailed

_COLDEST = 1e-5
"""The most likely token is taken each time at this temperature and below: numbers would overflow."""
_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "max_length", "min_length", "max_new_tokens", "min_new_tokens", "num_beams", "num_return_sequences",
)  # fmt: skip
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
        self._chat = Chat(load_tokenizer(model.folder))
        self._tokenizer = load_tokenizer(model.folder)  # not the one that drops marks
        self._calls = CallReader(model.folder)
        self._weights = load_weights(model.folder, device)
        self._config = self._weights.config.get_text_config()
        self._room = room_of(str(whole_folder(model.folder)))
        self._usual = _without_sampling(self._weights.generation_config)
        self._usual.eos_token_id = _ends(self._usual.eos_token_id, self._tokenizer.eos_token_id)
        if self._usual.pad_token_id is None:
            self._usual.pad_token_id = self._tokenizer.pad_token_id

    def answer(self, request: ChatRequest, longest: int, listener: Listener) -> Answer:
        """Answer a request with at most so many tokens a choice."""
        import torch

        if request.tools:
            self._calls.require_readable()
        grammar = self._grammar(request)
        prompt = prompt_of(self._chat, request, self._room)
        limit = min(request.max_tokens or longest, longest, self._room - len(prompt))
        if request.temperature > _COLDEST:
            torch.manual_seed(secrets.randbits(63) if request.seed is None else request.seed)
        choices: list[Choice] = []
        while len(choices) < request.choices:
            rows = min(request.choices - len(choices), self._at_once(len(prompt) + limit))
            texts = [
                ChoiceText(
                    len(choices) + row,
                    request,
                    listener,
                    self._decode,
                    self._calls.reader(prompt, request),
                )
                for row in range(rows)
            ]
            choices += self._generated(texts, request, prompt, limit, grammar)
        return Answer(choices, len(prompt))

    def _grammar(self, request: ChatRequest) -> str | None:
        try:
            grammar = grammar_of(request.response_format)
            if grammar is not None:
                words_of(self._tokenizer)
        except ValueError as error:
            path = "response_format"
            raise InvalidChat(
                [Mistake(f"Invalid '{path}': {error}", path, "invalid_value")]
            ) from None
        return grammar

    def _generated(
        self,
        texts: list[ChoiceText],
        request: ChatRequest,
        prompt: list[int],
        limit: int,
        grammar: str | None,
    ) -> list[Choice]:
        import torch

        ids = torch.tensor([prompt], device=self._weights.device).expand(len(texts), -1)
        bound = (
            [] if grammar is None else [Bound(self._tokenizer, grammar, len(texts), len(prompt))]
        )
        try:
            found = self._weights.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=_settings(self._usual, request, limit),
                logits_processor=bound,
                stopping_criteria=[_follower(texts, self._usual.eos_token_id)],
            )
        except BindingFailed as error:
            raise ModelUnavailable(str(error)) from None
        rows = found[:, len(prompt) :].tolist()
        return [
            text.choice(row, self._usual.eos_token_id)
            for text, row in zip(texts, rows, strict=True)
        ]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _at_once(self, tokens: int) -> int:
        """How many answers are generated together, by what their keys and values take."""
        config = self._config
        heads = getattr(config, "num_attention_heads", None) or 1
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        kept = getattr(config, "num_key_value_heads", None) or heads
        row = 2 * config.num_hidden_layers * kept * size * tokens * self._weights.dtype.itemsize
        memory = device_memory(self._weights.device)
        return max(1, memory // _MEMORY_SHARE // int(row))


def _ends(usual: Any, own: int) -> list[int]:
    """The tokens that end an answer: the model's, and the tokenizer's."""
    found = usual if isinstance(usual, list) else [] if usual is None else [usual]
    return found if own in found else [*found, own]


def _without_sampling(config: Any) -> Any:
    """A model's settings of generating, without those of sampling: the API has its own."""
    for name in _SAMPLING:
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    config.do_sample = False
    return config


def _settings(usual: Any, request: ChatRequest, limit: int) -> Any:
    settings = copy.deepcopy(usual)
    settings.max_new_tokens = limit
    if request.temperature > _COLDEST:
        settings.do_sample = True
        settings.temperature, settings.top_p = request.temperature, request.top_p
        settings.top_k = 0  # none is left out for its rank
    return settings


def _follower(texts: list[ChoiceText], ends: Sequence[int]) -> Any:
    """What `generate` calls behind each step."""
    import torch
    from transformers import StoppingCriteria

    class Follower(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            if texts[0].listener.gone:
                raise Gone
            if texts[0].follows:
                for text, token in zip(texts, input_ids[:, -1].tolist(), strict=True):
                    text.add(token, ends)
            ended = [text.stopped for text in texts]
            return torch.tensor(ended, device=input_ids.device, dtype=torch.bool)

    return Follower()
