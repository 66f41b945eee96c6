"""The explanation of a row, as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from graders_engine.dataset.results.line import row_name
from graders_engine.models.base import AudioPart, ImagePart, ModelMessage, TextPart
from graders_engine.outcome import plain_number
from graders_engine.report.explain import (
    ExplainedFormula,
    ExplainedTemplate,
    ExplainedVariable,
    Explanation,
    JudgeCall,
)
from graders_engine.report.terminal.screen import FILE, Caution, Heading, Problem, Screen
from graders_engine.report.visible import cut, one_line, visible
from graders_engine.report.width import columns_of, padded, short_names

_STATUS_LINES = {"invalid": Caution, "failed": Problem}
_KEY_WIDTH = 60
"""The longest key of a sub-reward, in columns."""
MAX_CHARS = 2000
"""Characters printed of one text; the JSON form has all of it."""
MAX_FIELDS = 50
"""Keys printed of an item; the JSON form has all of them."""


def explanation_text(explanation: Explanation, screen: Screen = FILE) -> str:
    """The row from its templates to its reward."""
    return screen.text(_lines(explanation))


def _lines(row: Explanation) -> Iterator[str]:
    of = f" of {row.samples:,}" if row.samples else ""
    yield Heading(f"line {row_name(row.line, row.sample)}{of}")
    yield from _rewards(row)
    for heading, lines in (
        ("item", _item(row.item)),
        ("", _output(row.output_text)),
        *_sections(row),
    ):
        section = list(lines)
        if section:
            yield ""
            yield from [Heading(heading)] if heading else []
            yield from section


def _sections(row: Explanation) -> Iterator[tuple[str, Iterator[str]]]:
    yield from (
        ("templates", (line for template in row.templates for line in _template(template))),
        ("sub-rewards", _sub_rewards(row.sub_rewards)),
        ("formula", _formula(row.formula)),
        ("judges", (line for call in row.judges for line in _judge(call))),
        ("printed", (line for name, text in row.printed.items() for line in _block(name, text))),
        ("flags", _flags(row)),
    )


def _item(item: Any) -> Iterator[str]:
    """What a grader reads that has no templates, key by key."""
    if item is None:
        return
    fields = item if isinstance(item, Mapping) else {"item": item}
    for key in islice(fields, MAX_FIELDS):
        yield from _variable(ExplainedVariable(visible(str(key)), fields[key]), 2)
    if len(fields) > MAX_FIELDS:
        yield f"  … {len(fields) - MAX_FIELDS:,} more keys; --json has all of them"


def _output(text: str) -> Iterator[str]:
    if text:
        yield from _block("the model's output", text, 0)


def _rewards(row: Explanation) -> Iterator[str]:
    line = _reward("reward", row.reward, row.status)
    yield (
        _STATUS_LINES.get(row.status, str)(line)
        if row.status
        else Caution(f"not run: {row.not_run}")
    )
    for key, number in row.clamped.items():
        reward = row.sub_rewards.get(key) if key else row.reward
        name = f"{visible(key)}: " if key else ""
        end = "none" if reward is None else plain_number(reward)
        yield Caution(f"clamped  {name}{plain_number(number)} → {end}, the end of the range")
    if row.recorded:
        recorded = (row.recorded.reward, row.recorded.status)
        yield _reward("recorded", *recorded)
        if row.status and recorded != (row.reward, row.status):
            yield Caution(
                "They differ: other settings, another judge reply, or a nondeterministic grader."
            )


def _reward(name: str, reward: float | None, status: str) -> str:
    return f"{name:<8} {'none' if reward is None else repr(reward)}  {status}"


def _template(template: ExplainedTemplate) -> Iterator[str]:
    yield f"  {template.path}"
    yield from _block("template", template.source, 4)
    for variable in template.variables:
        yield from _variable(variable)
    if template.problem:
        yield "    not rendered"
    elif template.rendered not in (template.source, *map(_as_rendered, template.variables)):
        yield from _block("rendered", template.rendered or "", 4)


def _variable(variable: ExplainedVariable, indent: int = 4) -> Iterator[str]:
    if variable.problem:
        yield f"{' ' * indent}{variable.name} has no value: {one_line(variable.problem, 160)}"
    elif isinstance(variable.value, str) and "\n" in variable.value:
        yield from _block(variable.name, variable.value, indent)
    else:  # as JSON: the string "3" is not the number 3
        yield from _block(variable.name, _json(variable.value), indent, sign=" =")


def _as_rendered(variable: ExplainedVariable) -> str:
    return variable.value if isinstance(variable.value, str) else _json(variable.value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _sub_rewards(rewards: dict[str, float | None]) -> Iterator[str]:
    names = short_names([visible(key) for key in rewards], _KEY_WIDTH)
    width = max(map(columns_of, names), default=0)
    for name, reward in zip(names, rewards.values(), strict=True):
        yield f"  {padded(name, width)}  {'none (counts as 0)' if reward is None else repr(reward)}"


def _formula(formula: ExplainedFormula | None) -> Iterator[str]:
    if formula is not None:
        yield f"    {formula.source}"
        yield f"  = {formula.filled}"
        yield f"  = {formula.value!r}" if not formula.problem else f"  no value: {formula.problem}"


def _judge(call: JudgeCall) -> Iterator[str]:
    yield f"  {call.request.model}"
    for message in call.request.messages:
        yield from _block(message.role, _message_text(message), 4)
    if call.reply is None:
        yield from _block("no reply", call.problem, 4)
        return
    reply = call.reply
    if reply.refusal is not None:
        yield from _block("refused", reply.refusal, 4)
    yield from _block("answer" if reply.finish == "stop" else "answer, cut off", reply.text, 4)
    usage = reply.usage
    yield (
        f"    from {reply.model}, {usage.prompt_tokens:,} prompt tokens, "
        f"{usage.completion_tokens:,} completion tokens"
    )


def _message_text(message: ModelMessage) -> str:
    return "\n".join(_part_text(part) for part in message.parts)


def _part_text(part: TextPart | ImagePart | AudioPart) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ImagePart):
        return f"[image {part.url[:200]}]"
    return f"[{part.format} audio, {len(part.data):,} characters of base64]"


def _flags(row: Explanation) -> Iterator[str]:
    for flag, details in row.flags.items():
        note = "set by the sample itself, does not change the reward"
        lines = [details, note if flag in row.sample_flags else ""]
        yield from _block(flag, "\n".join(filter(None, lines)))


def _block(name: str, text: str, indent: int = 2, sign: str = ":") -> Iterator[str]:
    """A name and a text: on one line if the text has one line, else with the text below the name."""
    safe, left_out = cut(text, MAX_CHARS)
    lines = safe.splitlines() or [""]
    if left_out:
        lines.append(f"… {left_out:,} more characters; --json has all of them")
    margin = " " * indent
    head = f"{margin}{name}{sign}"
    if len(lines) == 1:
        yield f"{head} {lines[0]}".rstrip()
        return
    yield head
    yield from (f"{margin}  {line}".rstrip() for line in lines)
