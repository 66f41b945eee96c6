"""Answers that keep to a `response_format`: its grammar, and what lets a model sample nothing else."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from graders_engine.training.schemas import Schema, SubSchema, any_object, read_schema, text_of

SCHEMA = "json_schema.schema"
_OPTIONS = {"whitespace_pattern": "[ ]?", "lenient": False}
"""Where blanks may stand there is room for one: models that may write more write them without an end."""
_TRIED_TOKENS = 300
_LONGEST_CHECK_S = 5.0
"""How long a schema is checked, and the place of its fault is looked for."""
_COSTLY = {"pattern", "patternProperties", "multipleOf", "format"}
_KEPT_GRAMMARS = 64
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
"""What stands for a blank in the pieces of sentencepiece."""


class BindingFailed(Exception):
    """Raised when a grammar cannot be followed in the middle of an answer; the message is a sentence."""


def grammar_of(response_format: Mapping[str, Any] | None) -> str | None:
    """The grammar of a response format in the language of llguidance; None for text.

    Args:
        response_format: as it was sent; None for text.

    Raises:
        ValueError: answers cannot be bound to it; the sentence names the place in it.
    """
    kind = "text" if response_format is None else response_format.get("type")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return _grammar(any_object().alone(any_object().root))
    if kind != "json_schema":
        raise ValueError("`type` must be text, json_object or json_schema.")
    given = response_format.get("json_schema")
    if not isinstance(given, Mapping):
        raise ValueError("`json_schema` must be an object.")
    if given.get("schema") is None:
        raise ValueError(f"`{SCHEMA}` is missing.")
    return _schema_grammar(text_of(given["schema"], SCHEMA))


@functools.lru_cache(_KEPT_GRAMMARS)
def _schema_grammar(text: str) -> str:
    schema = read_schema(json.loads(text), SCHEMA)
    until = monotonic() + _LONGEST_CHECK_S
    if fault := _fault(schema.alone(schema.root)):
        raise ValueError(_explained(schema, fault, until))
    for place in schema.places():
        # An answer of its own may not come to them, as they may be left out.
        if not _COSTLY.isdisjoint(place.schema or ()):
            if monotonic() > until:
                raise ValueError(f"`{SCHEMA}` takes longer than {_LONGEST_CHECK_S:g} s to check.")
            if fault := _fault(schema.alone(place)):
                raise ValueError(_sentence(place, fault))
    return _grammar(schema.alone(schema.root))


def _grammar(schema: dict[str, Any]) -> str:
    return json.dumps({"grammars": [{"json_schema": {**schema, "x-guidance": _OPTIONS}}]})


def _fault(schema: dict[str, Any]) -> str:
    """What keeps answers from being bound to a schema; empty if nothing does. It answers once by itself."""
    from llguidance import LLMatcher

    words = _bytes()
    matcher = LLMatcher(words, _grammar(schema), log_level=0)
    chooser = random.Random(0)  # noqa: S311 - not for secrets
    for _ in range(_TRIED_TOKENS):
        if matcher.is_error():
            return _first(matcher.get_error())
        if matcher.is_stopped():
            break
        mask = matcher.compute_bitmask()
        allowed = [at for at in range(len(mask) * 8) if mask[at // 8] >> at % 8 & 1]
        if not allowed and not matcher.is_error():
            return "there is nothing that can be answered."
        if allowed:
            matcher.consume_token(chooser.choice(allowed))
    return ""


def _first(message: str) -> str:
    """What is wrong, of a message that also shows where, in more lines, and how a grammar would be mended."""
    if "coerce_one_of" in message:
        return "more than one of its `oneOf` may hold at once, which no grammar can rule out: use `anyOf`."
    lines = message.strip().splitlines() or ["no reason is given"]
    first = next((line for line in lines if line.startswith("error: ")), lines[0])
    return first.removeprefix("error: ").partition("; consider ")[0]


@functools.cache
def _bytes() -> Any:
    from llguidance import LLTokenizer

    return LLTokenizer("byte")


def _explained(schema: Schema, fault: str, until: float) -> str:
    """A sentence with the smallest part of a schema that has a fault."""
    place, followed = schema.root, {""}
    while found := _faulty(schema, _inside(schema, place, followed), until):
        place, fault = found
    return _sentence(place, fault)


def _inside(schema: Schema, place: SubSchema, followed: set[str]) -> list[SubSchema]:
    """The schemas in one, with that to which it refers."""
    name = str(place.schema.get("$ref", "")).rpartition("/")[2]
    if name in followed:
        return place.children
    followed.add(name)
    return [*place.children, schema.defs[name]]


def _sentence(place: SubSchema, fault: str) -> str:
    return f"Answers cannot be bound to `{place.name}`: {fault}"


def _faulty(schema: Schema, places: list[SubSchema], until: float) -> tuple[SubSchema, str] | None:
    for place in places:
        if monotonic() > until:
            break
        if place.schema is not False and (fault := _fault(schema.alone(place))):
            return place, fault
    return None


class Bound:
    """Lets a model sample nothing but what a grammar allows; a logits processor for one call of `generate`.

    A matcher for each sequence follows what was sampled. The token of the end may come where the grammar may
    stop, and nothing else when it has.

    Args:
        tokenizer: of the model.
        grammar: of `grammar_of`.
        sequences: that are sampled at once: prompts, times the answers of each.
        prompt_length: tokens of the prompts, with what they are padded with.

    Raises:
        ValueError: the tokenizer's tokens cannot be read, or none of them can begin an answer.
    """

    def __init__(self, tokenizer: Any, grammar: str, sequences: int, prompt_length: int) -> None:
        from llguidance import LLMatcher

        words = words_of(tokenizer)
        self._end = int(tokenizer.eos_token_id)
        self._size = words.vocab_size
        self._seen = prompt_length
        first = LLMatcher(words, grammar, log_level=0)
        self._matchers = [first.deep_copy() for _ in range(sequences)]
        self._done = [False] * sequences

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores of the next tokens, without those that the grammar does not allow.

        Raises:
            BindingFailed: a matcher has come to a limit.
        """
        import torch

        if len(input_ids) != len(self._matchers):
            raise ValueError(f"{len(input_ids)} sequences instead of {len(self._matchers)}")
        new = input_ids[:, self._seen :].tolist()
        self._seen = input_ids.shape[1]
        for at, tokens in enumerate(new):
            self._follow(at, tokens)
        refused = torch.from_numpy(~self._allowed(scores.shape[1])).to(scores.device)
        return scores.masked_fill(refused, float("-inf"))

    def _follow(self, at: int, tokens: Sequence[int]) -> None:
        matcher = self._matchers[at]
        for token in tokens:
            if self._done[at]:
                return
            if token == self._end or not matcher.validate_tokens([token]):
                # Other tokens than the allowed ones come only from `generate` itself, behind an answer's end.
                self._require_sane(matcher)
                self._done[at] = True
            else:
                matcher.consume_token(token)

    def _allowed(self, width: int) -> Any:
        """For each sequence and token, whether it may be next."""
        import numpy as np
        from llguidance.numpy import fill_next_token_bitmask_par

        bits = np.zeros((len(self._matchers), (self._size + 31) // 32), dtype=np.int32)
        going = []
        for at, matcher in enumerate(self._matchers):
            if self._is_at_end(at):
                bits.view(np.uint8)[at, self._end // 8] = 1 << self._end % 8
            else:
                going.append((matcher, at))
        if going:
            fill_next_token_bitmask_par(_executor(), going, bits)
        for matcher, at in going:
            self._require_sane(matcher)
            if not bits[at].any():
                raise BindingFailed("The model has no token with which the answer could go on.")
        allowed = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little").view(np.bool_)
        if allowed.shape[1] < width:
            return np.pad(allowed, ((0, 0), (0, width - allowed.shape[1])))
        return allowed[:, :width]

    def _is_at_end(self, at: int) -> bool:
        matcher = self._matchers[at]
        self._require_sane(matcher)
        return self._done[at] or matcher.is_stopped()

    @staticmethod
    def _require_sane(matcher: Any) -> None:
        if matcher.is_error():
            why = _first(matcher.get_error())
            raise BindingFailed(f"An answer could not be bound any further: {why}")


@functools.cache
def _executor() -> Any:
    """Threads for the matchers of a batch."""
    from llguidance import LLExecutor

    return LLExecutor()


def bind(model: Any, tokenizer: Any, grammar: str) -> None:
    """Let a model answer by a grammar only, each time it generates: TRL has no setting for it."""
    usual = model.generate

    @functools.wraps(usual)
    def generate(*args: Any, **kwargs: Any) -> Any:
        prompts = kwargs["input_ids"]
        processor = Bound(tokenizer, grammar, len(prompts), prompts.shape[1])
        return usual(*args, **kwargs, logits_processor=[processor])

    model.generate = generate


_WORDS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def words_of(tokenizer: Any) -> Any:
    """A tokenizer's tokens as llguidance reads them; once for each tokenizer, as it takes a second.

    Raises:
        ValueError: they cannot be read.
    """
    if tokenizer not in _WORDS:
        from llguidance.hf import from_tokenizer

        try:
            _WORDS[tokenizer] = from_tokenizer(tokenizer)
        except ValueError as error:
            if not _has_pieces(tokenizer):
                raise ValueError(
                    f"Answers of this model cannot be bound, as its tokenizer cannot be read: {error}"
                ) from error
            _WORDS[tokenizer] = _words_of_pieces(tokenizer)
    return _WORDS[tokenizer]


def _has_pieces(tokenizer: Any) -> bool:
    """Whether tokens are pieces of sentencepiece; llguidance itself reads them only with bytes among them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and _BLANK in str(backend.decoder)


def _words_of_pieces(tokenizer: Any) -> Any:
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Pieces(tokenizer)), eos_token=tokenizer.eos_token_id)


class _Pieces:
    """A tokenizer of pieces as llguidance takes those that it does not know."""

    def __init__(self, tokenizer: Any) -> None:
        special = {*tokenizer.all_special_ids}
        special |= {at for at, one in tokenizer.added_tokens_decoder.items() if one.special}
        self.special_token_ids = sorted(special)
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self.tokens = [(piece or "").replace(_BLANK, " ").encode() for piece in pieces]
        self._ids = {
            piece: at
            for at, piece in enumerate(self.tokens)
            if piece and at not in special and at != tokenizer.unk_token_id
        }
        self._longest = max(map(len, self._ids))

    def __call__(self, text: str) -> list[int]:
        """The longest pieces first: the tokenizer itself sets a blank before each text."""
        rest, found = text.encode(), []
        while rest:
            size = next((n for n in range(self._longest, 0, -1) if rest[:n] in self._ids), 0)
            if not size:
                break  # the tokenizer has no piece for it
            found.append(self._ids[rest[:size]])
            rest = rest[size:]
        return found
