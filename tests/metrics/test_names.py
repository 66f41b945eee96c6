"""Names, variants and signatures of the metrics, and what importing them loads."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from graders_engine.metrics import METRICS, VERSIONS, UnknownMetric, signature

from .cores import ALL, Load


def imported_after(code: str) -> set[str]:
    printed = subprocess.check_output(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], text=True
    )
    return {module.split(".")[0] for module in printed.split()}


def test_the_metrics_are_those_of_the_grader_except_cosine() -> None:
    assert list(METRICS) == [
        *("fuzzy_match", "bleu", "gleu", "meteor"),
        *("rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"),
    ]


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_every_variant_scores_between_0_and_1(load: Load, name: str, variant: str) -> None:
    metric = load(name, variant)
    for answer in ("", "the cat sat on the mat", "the dog sat there", "no"):
        assert 0.0 <= metric(answer, "the cat sat on the mat") <= 1.0


@pytest.mark.parametrize("name", METRICS)
def test_the_first_variant_is_the_default(load: Load, name: str) -> None:
    first = next(iter(METRICS[name]))
    assert load(name) is load(name, first)
    assert signature(name) == signature(name, first)


def test_an_unknown_metric_is_rejected_with_a_list_of_those_that_exist(load: Load) -> None:
    with pytest.raises(UnknownMetric, match=re.escape("no metric 'cosin'; there are fuzzy_match,")):
        load("cosin")


def test_an_unknown_variant_is_rejected_with_a_list_of_those_that_exist() -> None:
    sentence = "metric bleu has no variant 'nltk'; there are sacrebleu, nltk_method4"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        signature("bleu", "nltk")


def test_a_signature_names_package_version_and_settings() -> None:
    assert signature("bleu") == (
        "bleu: sacrebleu 2.6.0 sentence_bleu(input, [reference]).score / 100, 13a, exp smoothing, "
        "effective order, at most 1"
    )
    assert signature("rouge_l", "stem") == (
        "rouge_l: rouge-score 0.1.2 RougeScorer(['rougeL'], use_stemmer=True)"
        ".score(reference, input), F-measure"
    )


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_a_signature_is_one_line(name: str, variant: str) -> None:
    line = signature(name, variant)
    assert line.startswith(f"{name}: ")
    assert line.isprintable()


@pytest.mark.parametrize("package", VERSIONS)
def test_the_installed_packages_are_not_older_than_the_signatures_say(package: str) -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text)]

    assert numbers(version(package)) >= numbers(VERSIONS[package])


def test_importing_the_metrics_loads_no_library() -> None:
    assert imported_after("import graders_engine.metrics").isdisjoint(
        {"rapidfuzz", "numpy", "nltk", "sacrebleu", "rouge_score", "mmap"}
    )


def test_scoring_imports_none_of_the_packages_that_define_the_values() -> None:
    code = (
        "from graders_engine.metrics import METRICS, load\n"
        "for name, variants in METRICS.items():\n"
        "    for variant in variants:\n"
        "        load(name, variant)('the cats sat', 'a cat sits')"
    )
    assert imported_after(code).isdisjoint({"nltk", "sacrebleu", "rouge_score"})
