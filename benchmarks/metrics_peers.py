"""The packages, called as their users would call them: (input, reference) -> value."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

Metric = Callable[[str, str], float]

ROUGE_TYPES = {**{f"rouge_{n}": f"rouge{n}" for n in range(1, 6)}, "rouge_l": "rougeL"}


def direct(meteor: bool) -> dict[str, Metric]:
    """Metric name -> a call of the package that defines it; METEOR only if nltk finds WordNet."""
    import sacrebleu
    from nltk.translate.gleu_score import sentence_gleu
    from nltk.translate.meteor_score import meteor_score
    from rapidfuzz import fuzz
    from rouge_score.rouge_scorer import RougeScorer

    metrics: dict[str, Metric] = {
        "fuzzy_match": lambda answer, reference: fuzz.ratio(answer, reference) / 100,
        "bleu": lambda answer, reference: sacrebleu.sentence_bleu(answer, [reference]).score / 100,
        "gleu": lambda answer, reference: sentence_gleu([reference.split()], answer.split()),
    }
    if meteor:
        metrics["meteor"] = lambda answer, reference: meteor_score(
            [reference.split()], answer.split()
        )
    scorer = cast("Any", RougeScorer)  # ships no types
    for name, kind in ROUGE_TYPES.items():
        metrics[name] = _rouge(scorer([kind], use_stemmer=False), kind)
    return metrics


def rouge_score_rs(stemmed: bool) -> dict[str, Metric]:
    """The fastest peer, a Rust extension; empty if it is not installed."""
    if importlib.util.find_spec("rouge_score_rs") is None:
        return {}
    scorer = importlib.import_module("rouge_score_rs").RougeScorer
    return {
        name: _rouge(scorer([kind], use_stemmer=stemmed), kind)
        for name, kind in ROUGE_TYPES.items()
    }


def _rouge(scorer: Any, kind: str) -> Metric:
    def metric(answer: str, reference: str) -> float:
        value: float = scorer.score(reference, answer)[kind].fmeasure
        return value

    return metric


def find_wordnet() -> str | None:
    """Make WordNet available to nltk; returns None, or the reason why that failed."""
    import nltk

    try:
        nltk.data.find("corpora/wordnet")
    except LookupError:
        source = Path(__file__).parents[1] / "tests" / "metrics" / "wordnet_files.py"
        spec = importlib.util.spec_from_file_location("wordnet_files", source)
        if spec is None or spec.loader is None:
            return f"no {source}"
        wordnet_files = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(wordnet_files)
        folder = Path(os.environ.get("GRADERS_WORDNET") or tempfile.mkdtemp(prefix="wordnet-"))
        try:
            nltk.data.path.append(str(wordnet_files.nltk_data(folder)))
        except wordnet_files.NoWordNet as problem:
            return str(problem)
    return None
