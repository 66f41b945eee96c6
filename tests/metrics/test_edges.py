"""Values that may surprise a user."""

from __future__ import annotations

import pytest
from rapidfuzz import fuzz
from rouge_score import rouge_scorer

from graders_engine import metrics
from graders_engine.metrics import METRICS
from graders_engine.metrics.tokens import latin_tokens, unicode_tokens

from .cores import Load


@pytest.mark.parametrize("name", METRICS)
def test_two_empty_texts_score_0_except_under_fuzzy_match(load: Load, name: str) -> None:
    assert load(name)("", "") == (1.0 if name == "fuzzy_match" else 0.0)


@pytest.mark.parametrize(
    ("text", "score"),
    [("cat", 0.5), ("the cat", 0.9375), ("the cat sat down", 0.9921875)],
)
def test_identical_texts_do_not_reach_1_under_meteor(load: Load, text: str, score: float) -> None:
    assert load("meteor")(text, text) == score


@pytest.mark.parametrize("length", range(1, 12))
def test_identical_texts_score_exactly_1_under_bleu(load: Load, length: int) -> None:
    text = " ".join(f"w{number}" for number in range(length))
    assert load("bleu")(text, text) == 1.0


def test_two_identical_tokens_score_differently_under_the_two_bleus(load: Load) -> None:
    assert load("bleu")("the cat", "the cat") == 1.0
    assert load("bleu", "nltk_method4")("the cat", "the cat") == pytest.approx(0.2214, abs=1e-4)


@pytest.mark.parametrize("text", ["кошка сидит", "今天天气很好", "한국어 문장", "ไทย", "हिन्दी"])
@pytest.mark.parametrize("name", ["rouge_1", "rouge_l"])
def test_text_in_another_script_scores_0_under_rouge_unless_unicode(
    load: Load, name: str, text: str
) -> None:
    assert load(name)(text, text) == 0.0
    assert load(name, "stem")(text, text) == 0.0
    assert load(name, "unicode")(text, text) == 1.0


@pytest.mark.parametrize("order", range(1, 6))
def test_a_text_shorter_than_n_scores_0_under_rouge_n(load: Load, order: int) -> None:
    words = " ".join("abcdefg"[: order - 1])
    assert load(f"rouge_{order}")(words, words) == 0.0
    assert load(f"rouge_{order}")(words + " z", words + " z") == 1.0


def test_the_stem_variant_ignores_endings(load: Load) -> None:
    assert load("rouge_1")("organized cats", "organize cat") == 0.0
    assert load("rouge_1", "stem")("organized cats", "organize cat") == 1.0


@pytest.mark.parametrize("word", ["his", "was", "bus", "ing", "its"])
def test_the_stem_variant_leaves_words_of_three_letters_alone(load: Load, word: str) -> None:
    """As rouge-score does; Porter's algorithm alone would cut them."""
    package = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=True)
    for other in (word[:-1], word[:1], word):
        expected = package.score(other, word)["rouge1"].fmeasure
        assert load("rouge_1", "stem")(word, other) == expected == float(other == word)


def test_the_unicode_variant_ignores_case_and_width(load: Load) -> None:
    assert load("rouge_2", "unicode")("STRASSE \uff21\uff22\uff23\uff11", "straße abc1") == 1.0


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("Hello, World! 42", ["hello", "world", "42"]),
        ("don't snake_case", ["don", "t", "snake", "case"]),
        ("Кошка сидит.", ["кошка", "сидит"]),
        ("今天天气很好。", ["今", "天", "天", "气", "很", "好"]),
        ("GPT模型2024年", ["gpt", "模", "型", "2024", "年"]),
        ("カタカナとひらがな", list("カタカナとひらがな")),
        ("ﾊﾟｿｺﾝ", list("パソコン")),
        ("한국어 문장", ["한국어", "문장"]),
        ("ภาษาไทย", list("ภาษาไทย")),
        ("ที่นี่", ["ที่", "นี่"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("café CAFE\u0301", ["café", "café"]),
        ("العربيّة", ["العربيّة"]),
        ("😀 \ud800 \x00", []),
        ("٣٤ ½", ["٣٤", "1", "2"]),
    ],
)
def test_unicode_tokens(text: str, tokens: list[str]) -> None:
    assert unicode_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("café", [b"caf"]),
        ("25 \u212a", [b"25", b"k"]),
        ("\u0130stanbul", [b"i", b"stanbul"]),
        ("It's 3.5%", [b"it", b"s", b"3", b"5"]),
    ],
)
def test_latin_tokens(text: str, tokens: list[bytes]) -> None:
    assert latin_tokens(text) == tokens


@pytest.mark.parametrize("length", [20_001, 30_000])
def test_long_texts_that_differ_are_compared_as_rapidfuzz_does(length: int) -> None:
    answer = "".join("abcdé漢 "[n * n % 7] for n in range(length))
    reference = "".join("xyzdé漢 "[(n * n + n // 3) % 7] for n in range(length + 17))
    assert metrics.load("fuzzy_match")(answer, reference) == fuzz.ratio(answer, reference) / 100
