"""Text similarity: (answer, reference) -> a number from 0 to 1; pure, no network, no downloads.

`METRICS` lists every metric and its variants. Modules are imported on first use: `load` imports the
one that it needs. `cosine` is not here because it needs embeddings.

The packages named in the signatures define the values; none of them is imported at run time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Metric = Callable[[str, str], float]
    """Called as metric(answer, reference), the answer being the grader's `input`."""
    BatchMetric = Callable[[Sequence[str], Sequence[str]], list[float]]
    """Called as metric(answers, references), lists of the same length; returns a value for each pair."""

VERSIONS = {
    "nltk": "3.10.4",
    "rapidfuzz": "3.14.6",
    "rouge-score": "0.1.2",
    "sacrebleu": "2.6.0",
}
"""The package versions that the tests compare the values with."""


class Entry(NamedTuple):
    """One variant of a metric.

    Attributes:
        target: "module:attribute" inside this package.
        equals: the call that gives the same value.
        package: the package of that call, a key of `VERSIONS`; None where this project defines the value.
    """

    target: str
    equals: str
    package: str | None


def _rouge(kind: str, function: str) -> dict[str, Entry]:
    call = f"RougeScorer(['{kind}'], use_stemmer={{}}).score(reference, input), F-measure"
    return {
        "default": Entry(f"rouge:{function}", call.format(False), "rouge-score"),
        "stem": Entry(f"rouge:{function}_stem", call.format(True), "rouge-score"),
        "unicode": Entry(
            f"rouge:{function}_unicode",
            f"{kind} F-measure on graders_engine's Unicode tokens (NFKC, casefold, "
            "one token for each character of scripts without word spaces)",
            None,
        ),
    }


METRICS: Mapping[str, Mapping[str, Entry]] = {
    "fuzzy_match": {
        "ratio": Entry("fuzzy:ratio", "fuzz.ratio(input, reference) / 100", "rapidfuzz")
    },
    "bleu": {
        "sacrebleu": Entry(
            "bleu:sacrebleu",
            "sentence_bleu(input, [reference]).score / 100, 13a, exp smoothing, effective order, "
            "at most 1",
            "sacrebleu",
        ),
        "nltk_method4": Entry(
            "bleu:nltk_method4",
            "sentence_bleu([reference.split()], input.split()), smoothing method4",
            "nltk",
        ),
    },
    "gleu": {
        "nltk": Entry(
            "gleu:gleu", "sentence_gleu([reference.split()], input.split()), orders 1 to 4", "nltk"
        )
    },
    "meteor": {
        "nltk": Entry(
            "meteor:meteor",
            "meteor_score([reference.split()], input.split()), "
            "alpha 0.9, beta 3, gamma 0.5, WordNet 3.0",
            "nltk",
        )
    },
    **{f"rouge_{n}": _rouge(f"rouge{n}", f"rouge_{n}") for n in range(1, 6)},
    "rouge_l": _rouge("rougeL", "rouge_l"),
}
"""Metric -> variant -> entry; the first variant of a metric is its default."""


class UnknownMetric(ValueError):
    """Raised for a metric or variant that is not in `METRICS`; the message lists those that are."""


def load(name: str, variant: str | None = None) -> Metric:
    """The function for a metric: the compiled one where there is one (see `core`).

    Args:
        name: a key of `METRICS`.
        variant: one of the metric's variants; None for its default.

    Returns:
        A function of (answer, reference) with values from 0 to 1. Its caches are bounded, and it may
        be called from several threads.

    Raises:
        UnknownMetric: the metric or variant does not exist.
    """
    from graders_engine.metrics import core

    return core.compiled(_attribute(name, variant)) or load_pure(name, variant)


def load_pure(name: str, variant: str | None = None) -> Metric:
    """The Python function for a metric, which defines its values; otherwise as `load`."""
    module, _, attribute = _entry(name, variant).target.partition(":")
    metric: Metric = getattr(import_module(f"{__name__}.{module}"), attribute)
    return metric


def load_batch(name: str, variant: str | None = None) -> BatchMetric | None:
    """A function for many pairs at once, which uses every processor that this process may use.

    Args:
        name: a key of `METRICS`.
        variant: one of the metric's variants; None for its default.

    Returns:
        A function of (answers, references), the values of which are those of `load`; None where a
        batch would not be faster, because the metric is not compiled.

    Raises:
        UnknownMetric: the metric or variant does not exist.
    """
    from graders_engine.metrics import core

    return core.compiled_batch(_attribute(name, variant))


def signature(name: str, variant: str | None = None) -> str:
    """The package, version and settings that give the same value as the metric, in one line.

    Args:
        name: a key of `METRICS`.
        variant: one of the metric's variants; None for its default.

    Raises:
        UnknownMetric: the metric or variant does not exist.
    """
    entry = _entry(name, variant)
    source = f"{entry.package} {VERSIONS[entry.package]} " if entry.package else ""
    return f"{name}: {source}{entry.equals}"


def _attribute(name: str, variant: str | None) -> str:
    return _entry(name, variant).target.partition(":")[2]


def _entry(name: str, variant: str | None) -> Entry:
    variants = METRICS.get(name)
    if variants is None:
        raise UnknownMetric(f"there is no metric {name!r}; there are {', '.join(METRICS)}")
    chosen = next(iter(variants)) if variant is None else variant
    if chosen not in variants:
        raise UnknownMetric(
            f"metric {name} has no variant {variant!r}; there are {', '.join(variants)}"
        )
    return variants[chosen]
