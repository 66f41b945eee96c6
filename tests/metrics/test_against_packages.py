"""The values of both cores compared with those of the packages that define them, on generated pairs.

`GRADERS_EXAMPLES=5000 pytest tests/metrics/test_against_packages.py` tries more of them.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.translate.gleu_score import sentence_gleu
from nltk.translate.meteor_score import meteor_score
from rapidfuzz import fuzz
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from graders_engine.metrics import load
from graders_engine.metrics.porter import stem
from graders_engine.metrics.tokens import tokens_13a

from .conftest import properties
from .cores import values_of_both
from .pairs import WORDS, pairs, texts

ROUGE = {**{f"rouge_{n}": f"rouge{n}" for n in range(1, 6)}, "rouge_l": "rougeL"}
EQUAL = 1e-12

make_tokenizer: Any = Tokenizer13a  # the package ships no types


@properties
@given(pairs)
def test_fuzzy_match_is_the_ratio_of_rapidfuzz(pair: tuple[str, str]) -> None:
    answer, reference = pair
    assert load("fuzzy_match")(answer, reference) == fuzz.ratio(answer, reference) / 100


@pytest.mark.parametrize("alike", [100, 300, 1_000, 3_000])
def test_fuzzy_match_of_long_texts_is_exact_however_much_they_have_in_common(alike: int) -> None:
    # An estimate from the beginnings chooses the algorithm; it must not change the value.
    text = "".join(chr(97 + number * number % 23) for number in range(3_000))
    for other in (text[:alike] + "x" * (3_000 - alike), text[:alike][::-1] + text[alike:]):
        assert load("fuzzy_match")(other, text) == fuzz.ratio(other, text) / 100


@properties
@given(pairs)
def test_bleu_is_the_sentence_bleu_of_sacrebleu(pair: tuple[str, str]) -> None:
    answer, reference = pair
    expected = sacrebleu.sentence_bleu(answer, [reference]).score / 100
    [value] = values_of_both("bleu", None, answer, reference)
    assert abs(value - min(expected, 1.0)) <= EQUAL


@properties
@given(st.one_of(texts, st.text(st.sampled_from("a1.,-$ \n"), max_size=12)))
def test_the_13a_tokens_are_those_of_sacrebleu(text: str) -> None:
    assert tokens_13a(text) == make_tokenizer()(text.rstrip()).split()


def test_the_13a_tokens_of_every_short_mixture_of_signs_and_digits_are_those_of_sacrebleu() -> None:
    tokenizer = make_tokenizer()
    for length in range(6):
        for signs in product("a1.,- $", repeat=length):
            text = "".join(signs)
            assert tokens_13a(text) == tokenizer(text.rstrip()).split(), text


@properties
@given(pairs)
def test_the_bleu_variant_is_the_sentence_bleu_of_nltk_with_method4(pair: tuple[str, str]) -> None:
    answer, reference = pair
    expected = sentence_bleu(
        [reference.split()], answer.split(), smoothing_function=SmoothingFunction().method4
    )
    [value] = values_of_both("bleu", "nltk_method4", answer, reference)
    assert abs(value - expected) <= EQUAL


@properties
@given(pairs)
def test_gleu_is_the_sentence_gleu_of_nltk(pair: tuple[str, str]) -> None:
    answer, reference = pair
    expected = sentence_gleu([reference.split()], answer.split())
    [value] = values_of_both("gleu", None, answer, reference)
    assert abs(value - expected) <= EQUAL


@pytest.mark.usefixtures("nltk_wordnet")
@properties
@given(pairs)
def test_meteor_is_the_meteor_score_of_nltk(pair: tuple[str, str]) -> None:
    answer, reference = pair
    expected = meteor_score([reference.split()], answer.split())
    [value] = values_of_both("meteor", None, answer, reference)
    assert abs(value - expected) <= EQUAL


@pytest.mark.parametrize("stemmed", [False, True], ids=["default", "stem"])
@pytest.mark.parametrize("name", ROUGE)
@properties
@given(pairs)
def test_rouge_is_the_f_measure_of_rouge_score(
    name: str, stemmed: bool, pair: tuple[str, str]
) -> None:
    answer, reference = pair
    kind = ROUGE[name]
    expected = RougeScorer([kind], use_stemmer=stemmed).score(reference, answer)[kind].fmeasure
    [value] = values_of_both(name, "stem" if stemmed else None, answer, reference)
    assert abs(value - expected) <= EQUAL


# Most endings the stemmer knows, on stems of few letters: every rule and its condition.
_stems = st.text(st.sampled_from("aeiouyylstbxz\u0130\u03a3\u00df'1"), max_size=6)
_endings = st.lists(
    st.sampled_from(
        """s ss sses ies ied eed ed ing y ational tional enci anci izer bli alli entli eli ousli
        ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative
        alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou
        ism ate iti ous ive ize e ll at bl iz""".split()  # noqa: SIM905 - a list of words reads best as text
    ),
    max_size=3,
)


@properties
@given(st.one_of(st.builds(lambda a, b: a + "".join(b), _stems, _endings), st.sampled_from(WORDS)))
def test_the_stem_is_that_of_nltk(word: str) -> None:
    assert stem(word) == PorterStemmer().stem(word)
