"""BLEU of one sentence, as two packages compute it.

Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002). The
packages differ in tokens and in what they do about orders without a match (Chen and Cherry, "A
Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU", 2014).

The order of the floating point operations is the packages', for equality to the last bit.
"""

from __future__ import annotations

from math import exp, fsum, log

from graders_engine.metrics.ngrams import ORDERS, shared_by_order
from graders_engine.metrics.tokens import tokens_13a

METHOD4_K = 5
"""The constant of smoothing method 4, nltk's default."""


def sacrebleu(answer: str, reference: str) -> float:
    """The value of sacrebleu 2.6.0 `sentence_bleu(answer, [reference]).score / 100`, 0 to 1.

    Its defaults: tokenizer 13a, exponential smoothing, effective order. Text without a match, so
    also empty text, scores 0. Time and memory grow with the length of the texts.
    """
    mine, theirs = tokens_13a(answer), tokens_13a(reference)
    matches = shared_by_order(mine, theirs)
    if not matches[0]:
        return 0.0
    length = len(mine)
    penalty = exp(1 - len(theirs) / length) if length < len(theirs) else 1.0
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
    # Identical texts come out as 100.00000000000004; this is the one place where that is cut.
    return min(score / 100, 1.0)


def nltk_method4(answer: str, reference: str) -> float:
    """The value of nltk 3.10.4 `sentence_bleu([reference.split()], answer.split())`, 0 to 1.

    With its smoothing method 4 and four orders of equal weight. Text without a match, so also empty
    text, scores 0. Time and memory grow with the length of the texts.
    """
    mine, theirs = answer.split(), reference.split()
    matches = shared_by_order(mine, theirs)
    if not matches[0]:
        return 0.0
    length = len(mine)
    penalty = 1.0 if length > len(theirs) else exp(1 - len(theirs) / length)
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
