"""What holds for any input: hostile graders, rows and formulas, made by Hypothesis."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graders_engine import Engine, InvalidGrader, InvalidRow, UnavailableGrader
from graders_engine.errors import FormulaFailure, GradersError
from graders_engine.graders.parse import SPECS
from graders_engine.language import strict_json
from graders_engine.language.formula import Formula
from graders_engine.language.scope import scope_of
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template
from tests.slow_formula import slow_value

texts = st.text(max_size=30) | st.text(st.characters(codec=None), max_size=10)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    sorted(
        {name for model in SPECS.values() for name in model.model_fields}
        | {"role", "content", "text"}
    )
)
words = st.sampled_from(
    [*SPECS, "eq", "ne", "fuzzy_match", "user", "input_text", "a + b", "{{item.a}}"]
)
nearly_graders = st.recursive(
    json_values | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | texts, inner, max_size=6),
    max_leaves=20,
)
path_steps = st.sampled_from(
    [
        ".a",
        ".b",
        "[0]",
        "[-1]",
        '["a b"]',
        ".0",
        ".output_json",
        ".output_text",
        ".choices",
        ".output_tools",
    ]
)
templates = st.lists(
    texts
    | st.tuples(
        st.sampled_from(["item", "sample"]), st.lists(path_steps, min_size=1, max_size=4)
    ).map(lambda path: "{{ " + path[0] + "".join(path[1]) + " }}"),
    max_size=4,
).map("".join)


@given(json_values | nearly_graders)
@example({"type": "multi", "graders": {"<a>": {"type": "string_check"}}, "calculate_output": "a"})
@example({"type": "multi", "graders": [{"name": "a"}, {"name": "a"}, 3], "calculate_output": None})
@settings(max_examples=600)
def test_any_json_value_as_a_grader_validates_or_raises_our_own_error(grader: Any) -> None:
    with Engine() as engine:
        before = copy.deepcopy(grader)
        try:
            echo: Any = engine.validate(grader).grader["type"]
        except GradersError as error:
            echo = str(error)
        assert echo
        assert grader == before


@given(st.binary(max_size=60) | texts)
def test_any_text_as_a_grader_raises_our_own_error(grader: str | bytes) -> None:
    with Engine() as engine, pytest.raises(InvalidGrader):
        engine.validate(grader)


@given(templates, templates, json_values, texts | json_values)
@settings(max_examples=400)
def test_no_row_crashes_a_valid_grader(left: str, right: str, item: Any, output: Any) -> None:
    grader = {
        "type": "multi",
        "graders": {
            "a": {"type": "string_check", "input": left, "reference": right, "operation": "ilike"},
            "b": {
                "type": "text_similarity",
                "input": right,
                "reference": left,
                "evaluation_metric": "fuzzy_match",
            },
        },
        "calculate_output": "a / b",
    }
    row = {"sample": output} if isinstance(output, dict) else {"model_sample": output}
    with Engine() as engine:
        try:
            response = engine.run(grader, item=item, **row)
        except (InvalidGrader, InvalidRow):
            return
        assert math.isfinite(response.reward)
        assert "internal" not in str(response.flags)
        assert not response.metadata.errors.other_error, response.flags
        json.loads(response.model_dump_json())


@given(
    st.lists(
        json_values | st.fixed_dictionaries({"item": json_values, "model_sample": texts}),
        max_size=6,
    )
)
def test_every_row_of_a_data_set_has_its_outcome(rows: list[Any]) -> None:
    grader = {
        "type": "string_check",
        "input": "{{sample.output_text}}",
        "reference": "{{item.a}}",
        "operation": "eq",
    }
    with Engine() as engine:
        outcomes = list(engine.score(grader, rows))
    assert [outcome.index for outcome in outcomes] == list(range(len(rows)))
    assert all((outcome.reward is None) == (outcome.status != "scored") for outcome in outcomes)


@given(texts, texts)
def test_what_a_variable_brings_in_is_never_expanded(text: str, output: str) -> None:
    bomb = "{{item.secret}}" + text + "{{sample.output_text}}"
    template = Template.compile("<{{item.bomb}}|{{sample.output_text}}>")
    scope = scope_of({"bomb": bomb, "secret": "leaked"}, model_sample=output)
    assert template.render(scope) == f"<{bomb}|{output}>"


@given(texts)
def test_text_without_a_double_brace_renders_as_it_stands(text: str) -> None:
    if "{{" not in text:
        assert Template.compile(text).render(scope_of(model_sample="")) == text


@given(st.text("{}}} itemsaplx.[]0\"'\\|\n", max_size=24))
@settings(max_examples=500)
def test_any_text_is_a_template_or_has_a_fault_inside_it(source: str) -> None:
    try:
        template = Template.compile(source)
    except SourceError as error:
        for issue in error.issues:
            assert 0 <= issue.span.start <= len(source)
            assert "^" in issue.span.caret()
    else:
        assert ("{{" in source) == bool(template.variables)


names = {"a": 0.5, "b": -2.0, "c": 3.0, "z": 0.0}
formulas = st.recursive(
    st.sampled_from([*names, "1", "2.5", ".5", "1e3", "0"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "^", " - "]), inner).map("".join)
        | inner.map(lambda part: f"({part})")
        | inner.map(lambda part: f"-{part}")
        | st.tuples(st.sampled_from(["abs", "floor", "ceil", "exp", "sqrt", "log"]), inner).map(
            lambda call: f"{call[0]}({call[1]})"
        )
        | st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        )
    ),
    max_leaves=12,
)


@given(formulas)
@settings(max_examples=800)
def test_a_formula_has_the_value_of_the_slow_reference(source: str) -> None:
    expected = slow_value(source, names)
    try:
        value: float | str = Formula.compile(source, names).evaluate(names)
    except FormulaFailure as failure:
        value = failure.kind
    assert value == expected


@given(st.text("abcz0123456789.+-*/^(), eminaxsqrtlog_\n", max_size=30) | texts)
@settings(max_examples=800)
def test_any_text_is_a_formula_or_has_a_fault(source: str) -> None:
    try:
        outcome: Any = Formula.compile(source, names).evaluate(names)
    except (SourceError, FormulaFailure) as error:
        outcome = str(error)
    assert isinstance(outcome, float) or outcome


@given(json_values)
def test_strict_json_reads_what_the_standard_library_reads(value: Any) -> None:
    text = json.dumps(value)
    assert repr(strict_json.decode(text)) == repr(json.loads(text))


@given(texts)
def test_a_grader_that_cannot_be_run_says_so_and_no_more(source: str) -> None:
    refused = pytest.raises((UnavailableGrader, InvalidGrader))
    with Engine(allow_endpoints=False) as engine, refused:
        engine.run({"type": "endpoint", "url": "http://" + source}, model_sample="x")
