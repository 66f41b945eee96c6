"""Where a judge's reasoning ends and its answer begins, for endpoints that leave the reasoning in the text.

Reasoning that a server does not take out of the text stands before the answer, between the markers that the
model was trained with. A row may contain such markers, and a judge may quote the row: so a block counts where
it begins the answer, and a closing marker alone (the chat template may have written the opening one) only
where the request does not contain it. Where the request contains a block's closing marker, nothing tells
which of several ends it, nor whether one does: what stands in the request as well is no answer then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Quoted = Callable[[str], bool]
"""Whether the request contains a text, in any case, with any blanks and escapes."""
BOM = "\ufeff"
MAX_ENDS = 20
"""Closing markers of a block that are tried, from the last one."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a model marks its reasoning.

    Attributes:
        opening: what stands before it.
        closing: what stands behind it.
        names: of both, what the request would contain if they were quoted from it.
        alone: whether the closing marker tells enough without the opening one.
    """

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    names: tuple[str, str]
    alone: bool = True


def _tag(name: str) -> _Form:
    opening, closing = rf"<{name}(?:\s[^<>]{{0,100}})?>", rf"</{name}\s*>"
    return _Form(
        re.compile(opening, re.IGNORECASE),
        re.compile(closing, re.IGNORECASE),
        (f"<{name}", f"</{name}"),
    )


def _markers(opening: str, closing: str) -> _Form:
    both = (opening.lower(), closing.lower())
    return _Form(re.compile(re.escape(opening)), re.compile(re.escape(closing)), both)


_START = r"(?:<\|start\|>assistant)?"
_HEADER = r"[^<>{}]{0,100}(?:<\|constrain\|>[^<>{}]{0,30})?<\|message\|>"
_FORMS = (
    # DeepSeek, Qwen, GLM, MiniMax, Nemotron, ...; and tags that graders ask for
    *map(
        _tag, ("think", "thinking", "thought", "reasoning", "reflection", "scratchpad", "analysis")
    ),
    _tag("seed:think"),
    _tag("mm:think"),
    _markers("[THINK]", "[/THINK]"),  # Mistral
    _markers("◁think▷", "◁/think▷"),  # Kimi
    _markers("<|open|>think<|sep|>", "<|close|>think<|sep|>"),  # Kimi K3
    _markers("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    _markers("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    _markers("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    _markers("<|channel>", "<channel|>"),  # Gemma 4
    _markers("<unused94>", "<unused95>"),  # MedGemma
    _Form(  # gpt-oss
        re.compile(rf"{_START}<\|channel\|>(?:analysis|commentary)\b{_HEADER}"),
        re.compile(
            rf"<\|end\|>(?:\s*{_START}<\|channel\|>final\b{_HEADER})?"
            rf"|{_START}<\|channel\|>final\b{_HEADER}"
        ),
        ("<|channel|>", "<|channel|>final"),
        alone=False,
    ),
    _Form(
        re.compile(r"(?!)"),  # the opening marker was in the prompt, or there was no reasoning
        re.compile(rf"(?:<\|end\|>\s*)?{_START}<\|channel\|>final\b{_HEADER}"),
        ("<|channel|>", "<|channel|>final"),
    ),
    _Form(  # Granite
        re.compile(r"Here(?:'s| is) my thought process:"),
        re.compile(r"Here(?:'s| is) my response:"),
        ("my thought process:", "my response:"),
        alone=False,
    ),
)
_ANSWER_START = re.compile(
    r"<\|begin_of_solution\|>|<\|START_(?:RESPONSE|TEXT)\|>|<\|open\|>response<\|sep\|>"
)
_ANSWER_END = re.compile(
    r"(?:<\|end_of_solution\|>|<\|END_(?:RESPONSE|TEXT)\|>|<\|close\|>response<\|sep\|>"
    r"|<\|return\|>|<\|end\|>)\Z"
)
"""What models with such markers write round the answer itself."""


class OpenReasoning(ValueError):
    """Raised where reasoning is not closed, so that nothing in the text is the answer."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What may be the answer behind a judge's reasoning.

    Attributes:
        answers: the texts without blanks round them, the likeliest first; one, unless `doubtful`.
        doubtful: whether the end of the reasoning may be a quotation from the request.
    """

    answers: tuple[str, ...]
    doubtful: bool = False


def without_reasoning(text: str, quoted: Quoted) -> Behind:
    """The answer behind one block of reasoning that begins the text, or the whole text.

    Raises:
        OpenReasoning: the block is not closed.
    """
    text = text.strip().removeprefix(BOM).lstrip()
    for form in _FORMS:
        if opened := form.opening.match(text):
            ends = list(form.closing.finditer(text, opened.end()))[-MAX_ENDS:]
            if not ends:
                raise OpenReasoning(opened[0])
            first = form.closing.search(text, opened.end())
            if first and not (quoted(form.names[1]) or quoted(first[0])):
                return Behind((_answer(text[first.end() :]),))
            return Behind(tuple(_answer(text[end.end() :]) for end in reversed(ends)), True)
    closings = [
        (closed, quoted(form.names[1]) or quoted(closed[0]))
        for form in _FORMS
        if form.alone and (closed := form.closing.search(text))
    ]
    own = (closed for closed, doubtful in closings if not doubtful)
    first = min(own, key=lambda closed: closed.start(), default=None)
    if first is None:
        return Behind((text,), bool(closings))
    return Behind((_answer(text[first.end() :]),))


def reasons_still(text: str, quoted: Quoted) -> bool:
    """Whether reasoning begins in a text and does not end there; not where its marker may be a quotation."""
    for form in _FORMS:
        if form.alone and not quoted(form.names[0]):
            begins = [opened.end() for opened in form.opening.finditer(text)]
            if begins and form.closing.search(text, begins[-1]) is None:
                return True
    return False


def _answer(text: str) -> str:
    text = text.strip()
    if started := _ANSWER_START.match(text):
        text = text[started.end() :].lstrip()
    if ended := _ANSWER_END.search(text):
        text = text[: ended.start()].rstrip()
    return text
