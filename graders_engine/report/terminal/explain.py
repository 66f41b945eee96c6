"""One row's explanation for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from graders_engine.models.base import AudioPart, ImagePart, ModelMessage, TextPart
from graders_engine.report.explain import (
    Explanation,
    FormulaShown,
    JudgeCall,
    TemplateShown,
    VariableShown,
)
from graders_engine.report.visible import cut, one_line

MOST = 2000
"""Characters shown of one text; the JSON form has all."""


def render(shown: Explanation) -> str:
    """The row from end to end."""
    return "\n".join(_lines(shown))


def _lines(shown: Explanation) -> Iterator[str]:
    which = f", sample {shown.sample + 1}" if shown.sample else ""
    yield f"line {shown.line}{which}"
    yield (
        _verdict("reward", shown.reward, shown.status)
        if shown.status
        else f"not run: {shown.not_run}"
    )
    if shown.recorded:
        yield _verdict("recorded", shown.recorded.reward, shown.recorded.status)
        if shown.status and (shown.recorded.reward, shown.recorded.status) != (
            shown.reward,
            shown.status,
        ):
            yield "They differ: another setting, another answer of a judge, or a grader that varies."
    if shown.output_text:
        yield ""
        yield from _block("the model's text", shown.output_text, 0)
    for heading, lines in (
        ("templates", (line for template in shown.templates for line in _template(template))),
        ("sub-rewards", _sub_rewards(shown.sub_rewards)),
        ("formula", _formula(shown.formula)),
        ("judges", (line for call in shown.judges for line in _judge(call))),
        ("printed", (line for name, text in shown.printed.items() for line in _block(name, text))),
        ("flags", _flags(shown)),
    ):
        inside = list(lines)
        if inside:
            yield ""
            yield heading
            yield from inside


def _verdict(name: str, reward: float | None, status: str) -> str:
    return f"{name:<8} {'none' if reward is None else repr(reward)}  {status}"


def _template(template: TemplateShown) -> Iterator[str]:
    yield f"  {template.path}"
    yield from _block("template", template.source, 4)
    for variable in template.variables:
        yield from _variable(variable)
    if template.problem:
        yield "    not rendered"
    elif template.rendered not in (template.source, *map(_as_rendered, template.variables)):
        yield from _block("rendered", template.rendered or "", 4)


def _variable(variable: VariableShown) -> Iterator[str]:
    if variable.problem:
        yield f"    {variable.name} has no value: {one_line(variable.problem, 160)}"
    elif isinstance(variable.value, str) and "\n" in variable.value:
        yield from _block(variable.name, variable.value, 4)
    else:  # as JSON: "3" is no 3
        yield from _block(variable.name, _json(variable.value), 4, sign="=")


def _as_rendered(variable: VariableShown) -> str:
    return variable.value if isinstance(variable.value, str) else _json(variable.value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _sub_rewards(rewards: dict[str, float | None]) -> Iterator[str]:
    width = max(map(len, rewards), default=0)
    for key, reward in rewards.items():
        yield f"  {key:<{width}}  {'none (counts 0)' if reward is None else repr(reward)}"


def _formula(formula: FormulaShown | None) -> Iterator[str]:
    if formula is not None:
        yield f"    {formula.source}"
        yield f"  = {formula.filled}"
        yield f"  = {formula.value!r}" if not formula.problem else f"  no value: {formula.problem}"


def _judge(call: JudgeCall) -> Iterator[str]:
    yield f"  {call.request.model}"
    for message in call.request.messages:
        yield from _block(message.role, _said(message), 4)
    if call.reply is None:
        yield from _block("no reply", call.problem, 4)
        return
    reply = call.reply
    if reply.refusal is not None:
        yield from _block("refused", reply.refusal, 4)
    yield from _block("answer" if reply.finish == "stop" else "answer, cut off", reply.text, 4)
    usage = reply.usage
    yield f"    from {reply.model}, {usage.prompt_tokens:,} tokens read, {usage.completion_tokens:,} written"


def _said(message: ModelMessage) -> str:
    return "\n".join(_part(part) for part in message.parts)


def _part(part: TextPart | ImagePart | AudioPart) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ImagePart):
        return f"[image {part.url[:200]}]"
    return f"[{part.format} sound, {len(part.data):,} characters of base64]"


def _flags(shown: Explanation) -> Iterator[str]:
    for flag, details in shown.flags.items():
        own = "the sample's own, takes no reward away" if flag in shown.sample_flags else ""
        yield from _block(flag, "\n".join(filter(None, (details, own))))


def _block(name: str, text: str, indent: int = 2, sign: str = ":") -> Iterator[str]:
    """A name and a text: on one line if the text is, else below it."""
    shown, left_out = cut(text, MOST)
    lines = shown.splitlines() or [""]
    if left_out:
        lines.append(f"… {left_out:,} more characters; --json has all")
    margin = " " * indent
    head = f"{margin}{name}{'' if sign == ':' else ' '}{sign}"
    if len(lines) == 1:
        yield f"{head} {lines[0]}".rstrip()
        return
    yield head
    yield from (f"{margin}  {line}".rstrip() for line in lines)
