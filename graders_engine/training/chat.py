"""A model's tokenizer and chat template, for contents that nobody vouches for."""

from __future__ import annotations

import json
import re
from typing import Any

from jinja2 import TemplateError

from graders_engine.training.messages import BadRow
from graders_engine.training.trainer import TrainingFailed

MARK = "\ufdd0"
"""Breaks the text of a special token in two; the tokenizer drops it when it has looked for such tokens.

Unicode has set this character aside for uses inside of a program, so that no text has it."""


class Chat:
    """Renders messages and turns text into ids; a content's `<|assistant|>` never becomes a special token.

    The tokenizer is changed for this, so it is not the one to be saved. It adds no special tokens of its own:
    the template writes them.

    Args:
        tokenizer: of the `transformers` package; nobody else uses it.
        options: of its chat template, such as `reasoning_effort`.

    Raises:
        TrainingFailed: it has no chat template, or adds tokens to a text all the same.

    Attributes:
        tokenizer: the same, changed.
    """

    def __init__(self, tokenizer: Any, options: dict[str, Any] | None = None) -> None:
        self.tokenizer = tokenizer
        self._options = options or {}
        if not tokenizer.chat_template:
            raise TrainingFailed(
                "model_without_template", "The model's tokenizer has no chat template.", "model"
            )
        self.template = str(tokenizer.chat_template)
        for option in self._options:
            if option not in self.template:
                raise TrainingFailed(
                    "invalid_value", f"The model's chat template has no `{option}`.", option
                )
        self._special = sorted(
            {
                *map(str, tokenizer.all_special_tokens),
                *(str(one) for one in tokenizer.added_tokens_decoder.values() if one.special),
            },
            key=len,
            reverse=True,
        )
        self._found = re.compile("|".join(map(re.escape, self._special)) or "(?!)")
        _without_additions(tokenizer)
        _dropping_marks(tokenizer)
        self._refused = {text for text in self._special if not self._is_text_when_marked(text)}

    @property
    def knows_developers(self) -> bool:
        """Whether the template has the role; some leave out messages of roles that they do not know."""
        return "developer" in self.template

    def render(self, messages: list[Any], tools: list[Any] | None = None, *, prompt: bool) -> str:
        """The text of messages, with marks in their contents where those have special tokens.

        Args:
            messages: as `messages_of` gives them.
            tools: that the model may call.
            prompt: whether the text ends where the assistant begins.

        Raises:
            BadRow: the template does not take them or leaves some out, or a special token cannot be marked.
        """
        messages, tools = self._marked(messages), self._marked(tools)
        text = self._rendered(messages, tools, prompt=prompt)
        if tools and text == self._rendered(messages, None, prompt=prompt):
            raise BadRow("The model's chat template has no place for `tools`.")
        for number, message in enumerate(messages):
            content = message["content"].strip()
            left_out = content not in text and json.dumps(content, ensure_ascii=False) not in text
            if message["role"] in ("system", "developer", "user") and left_out:
                raise BadRow(
                    f"The model's chat template leaves out message {number}, of the role {message['role']}."
                )
        return text

    def _rendered(self, messages: list[Any], tools: list[Any] | None, *, prompt: bool) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=prompt, **self._options
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise BadRow(
                f"The model's chat template does not take the messages: {error}"
            ) from error
        return text

    def ids(self, text: str) -> list[int]:
        """The tokens of a text of `render`."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _marked(self, value: Any) -> Any:
        """JSON values with a mark in each special token, and in no other place."""
        if isinstance(value, str):
            return self._marked_text(value)
        if isinstance(value, list):
            return [self._marked(one) for one in value]
        if isinstance(value, dict):
            return {self._marked(key): self._marked(one) for key, one in value.items()}
        return value

    def _marked_text(self, text: str) -> str:
        if MARK in text:
            raise BadRow("The character U+FDD0 is in it, which is reserved for programs.")
        while found := self._found.search(text):  # what is left of two that overlap may be a third
            token = found[0]
            if token in self._refused:
                raise BadRow(f"The text {token} is in it, which is a special token of the model.")
            text = f"{text[: found.start() + 1]}{MARK}{text[found.start() + 1 :]}"
        return text

    def _is_text_when_marked(self, token: str) -> bool:
        if len(token) == 1:
            return False  # it cannot be broken in two
        ids = self.ids(f"{token[0]}{MARK}{token[1:]}")
        return (
            self.tokenizer.convert_tokens_to_ids(token) not in ids
            and self.tokenizer.decode(ids).strip() == token
        )


def _without_additions(tokenizer: Any) -> None:
    """Stop a tokenizer from adding the beginning's token to a text, which the template has already."""

    def adds() -> bool:
        with_them: list[int] = tokenizer("a")["input_ids"]
        without: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
        return with_them != without

    for name in ("add_bos_token", "add_eos_token"):
        if adds() and getattr(tokenizer, name, False):
            setattr(tokenizer, name, False)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if adds() and backend is not None:
        from tokenizers.processors import ByteLevel

        backend.post_processor = ByteLevel(trim_offsets=False)  # which adds nothing
    if adds():
        raise TrainingFailed(
            "model_not_supported", "The model's tokenizer adds tokens to each text.", "model"
        )


def _dropping_marks(tokenizer: Any) -> None:
    """Let a tokenizer drop marks, which it does after it has looked for special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return  # each row with a special token is refused
    from tokenizers import normalizers

    dropped = normalizers.Replace(MARK, "")
    usual = backend.normalizer
    backend.normalizer = dropped if usual is None else normalizers.Sequence([dropped, usual])
