"""One row from end to end: what its templates became, what judges said, how the reward came about."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from pydantic import BaseModel

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader, scope_reader
from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import GradingError, InvalidRow, UnavailableGrader
from graders_engine.language.formula import Formula
from graders_engine.language.scope import Scope, spell
from graders_engine.language.template import Template
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import RowOutcome, Status
from graders_engine.settings import EngineSettings


class VariableShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variable of a template.

    Attributes:
        name: its path, as in `item.answer`.
        value: its value for the row, any JSON value.
        problem: why it has none; empty where it has one.
    """

    name: str
    value: Any = None
    problem: str = ""


class TemplateShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template of the grader.

    Attributes:
        path: where in the grader it stands.
        source: its text.
        variables: in the order they stand.
        rendered: what it became.
        problem: why it could not be rendered; empty where it could.
    """

    path: str
    source: str
    variables: list[VariableShown]
    rendered: str | None = None
    problem: str = ""


class FormulaShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A multi's formula.

    Attributes:
        source: its text.
        filled: the text with the sub-rewards put in; a part without one counts as 0.
        value: its value.
        problem: why it has none; empty where it has one.
    """

    source: str
    filled: str
    value: float | None = None
    problem: str = ""


class JudgeCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request to a judge.

    Attributes:
        request: what was asked.
        reply: what was answered.
        problem: why there is no reply; empty where there is one.
    """

    request: ModelRequest
    reply: ModelReply | None = None
    problem: str = ""


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row, graded and explained.

    Attributes:
        line: its line in the data set, from 1.
        sample: its place among the samples of the line, from 0.
        output_text: the model's text.
        reward: the reward; None where there is none.
        status: "scored", "invalid" or "failed"; "" where the grader was not run.
        not_run: why the grader was not run; empty where it was.
        sub_rewards: of a multi, by key.
        flags: those that are set, with details; the sample's own among them.
        sample_flags: those that the sample itself raises; they take no reward away.
        templates: all of the grader's.
        formula: of a multi.
        judges: what judges were asked, and what they answered, in the order that the answers came.
        printed: what python graders printed.
        seconds: wall time of the grading.
        recorded: what a results file says about the row.
    """

    line: int
    sample: int = 0
    output_text: str = ""
    reward: float | None = None
    status: Status | str = ""
    not_run: str = ""
    sub_rewards: dict[str, float | None] = {}
    flags: dict[str, str] = {}
    sample_flags: list[str] = []
    templates: list[TemplateShown] = []
    formula: FormulaShown | None = None
    judges: list[JudgeCall] = []
    printed: dict[str, str] = {}
    seconds: float = 0.0
    recorded: ResultLine | None = None

    def as_json(self) -> str:
        """The whole as JSON, for programs; every key is there."""
        return json.dumps(_whole(self), indent=2, ensure_ascii=False)


def explain(
    settings: EngineSettings,
    grader: Any,
    row: Any,
    line: int,
    *,
    sample: int = 0,
    sample_field: str | None = None,
    recorded: ResultLine | None = None,
) -> Explanation:
    """Grade one row once more and show how its reward comes about.

    Args:
        settings: of the engine that grades, as `Engine.settings` has them.
        grader: as for `Engine.compile`.
        row: as `Engine.score` takes rows.
        line: the row's line, to be shown.
        sample: the row's place among the samples of the line, to be shown.
        sample_field: as for `Engine.score`.
        recorded: what a results file says about the row, to be shown beside.

    Raises:
        InvalidRequest: the grader cannot be used. One that this engine has no means to run is explained
            as far as it can be.
    """
    calls: list[JudgeCall] = []
    observed = dataclasses.replace(settings, observe=_noting(calls))
    with Engine.from_settings(observed) as engine:
        compiled = engine.compile(grader)
        not_run, graded = "", None
        try:
            (graded,) = engine.score(compiled, [row], sample_field=sample_field)
        except UnavailableGrader as error:
            not_run = str(error)
    try:
        scope: Scope | None = scope_reader(sample_field)(row)
    except InvalidRow:  # the flags say so
        scope = None
    return Explanation(
        line,
        sample,
        output_text="" if scope is None else scope.output_text,
        not_run=not_run,
        templates=[]
        if scope is None
        else [_shown(path, t, scope) for path, t in _templates(compiled)],
        judges=calls,
        recorded=recorded,
        **(_graded(compiled, graded) if graded else _recorded(compiled, recorded)),
    )


def _noting(calls: list[JudgeCall]) -> Callable[[ModelRequest, ModelReply | Exception], None]:
    def note(request: ModelRequest, reply: ModelReply | Exception) -> None:
        if isinstance(reply, ModelReply):
            calls.append(JudgeCall(request, reply))
        else:
            calls.append(JudgeCall(request, problem=str(reply)))

    return note


def _graded(compiled: CompiledGrader, graded: RowOutcome) -> dict[str, Any]:
    return {
        "reward": graded.reward,
        "status": graded.status,
        "sub_rewards": graded.sub_rewards,
        "flags": graded.flags,
        "sample_flags": [flag.value for flag in graded.sample_flags],
        "formula": _formula(compiled, graded.sub_rewards),
        "printed": graded.outcome.printed,
        "seconds": graded.seconds,
    }


def _recorded(compiled: CompiledGrader, recorded: ResultLine | None) -> dict[str, Any]:
    """What is known of a row that is not graded once more."""
    if recorded is None:
        return {}
    return {
        "sub_rewards": recorded.sub_rewards,
        "flags": recorded.flags,
        "formula": _formula(compiled, recorded.sub_rewards),
    }


def _formula(
    compiled: CompiledGrader, sub_rewards: Mapping[str, float | None]
) -> FormulaShown | None:
    formula = getattr(compiled.spec, "calculate_output", None)
    return _filled(formula, sub_rewards) if sub_rewards and formula else None


def _templates(compiled: CompiledGrader) -> Iterator[tuple[str, Template]]:
    """Every template of a grader, with its path."""
    yield from _within(compiled.spec, "")


def _within(value: Any, path: str) -> Iterator[tuple[str, Template]]:
    if isinstance(value, Template):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _within(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _within(part, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from _within(part, f"{path}[{position}]")


def _shown(path: str, template: Template, scope: Scope) -> TemplateShown:
    variables = []
    for variable in template.variables:
        name = spell(variable.namespace, variable.steps)
        try:
            variables.append(VariableShown(name, variable.value(scope)))
        except GradingError as error:
            variables.append(VariableShown(name, problem=str(error)))
    try:
        return TemplateShown(path, template.source, variables, template.render(scope))
    except GradingError as error:
        return TemplateShown(path, template.source, variables, problem=str(error))


_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*(?!\w)(?!\s*\()")
"""A key in a formula that compiles: no function, which a parenthesis follows, and no number's exponent."""


def _filled(formula: Formula, sub_rewards: Mapping[str, float | None]) -> FormulaShown:
    values = {key: value or 0.0 for key, value in sub_rewards.items()}
    filled = _NAME.sub(lambda name: _number(values[name[0]]), formula.source)
    try:
        return FormulaShown(formula.source, filled, formula.evaluate(values))
    except GradingError as error:
        return FormulaShown(formula.source, filled, problem=str(error))


def _number(value: float) -> str:
    """As the formula's language reads it: a negative number stands in parentheses, for `^`'s sake."""
    return f"({value!r})" if value < 0 else repr(value)


def _whole(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _whole(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: _whole(part) for key, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, (list, tuple)) else value
