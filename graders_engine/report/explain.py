"""One row from end to end: its rendered templates, what judges replied, how the reward is computed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import GradingError, InvalidRow, UnavailableGrader
from graders_engine.graders.templates import templates_in
from graders_engine.language.formula import Formula
from graders_engine.language.scope import Scope
from graders_engine.language.template import Template
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import RowOutcome, Status
from graders_engine.report.regraded import needs_of
from graders_engine.report.visible import visible_json
from graders_engine.settings import EngineSettings


class ExplainedVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variable of a template.

    Attributes:
        name: its path, such as `item.answer`.
        value: its value for the row, any JSON value.
        problem: why it has no value; empty if it has one.
    """

    name: str
    value: Any = None
    problem: str = ""


class ExplainedTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template of the grader.

    Attributes:
        path: its path in the grader's JSON.
        source: its text.
        variables: in the order in which they occur.
        rendered: the text with the row's values.
        problem: why it could not be rendered; empty if it could.
    """

    path: str
    source: str
    variables: list[ExplainedVariable]
    rendered: str | None = None
    problem: str = ""


class ExplainedFormula(msgspec.Struct, frozen=True, omit_defaults=True):
    """The formula of a multi grader.

    Attributes:
        source: its text.
        filled: the text with the sub-rewards in place of their keys; a part without one counts as 0.
        value: its value.
        problem: why it has no value; empty if it has one.
    """

    source: str
    filled: str
    value: float | None = None
    problem: str = ""


class JudgeCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request to a judge.

    Attributes:
        request: the request.
        reply: the reply.
        problem: why the judge did not reply; empty if it did.
    """

    request: ModelRequest
    reply: ModelReply | None = None
    problem: str = ""


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row, graded and explained.

    Attributes:
        line: its line in the data set, from 1.
        sample: its number among the samples of the line, from 1; 0 for a line without a list of them.
        samples: how many samples the line has; 0 for a line without a list of them.
        item: the row's item, where python or an endpoint reads all of it; None where templates name what is
            read.
        output_text: the model's output as text.
        reward: the reward; None if the row has no reward.
        status: "scored", "invalid" or "failed"; "" if the grader was not run.
        not_run: why the grader was not run; empty if it was.
        sub_rewards: the rewards of a multi grader's parts, by key.
        clamped: the numbers of judges that were clamped to their grader's range, before that, by key; of a
            grader that is no multi, by "".
        flags: the flags that are set, with details, including those of the sample itself.
        sample_flags: the flags of the sample itself; they do not change the reward.
        templates: every template of the grader.
        formula: the formula of a multi grader.
        judges: the requests to judges and the replies, in the order in which the replies arrived.
        printed: what python graders printed.
        seconds: wall time of the grading.
        recorded: the row's line in a results file.
    """

    line: int
    sample: int = 0
    samples: int = 0
    item: Any = None
    output_text: str = ""
    reward: float | None = None
    status: Status | str = ""
    not_run: str = ""
    sub_rewards: dict[str, float | None] = {}
    clamped: dict[str, float] = {}
    flags: dict[str, str] = {}
    sample_flags: list[str] = []
    templates: list[ExplainedTemplate] = []
    formula: ExplainedFormula | None = None
    judges: list[JudgeCall] = []
    printed: dict[str, str] = {}
    seconds: float = 0.0
    recorded: ResultLine | None = None

    def as_json(self) -> str:
        """The explanation as JSON, for programs; every key is present, also those with a default."""
        return visible_json(json.dumps(_with_defaults(self), indent=2, ensure_ascii=False))


def explain(
    settings: EngineSettings,
    grader: Any,
    row: Any,
    line: int,
    *,
    sample: int = 0,
    samples: int = 0,
    sample_field: str | None = None,
    recorded: ResultLine | None = None,
) -> Explanation:
    """Grade one row again and explain how its reward is computed.

    A grader that this engine cannot run, for example because a judge has no endpoint, is explained as far
    as that is possible without running it.

    Args:
        settings: the settings of the engine that grades.
        grader: as for `Engine.compile`.
        row: as `Engine.score` takes rows.
        line: the row's line in the data set; only copied to the explanation.
        sample: the row's number among the samples of the line; only copied to the explanation.
        samples: how many these are; only copied, too.
        sample_field: as for `Engine.score`.
        recorded: the row's line in a results file, to compare with.

    Raises:
        InvalidRequest: the grader is not valid.
    """
    calls: list[JudgeCall] = []
    observed = dataclasses.replace(settings, observe=recorder(calls))
    with Engine.from_settings(observed) as engine:
        compiled = engine.compile(grader)
        not_run, outcome = "", None
        try:
            (outcome,) = engine.score_single(compiled, [row], sample_field=sample_field)
        except UnavailableGrader as error:
            not_run = str(error)
    return explained(
        compiled,
        row,
        line,
        outcome or not_run,
        sample=sample,
        samples=samples,
        sample_field=sample_field,
        recorded=recorded,
        judges=calls,
    )


def explained(
    compiled: CompiledGrader,
    row: Any,
    line: int,
    graded: RowOutcome | str,
    *,
    sample: int = 0,
    samples: int = 0,
    sample_field: str | None = None,
    recorded: ResultLine | None = None,
    judges: Sequence[JudgeCall] = (),
) -> Explanation:
    """The explanation of a row.

    Args:
        compiled: the grader.
        row: as for `explain`, like all that follow but for these.
        line: of the row.
        graded: what grading it again gave, or why it was not.
        sample: of the row.
        samples: of the row.
        sample_field: of the row.
        recorded: of the row.
        judges: the requests to judges, and their replies.
    """
    outcome, not_run = (None, graded) if isinstance(graded, str) else (graded, "")
    try:
        scope: Scope | None = compiled.scope_reader(sample_field)(row)
    except InvalidRow:  # the flags say why
        scope = None
    return Explanation(
        line,
        sample,
        samples,
        item=None if scope is None or not _reads_all(compiled) else scope.item,
        output_text="" if scope is None else scope.output_text,
        not_run=not_run,
        templates=[]
        if scope is None
        else [explain_template(path, t, scope) for path, t in templates_in(compiled.spec)],
        judges=list(judges),
        recorded=recorded,
        **(_from_outcome(compiled, outcome) if outcome else _from_results(compiled, recorded)),
    )


def _reads_all(compiled: CompiledGrader) -> bool:
    """Whether the item is read otherwise than by templates."""
    needs = needs_of(compiled)
    return needs.python or needs.endpoint


def recorder(calls: list[JudgeCall]) -> Callable[[ModelRequest, ModelReply | Exception], None]:
    """Adds each request to a judge to a list, for the `observe` of an engine's settings."""

    def record(request: ModelRequest, reply: ModelReply | Exception) -> None:
        if isinstance(reply, ModelReply):
            calls.append(JudgeCall(request, reply))
        else:
            calls.append(JudgeCall(request, problem=str(reply)))

    return record


def _from_outcome(compiled: CompiledGrader, row: RowOutcome) -> dict[str, Any]:
    return {
        "reward": row.reward,
        "status": row.status,
        "sub_rewards": row.sub_rewards,
        "clamped": row.outcome.clamped,
        "flags": row.flags,
        "sample_flags": [flag.value for flag in row.sample_flags],
        "formula": _formula(compiled, row.sub_rewards),
        "printed": row.outcome.printed,
        "seconds": row.seconds,
    }


def _from_results(compiled: CompiledGrader, recorded: ResultLine | None) -> dict[str, Any]:
    """What is known about a row that could not be graded again."""
    if recorded is None:
        return {}
    return {
        "sub_rewards": recorded.sub_rewards,
        "flags": recorded.flags,
        "formula": _formula(compiled, recorded.sub_rewards),
    }


def _formula(
    compiled: CompiledGrader, sub_rewards: Mapping[str, float | None]
) -> ExplainedFormula | None:
    formula = getattr(compiled.spec, "calculate_output", None)
    return explain_formula(formula, sub_rewards) if sub_rewards and formula else None


def explain_template(path: str, template: Template, scope: Scope) -> ExplainedTemplate:
    """A template with the values that a row gives it.

    Args:
        path: its path in the grader's JSON.
        template: the template.
        scope: of the row.
    """
    variables = []
    for variable in template.variables:
        try:
            variables.append(ExplainedVariable(variable.name, variable.value(scope)))
        except GradingError as error:
            variables.append(ExplainedVariable(variable.name, problem=str(error)))
    try:
        return ExplainedTemplate(path, template.source, variables, template.render(scope))
    except GradingError as error:
        return ExplainedTemplate(path, template.source, variables, problem=str(error))


def explain_formula(formula: Formula, sub_rewards: Mapping[str, float | None]) -> ExplainedFormula:
    """The formula with the sub-rewards in place of their keys, and its value.

    Args:
        formula: a compiled formula over these keys.
        sub_rewards: by key; None counts as 0.
    """
    values = {key: value or 0.0 for key, value in sub_rewards.items()}
    filled = formula.source
    for use in reversed(formula.uses):
        filled = filled[: use.start] + _literal(values[use.text]) + filled[use.end :]
    try:
        return ExplainedFormula(formula.source, filled, formula.evaluate(values))
    except GradingError as error:
        return ExplainedFormula(formula.source, filled, problem=str(error))


def _literal(value: float) -> str:
    """The number as a formula's text; a negative one in parentheses, because `^` binds tighter than `-`."""
    return f"({value!r})" if value < 0 else repr(value)


def _with_defaults(value: Any) -> Any:
    """The value as plain JSON values; unlike msgspec's encoder it keeps fields that have their default."""
    if isinstance(value, msgspec.Struct):
        return {name: _with_defaults(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: _with_defaults(part) for key, part in value.items()}
    return [_with_defaults(part) for part in value] if isinstance(value, (list, tuple)) else value
