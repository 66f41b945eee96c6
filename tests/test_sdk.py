"""The stock `openai` package reads our answers, and its objects are graders."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.fine_tuning.alpha import GraderRunResponse
from openai.types.graders import (
    LabelModelGrader,
    MultiGrader,
    PythonGrader,
    ScoreModelGrader,
    StringCheckGrader,
    TextSimilarityGrader,
)

from graders_engine import Engine


def test_the_sdk_parses_all_keys_of_a_response(engine: Engine, name_email: dict[str, Any]) -> None:
    ours = engine.run(
        name_email,
        model_sample='{"name": "Jo Smith", "email": "jo@example.org"}',
        item={"name": "Joe Smith", "email": "jo@example.org"},
    )
    theirs = GraderRunResponse.model_validate(json.loads(ours.model_dump_json()), strict=True)
    assert theirs.reward == ours.reward
    assert theirs.sub_rewards == ours.sub_rewards
    assert theirs.metadata.type == "multi"
    assert theirs.metadata.errors.api_model_grader_parse_error is False
    assert theirs.api_model_grader_token_usage_per_model == {}


def test_the_sdk_sees_the_flag_of_a_failing_grader(
    engine: Engine, string_check: dict[str, Any]
) -> None:
    ours = engine.run(string_check, model_sample="cat", item={})
    theirs = GraderRunResponse.model_validate(json.loads(ours.model_dump_json()), strict=True)
    assert theirs.reward == 0.0
    assert theirs.metadata.errors.invalid_variable_error is True


CHECK = StringCheckGrader(
    type="string_check", name="c", input="{{sample.output_text}}", reference="cat", operation="eq"
)
TYPED = [
    CHECK,
    TextSimilarityGrader(
        type="text_similarity", name="t", input="a", reference="b", evaluation_metric="fuzzy_match"
    ),
    PythonGrader(type="python", name="p", source="def grade(sample, item): return 1.0"),
    ScoreModelGrader(
        type="score_model", name="s", model="m", input=[{"role": "user", "content": "{{item.q}}"}]
    ),
    LabelModelGrader(
        type="label_model",
        name="l",
        model="m",
        input=[{"role": "user", "content": "{{item.q}}"}],
        labels=["good", "bad"],
        passing_labels=["good"],
    ),
    MultiGrader.construct(type="multi", name="m", graders={"c": CHECK}, calculate_output="c"),
]


@pytest.mark.parametrize("grader", TYPED, ids=lambda grader: type(grader).__name__)
def test_typed_graders_of_the_sdk_are_accepted(engine: Engine, grader: Any) -> None:
    assert engine.validate(grader).grader["name"] == grader.name


def test_a_typed_grader_gives_the_reward_of_its_json(engine: Engine) -> None:
    assert engine.run(CHECK, model_sample="cat").reward == 1.0
    assert engine.run(CHECK.to_json(), model_sample="dog").reward == 0.0
    assert (
        engine.run(
            {"type": "multi", "graders": {"c": CHECK}, "calculate_output": "c"}, model_sample="cat"
        ).reward
        == 1.0
    )
