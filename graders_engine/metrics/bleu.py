"""BLEU of one sentence, as two packages compute it.

Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002). The
packages differ in their tokens and in how they smooth orders without a match (Chen and Cherry, "A
Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU", 2014).

Floating point operations are in the same order as in the packages, for equality to the last bit.
"""

from __future__ import annotations

from math import exp, fsum, log

from graders_engine.metrics.ngrams import ORDERS, shared_by_order
from graders_engine.metrics.tokens import tokens_13a

METHOD4_K = 5
"""The constant of smoothing method 4; this is nltk's default."""


def sacrebleu(answer: str, reference: str) -> float:
    """The value of sacrebleu 2.6.0 `sentence_bleu(answer, [reference]).score / 100`, 0 to 1.

    With its defaults: tokenizer 13a, exponential smoothing, effective order. Texts without a match,
    such as empty ones, score 0. Time and memory are linear in the length of the texts.
    """
    answer_tokens, reference_tokens = tokens_13a(answer), tokens_13a(reference)
    matches = shared_by_order(answer_tokens, reference_tokens)
    if not matches[0]:
        return 0.0
    length = len(answer_tokens)
    penalty = exp(1 - len(reference_tokens) / length) if length < len(reference_tokens) else 1.0
    smoothing = 1.0
    logs = []
    for order, count in zip(ORDERS, matches, strict=True):
        total = length - order + 1
        if total <= 0:
            break
        if count:
            logs.append(log(100.0 * count / total))
        else:
            smoothing *= 2
            logs.append(log(100.0 / (smoothing * total)))
    score = penalty * exp(sum(logs) / len(logs))
    # Identical texts give 100.00000000000004.
    return min(score / 100, 1.0)


def nltk_method4(answer: str, reference: str) -> float:
    """The value of nltk 3.10.4 `sentence_bleu([reference.split()], answer.split())`, 0 to 1.

    With its smoothing method 4 and four orders of equal weight. Texts without a match, such as empty
    ones, score 0. Time and memory are linear in the length of the texts.
    """
    answer_tokens, reference_tokens = answer.split(), reference.split()
    matches = shared_by_order(answer_tokens, reference_tokens)
    if not matches[0]:
        return 0.0
    length = len(answer_tokens)
    penalty = 1.0 if length > len(reference_tokens) else exp(1 - len(reference_tokens) / length)
    smoothed = 0
    logs = []
    for order, count in zip(ORDERS, matches, strict=True):
        total = max(length - order + 1, 1)
        if count:
            logs.append(0.25 * log(count / total))
        elif length > 1:
            smoothed += 1
            precision = 1 / (2**smoothed * METHOD4_K / log(length)) / total
            logs.append(0.25 * log(precision))
    return penalty * exp(fsum(logs))
