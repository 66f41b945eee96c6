"""Small changes of a program that change what it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graders_engine.preflight.corruptions.operator import WHOLE, Answer, Corruption, Operator

_LOOKS_LIKE_CODE = re.compile(
    r"^\s*(?:def |class |import |from \w+ import|return |function )", re.MULTILINE
)
_COMPARISONS = {"<=": ">", ">=": "<", "==": "!=", "!=": "==", "<": ">=", ">": "<="}
_COMPARISON = re.compile(r"(?<![-=<>!])(?:<=|>=|==|!=|<|>)(?![=<>])")
_CONSTANT = re.compile(r"(?<![\w.\"'])\d+(?![\w.\"'])")


def _turned(answer: Answer) -> Iterator[Corruption]:
    if _LOOKS_LIKE_CODE.search(answer.text) and (found := _COMPARISON.search(answer.text)):
        yield _with(answer, "code-comparison", found, _COMPARISONS[found[0]])


def _constant(answer: Answer) -> Iterator[Corruption]:
    if _LOOKS_LIKE_CODE.search(answer.text) and (found := _CONSTANT.search(answer.text)):
        yield _with(answer, "code-constant", found, str(int(found[0]) + 1))


def _with(answer: Answer, name: str, found: re.Match[str], other: str) -> Corruption:
    text = answer.text
    return Corruption(name, WHOLE, f"{text[: found.start()]}{other}{text[found.end() :]}")


def _last_line(answer: Answer) -> Iterator[Corruption]:
    lines = answer.text.rstrip().splitlines()
    if len(lines) > 1 and _LOOKS_LIKE_CODE.search(answer.text):
        fenced = lines[-1].strip() == "```"
        kept = [*lines[:-2], lines[-1]] if fenced else lines[:-1]
        yield Corruption("code-last-line", WHOLE, "\n".join(kept))


def is_code(text: str) -> bool:
    """Whether a text looks like a program."""
    return bool(_LOOKS_LIKE_CODE.search(text))


OPERATORS = (
    Operator("code-comparison", "a comparison turned", _turned),
    Operator("code-constant", "a constant plus 1", _constant),
    Operator("code-last-line", "the last line left out", _last_line),
)
