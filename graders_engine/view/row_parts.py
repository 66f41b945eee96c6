"""How a row's reward comes about: each grader with the texts that it read, the formula, the judges."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from graders_engine.dataset.results.line import ResultLine
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.templates import templates_in
from graders_engine.language.scope import Scope
from graders_engine.models.base import TextPart
from graders_engine.outcome import RowOutcome
from graders_engine.report.explain import (
    ExplainedTemplate,
    JudgeCall,
    explain_formula,
    explain_template,
)
from graders_engine.view.regrading import RunGrader
from graders_engine.view.shown_values import cut

_MESSAGE = re.compile(r"input\[(\d+)\](?:\.content)?(?:\[(\d+)\])?(?:\.\w+)?")


def _leaves(spec: GraderSpec) -> Iterator[tuple[str, str, GraderSpec]]:
    """The graders that read texts, each with its key and what its templates' paths begin with."""
    parts = spec.parts()
    if not parts:
        yield "", "", spec
    for key, part in parts.items():
        yield key, f"graders.{key}", part


def parts_json(
    grader: RunGrader, recorded: ResultLine, outcome: RowOutcome | None, scope: Scope | None
) -> Iterator[dict[str, Any]]:
    """Each grader with the texts that it read and what came of them."""
    if grader.compiled is None:
        for key, reward in recorded.sub_rewards.items():
            yield {**_empty_part(key, "", reward), **_answers(key, recorded, None)}
        return
    rewards = recorded.sub_rewards if outcome is None else outcome.sub_rewards
    alone = recorded.reward if outcome is None else outcome.reward
    for key, path, spec in _leaves(grader.compiled.spec):
        reward = rewards.get(key) if path else alone
        templates = templates_in(spec, path)
        yield {
            **_empty_part(key, getattr(spec, "type", ""), reward),
            "how": getattr(spec, "operation", "") or getattr(spec, "evaluation_metric", ""),
            "code": cut(spec.source)["text"] if isinstance(spec, PythonGrader) else "",
            "shown": []
            if scope is None
            else [_template_json(explain_template(at, one, scope), path) for at, one in templates],
            **_answers(key, recorded, outcome),
        }


def _empty_part(key: str, type_: str, reward: float | None) -> dict[str, Any]:
    return {"key": key, "type": type_, "how": "", "code": "", "reward": reward, "shown": []}


def _template_json(template: ExplainedTemplate, prefix: str) -> dict[str, Any]:
    rendered = template.rendered
    return {
        "label": _label(template.path.removeprefix(prefix).lstrip(".")),
        "path": template.path,
        "source": cut(template.source)["text"],
        "rendered": None if rendered is None else cut(rendered)["text"],
        "problem": template.problem,
        "chars": 0 if rendered is None else len(rendered),
    }


def _label(path: str) -> str:
    """What a template is called: "input", or "message 1" of a judge's."""
    match = _MESSAGE.fullmatch(path)
    if match is None:
        return path
    part = f", part {int(match[2]) + 1}" if match[2] else ""
    return f"message {int(match[1]) + 1}{part}"


def _answers(key: str, recorded: ResultLine, outcome: RowOutcome | None) -> dict[str, Any]:
    """What a judge answered and what python printed."""
    graded = outcome.outcome if outcome else None
    repeats, labels, clamped = (
        (recorded.repeats, recorded.labels, recorded.clamped)
        if graded is None
        else (graded.repeats, graded.labels, graded.clamped)
    )
    names = [f"{key}.{name}" if key else name for name in ("stdout", "stderr")]
    printed = [graded.printed[name] for name in names if graded and graded.printed.get(name)]
    return {
        "answers": repeats.get(key, []),
        "labels": labels.get(key, []),
        "clamped": clamped.get(key),
        "printed": cut("\n".join(printed))["text"],
    }


def formula_json(
    grader: RunGrader, recorded: ResultLine, outcome: RowOutcome | None
) -> dict[str, Any] | None:
    """A multi's formula with the sub-rewards put in."""
    formula = getattr(grader.compiled.spec, "calculate_output", None) if grader.compiled else None
    rewards = recorded.sub_rewards if outcome is None else outcome.sub_rewards
    if formula is None or not rewards or not set(formula.names) <= set(rewards):
        return None
    found = explain_formula(formula, rewards)
    value = found.value if found.value is None or math.isfinite(found.value) else None
    return {
        "source": found.source,
        "filled": found.filled,
        "value": value,
        "problem": found.problem,
    }


def again_json(outcome: RowOutcome) -> dict[str, Any]:
    """What came of grading a row again."""
    return {
        "reward": None if outcome.counted is None else outcome.reward,
        "served": outcome.counted,
        "status": outcome.status,
        "sub_rewards": outcome.sub_rewards,
        "flags": outcome.flags,
    }


def differs(recorded: ResultLine, outcome: RowOutcome) -> bool:
    """Whether a row graded again has another result than the one that is recorded."""
    now = outcome.status, outcome.reward, outcome.sub_rewards
    return now != (recorded.status, recorded.reward, recorded.sub_rewards)


def judge_json(call: JudgeCall) -> dict[str, Any]:
    """What a judge was asked and answered; no address and no key."""
    reply = call.reply
    answer = "" if reply is None else reply.text or (reply.refusal or "")
    return {
        "model": call.request.model if reply is None else reply.model,
        "messages": [
            {
                "role": message.role,
                "text": cut(
                    "\n".join(
                        part.text if isinstance(part, TextPart) else "(no text)"
                        for part in message.parts
                    )
                )["text"],
            }
            for message in call.request.messages
        ],
        "reply": cut(answer)["text"],
        "tokens": 0 if reply is None else reply.usage.total_tokens,
        "problem": call.problem,
    }
