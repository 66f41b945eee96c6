"""Metrics as graders: variants by setting, warnings about what they cannot do, bounded texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.metrics import METRICS, core


def similarity(metric: str, reference: str = "{{item.text}}") -> dict[str, Any]:
    return {
        "type": "text_similarity",
        "input": "{{sample.output_text}}",
        "reference": reference,
        "evaluation_metric": metric,
    }


def reward(engine: Engine, metric: str, text: str, reference: str) -> float:
    return engine.run(similarity(metric), model_sample=text, item={"text": reference}).reward


@pytest.fixture(params=["compiled", "pure"])
def _on_each_core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is run with the compiled metrics and with those in Python."""
    if request.param == "pure":
        monkeypatch.setattr(core, "module", None)
    elif core.ACTIVE == "pure":
        pytest.skip(f"the compiled metrics are not used: {core.REASON}")


@pytest.mark.usefixtures("_on_each_core")
@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_runs_as_a_grader(engine: Engine, metric: str) -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert reward(engine, metric, text, text) == pytest.approx(1.0, abs=0.01)
    assert reward(engine, metric, "something else", text) < 0.5


@pytest.mark.usefixtures("_on_each_core")
def test_a_variant_gives_another_tools_number() -> None:
    with (
        Engine() as plain,
        Engine(
            metric_variants={"bleu": "nltk_method4", "rouge_1": "stem", "rouge_2": "unicode"}
        ) as varied,
    ):
        assert reward(plain, "bleu", "the cat", "the cat") == 1.0
        assert reward(varied, "bleu", "the cat", "the cat") == pytest.approx(0.2214, abs=1e-4)
        assert reward(plain, "rouge_1", "running cats", "runs cat") == 0.0
        assert reward(varied, "rouge_1", "running cats", "runs cat") == 1.0
        assert reward(plain, "rouge_2", "今天天气很好", "今天天气很好") == 0.0
        assert reward(varied, "rouge_2", "今天天气很好", "今天天气很好") == 1.0
        compiled = varied.compile(similarity("bleu"))
        assert "nltk" in varied.reward_settings(compiled)["metrics"]["bleu"]


@pytest.mark.parametrize("variants", [{"bleu": "nltk"}, {"blue": "sacrebleu"}])
def test_an_unknown_variant_is_rejected_with_a_list_of_those_that_exist(
    variants: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match="there are"):
        Engine(metric_variants=variants)


def run(*arguments: str, metric: str = "bleu") -> Any:
    row = ["--model-sample", "the cat", "--item", "{text: the cat}", "--field", "reward"]
    return CliRunner().invoke(
        graders, ["run", "--grader", json.dumps(similarity(metric)), *row, *arguments]
    )


def test_variants_and_limits_are_flags() -> None:
    assert run().stdout == "1.0\n"
    assert run("--variant", "bleu=nltk_method4").stdout.startswith("0.2213")
    assert "--variant: metric bleu has no variant 'x'" in run("--variant", "bleu=x").stderr
    assert "write NAME=VALUE" in run("--variant", "bleu").stderr
    assert (
        "`input` is 7 characters long; at most 3 are compared"
        in run("--max-text-chars", "3").stderr
    )
    assert run("--embeddings", "lexical", metric="cosine").stdout.startswith(("1.0", "0.99999"))


def test_a_text_beyond_the_limit_is_an_invalid_row() -> None:
    with Engine(max_text_chars=1000) as engine:
        rows = [
            {"item": {"text": "a" * size}, "model_sample": "a"} for size in (1000, 1001, 1_000_000)
        ]
        graded = list(engine.score(similarity("fuzzy_match"), rows))
    assert [row.status for row in graded] == ["scored", "invalid", "invalid"]
    assert (
        "`reference` is 1001 characters long; at most 1000 are compared"
        in graded[1].flags["other_error"]
    )


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("rouge_3", "text in other scripts scores 0"),
        ("rouge_l", "text in other scripts scores 0"),
        ("meteor", "0.5 for one word"),
        ("cosine", "not by their reinforcement fine-tuning"),
    ],
)
def test_validate_warns_of_the_limits_of_a_metric(engine: Engine, metric: str, words: str) -> None:
    assert words in engine.validate(similarity(metric)).warnings[0].message
    multi = {"type": "multi", "graders": {"a": similarity(metric)}, "calculate_output": "a"}
    warning = engine.validate(multi).warnings[0]
    assert warning.param == "graders.a.evaluation_metric"


def test_validate_warns_of_a_text_that_fails_on_every_row() -> None:
    with Engine(max_text_chars=10, metric_variants={"rouge_1": "unicode"}) as engine:
        [warning] = engine.validate(similarity("rouge_1", reference="x" * 30)).warnings
        assert "'reference' is 30 characters long; every row will fail" in warning.message
        assert engine.validate(similarity("bleu", reference="x")).warnings == ()


@pytest.mark.usefixtures("_on_each_core")
@pytest.mark.parametrize("metric", ["rouge_1", "rouge_5", "rouge_l"])
def test_rouge_says_once_that_it_saw_nothing_of_texts_in_other_scripts(
    metric: str, caplog: pytest.LogCaptureFixture
) -> None:
    def graded(engine: Engine, answer: str, output: str) -> list[str]:
        caplog.clear()
        assert reward(engine, metric, output, answer) == 0.0
        return list(caplog.messages)

    with Engine() as engine:
        for answer, output in (("dog", "cat"), ("巴黎", "Paris"), ("巴黎", ""), ("9", "巴黎")):
            assert graded(engine, answer, output) == []
        [said] = graded(engine, "巴黎", "巴黎")
        assert f"'{metric}' gave 0 for two texts of which it saw nothing" in said
        assert f"--variant {metric}=unicode" in said
        assert graded(engine, "القاهرة", "نعم") == []
    with Engine(metric_variants={metric: "unicode"}) as engine:
        assert graded(engine, "巴黎", "京都") == []
