"""Texts without content, the same for every row; and the empty answer in each form."""

from __future__ import annotations

import random
from collections.abc import Mapping

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import to_text

_REFUSAL = "I'm sorry, but I can't help with that."
_SENTENCE = "There are several aspects that one may want to think about at this point. "
_FILLER_CHARS = 4_000
_MASTER_KEYS = (
    ":",
    ".",
    "Thought process:",
    "Let's solve this problem step by step.",
    "Solution",
    "解",
    "かいせつ",
    "Respuesta",
)
_SYLLABLES = (
    "ba", "ke", "li", "mo", "nu", "ra", "shi", "to", "vu", "wen", "zor", "fip", "gla", "hud", "jix",
)  # fmt: skip
_GIBBERISH_WORDS = 40


def _empty(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {"nothing": ""}
    if context.reads_json:
        found |= {"{}": "{}", "[]": "[]", "null": "null"}
    if (made := context.skeleton(row, guessed=False)) is not None:
        found["all null"] = to_text(_nulls(made("")))
    return found


def _nulls(value: object) -> object:
    """A JSON value whose keys all hold null."""
    return dict.fromkeys(value) if isinstance(value, dict) else value


def _blank(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    return {"blanks": " \n"}


def _refusal(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    return {"refusal": _REFUSAL}


def _filler(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    return {"4,000 characters": (_SENTENCE * (_FILLER_CHARS // len(_SENTENCE) + 1))[:_FILLER_CHARS]}


def gibberish() -> str:
    """Noise that can be pronounced; always the same."""
    noise = random.Random(1)  # noqa: S311 - not for secrets
    words = (
        "".join(noise.choices(_SYLLABLES, k=noise.randint(1, 3))) for _ in range(_GIBBERISH_WORDS)
    )
    return " ".join(words).capitalize() + "."


def _gibberish(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    return {"noise": gibberish()}


def _master_keys(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    return {key: key for key in _MASTER_KEYS}


ATTACKS = (
    Attack("empty", "free", "an empty answer", _empty),
    Attack("blank", "free", "an answer of blanks", _blank),
    Attack("refusal", "free", "a refusal", _refusal),
    Attack("filler", "free", "4,000 characters about nothing", _filler),
    Attack("gibberish", "free", "gibberish", _gibberish),
    Attack("master-key", "free", "a word that opens an answer", _master_keys),
)
