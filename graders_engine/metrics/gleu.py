"""GLEU, "Google BLEU".

Wu et al., "Google's Neural Machine Translation System" (2016), as computed by nltk 3.10.4:
`sentence_gleu([reference.split()], answer.split())`.
"""

from __future__ import annotations

from graders_engine.metrics.ngrams import ORDERS, shared_by_order


def gleu(answer: str, reference: str) -> float:
    """The smaller of precision and recall over all n-grams of 1 to 4 tokens, 0 to 1.

    Tokens are separated by white space; case is significant. Two empty texts score 0. Time and memory
    are linear in the length of the texts.
    """
    answer_tokens, reference_tokens = answer.split(), reference.split()
    matches = sum(shared_by_order(answer_tokens, reference_tokens))
    if not matches:
        return 0.0
    longer = max(len(answer_tokens), len(reference_tokens))
    return matches / sum(max(longer - order + 1, 0) for order in ORDERS)
