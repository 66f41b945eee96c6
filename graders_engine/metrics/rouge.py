"""ROUGE-1 to ROUGE-5 and ROUGE-L, F-measure.

Lin, "ROUGE: a Package for Automatic Evaluation of Summaries" (2004), as computed by rouge_score
0.1.2. The variant decides what the tokens of a text are; see `tokens`. A text without a token scores
0, and so does text in scripts other than Latin unless the variant is `unicode`, and a text of fewer
than n tokens under ROUGE-n. Two empty texts score 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rapidfuzz.distance import LCSseq

from graders_engine.metrics.ngrams import as_numbers, shared, shared_tokens
from graders_engine.metrics.tokens import latin_tokens, stemmed_latin_tokens, unicode_tokens

Token = TypeVar("Token", str, bytes)
Metric = Callable[[str, str], float]

_common_length = LCSseq.similarity


def _f_measure(matches: int, answer_total: int, reference_total: int) -> float:
    if not matches:
        return 0.0
    # Operations are in the same order as in rouge_score, for equality to the last bit.
    precision = matches / answer_total
    recall = matches / reference_total
    return 2 * precision * recall / (precision + recall)


def _ngram_metric(order: int, tokenize: Callable[[str], list[Token]]) -> Metric:
    dropped = order - 1

    def rouge_n(answer: str, reference: str) -> float:
        """Share of common n-grams, 0 to 1. Time and memory are linear in the length of the texts."""
        answer_tokens, reference_tokens = tokenize(answer), tokenize(reference)
        matches = (
            shared(answer_tokens, reference_tokens, order)
            if dropped
            else shared_tokens(answer_tokens, reference_tokens)
        )
        return _f_measure(matches, len(answer_tokens) - dropped, len(reference_tokens) - dropped)

    return rouge_n


def _sequence_metric(tokenize: Callable[[str], list[Token]]) -> Metric:
    def rouge_l(answer: str, reference: str) -> float:
        """Share of the longest common subsequence of tokens, 0 to 1.

        Memory is linear in the length of the texts, time in the product of their token counts
        divided by 64: 100 kB each take about 10 ms, 1 MB each about a second.
        """
        answer_tokens, reference_tokens = tokenize(answer), tokenize(reference)
        # rapidfuzz compares items by hash; a small number is equal to its hash, so this is exact.
        matches = _common_length(*as_numbers(answer_tokens, reference_tokens))
        return _f_measure(matches, len(answer_tokens), len(reference_tokens))

    return rouge_l


rouge_1, rouge_2, rouge_3, rouge_4, rouge_5 = (
    _ngram_metric(order, latin_tokens) for order in range(1, 6)
)
rouge_1_stem, rouge_2_stem, rouge_3_stem, rouge_4_stem, rouge_5_stem = (
    _ngram_metric(order, stemmed_latin_tokens) for order in range(1, 6)
)
rouge_1_unicode, rouge_2_unicode, rouge_3_unicode, rouge_4_unicode, rouge_5_unicode = (
    _ngram_metric(order, unicode_tokens) for order in range(1, 6)
)
rouge_l = _sequence_metric(latin_tokens)
rouge_l_stem = _sequence_metric(stemmed_latin_tokens)
rouge_l_unicode = _sequence_metric(unicode_tokens)
