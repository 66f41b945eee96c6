"""Long texts are scored, caches stay bounded, threads do not affect each other."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from graders_engine.metrics import METRICS, load, tokens
from graders_engine.metrics.tokens import CACHE_ENTRIES, CACHE_LONGEST, TokenCache

from .cores import Load, values_of_both

LENGTH = 100_000


def random_words(seed: int, length: int) -> str:
    dice = random.Random(seed)  # noqa: S311 - texts, not secrets
    vocabulary = ["".join(dice.choices("aeiostrn", k=dice.randint(1, 9))) for _ in range(5_000)]
    return " ".join(dice.choices(vocabulary, k=length // 5))[:length]


LARGE = {
    "different words": (random_words(1, LENGTH), random_words(2, LENGTH)),
    "nearly the same words": (random_words(1, LENGTH), "so " + random_words(1, LENGTH)),
    "one word again and again": ("a " * (LENGTH // 2), "b a " * (LENGTH // 4)),
    "no spaces": ("ab" * (LENGTH // 2), "ba" * (LENGTH // 2)),
    "a run of y": ("y" * LENGTH + "ed", "y" * (LENGTH - 1) + "ing"),
    "a sign at every place": (". " * (LENGTH // 2), "1,2-" * (LENGTH // 4)),
    "only spaces": (" " * LENGTH, "\n" * LENGTH),
    "every word once": (" ".join(map(str, range(17_000))), " ".join(map(str, range(17_000)))),
}


@pytest.mark.parametrize("pair", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("name", METRICS)
def test_texts_of_100_kb_are_scored(name: str, pair: tuple[str, str]) -> None:
    for variant in METRICS[name]:
        [value] = values_of_both(name, variant, *pair)
        assert 0.0 <= value <= 1.0


@pytest.mark.parametrize("name", [name for name in METRICS if name != "fuzzy_match"])
def test_texts_of_1_mb_are_scored(name: str) -> None:
    # fuzzy_match takes half a minute for texts as unlike as these: its docstring says so.
    pair = random_words(1, 10 * LENGTH), random_words(2, 10 * LENGTH)
    [value] = values_of_both(name, None, *pair)
    assert 0.0 <= value <= 1.0


def test_fuzzy_match_scores_similar_texts_of_1_mb() -> None:
    text = random_words(1, 10 * LENGTH)
    assert load("fuzzy_match")(text, text[:-10]) > 0.99


def test_a_full_cache_is_emptied() -> None:
    cache: TokenCache[int] = TokenCache(len)
    for number in range(3 * CACHE_ENTRIES):
        assert cache[str(number)] == len(str(number))
        assert len(cache) <= CACHE_ENTRIES


def test_a_long_token_is_not_cached() -> None:
    cache: TokenCache[int] = TokenCache(len)
    assert cache["x" * CACHE_LONGEST] == CACHE_LONGEST
    assert cache["x" * (CACHE_LONGEST + 1)] == CACHE_LONGEST + 1
    assert list(cache) == ["x" * CACHE_LONGEST]


def test_a_cache_computes_a_token_once() -> None:
    asked: list[str] = []
    cache: TokenCache[None] = TokenCache(asked.append)
    assert cache["word"] is cache["word"] is None
    assert asked == ["word"]


def test_values_do_not_depend_on_what_is_cached(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(random_words(seed, 400), random_words(seed + 1, 400)) for seed in range(5)]
    names = [("meteor", None), ("rouge_1", "stem"), ("rouge_l", "stem"), ("bleu", None)]
    before = [load(*name)(*pair) for name in names for pair in pairs]
    monkeypatch.setattr(tokens, "CACHE_ENTRIES", 3)
    assert [load(*name)(*pair) for name in names for pair in pairs] == before


def test_threads_get_the_same_values(load: Load) -> None:
    pairs = [(random_words(seed, 600), random_words(seed + 1, 600)) for seed in range(40)]
    for name in METRICS:
        metric = load(name)
        expected = [metric(*pair) for pair in pairs]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda pair: metric(*pair), pairs)) == expected  # noqa: B023 - used in the same turn
