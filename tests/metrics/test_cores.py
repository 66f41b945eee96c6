"""The compiled functions give the values of the Python ones, to the last bit; which ones are used."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given

from graders_engine.metrics import METRICS, core, load, load_batch, load_pure

from .conftest import properties
from .cores import ALL, BATCHED, COMPILED, needs_compiled, pairs_of_cores
from .hostile import SHAPES, random_pair
from .pairs import pairs


@needs_compiled
def test_these_functions_are_compiled_and_no_others() -> None:
    assert [names for names in ALL if load(*names) is not load_pure(*names)] == COMPILED


@needs_compiled
@properties
@given(pairs)
def test_both_cores_give_equal_values(pair: tuple[str, str]) -> None:
    for compiled, pure in pairs_of_cores():
        assert compiled(*pair) == pure(*pair), compiled.__name__


@needs_compiled
@pytest.mark.parametrize("shape", SHAPES)
def test_both_cores_give_equal_values_for_hostile_texts(shape: str) -> None:
    for size in (1, 2, 63, 64, 65, 1_000, 6_000):
        answer, reference = SHAPES[shape](size)
        for compiled, pure in pairs_of_cores():
            for pair in ((answer, reference), (reference, answer), (answer, answer)):
                assert compiled(*pair) == pure(*pair), (compiled.__name__, size)


@needs_compiled
@pytest.mark.parametrize("name", ["rouge_4", "rouge_5"])
def test_ngrams_over_a_large_vocabulary_are_counted_exactly(name: str) -> None:
    # The numbers of 4 or 5 of so many different words do not fit in 64 bits together.
    words = [str(number) for number in range(70_000)]
    answer = " ".join([*words[60_000:], *words[:60_000], *words[:300] * 3, "new", *words[:4]])
    reference = " ".join([*words, *words[100:400] * 2])
    assert load(name)(answer, reference) == load_pure(name)(answer, reference) > 0.9


@needs_compiled
@pytest.mark.parametrize("length", [7, 8, 9, 15, 16, 17, 24, 25, 100])
def test_words_that_differ_in_one_place_are_different(length: int) -> None:
    word = "a" * length
    others = [word[:place] + "b" + word[place + 1 :] for place in range(length)] + [word + "a"]
    for name in ("gleu", "bleu", "rouge_1", "rouge_l"):
        assert load(name)(word, " ".join([*others, word])) > 0.0
        assert load(name)(word, " ".join(others)) == 0.0


def random_pairs(count: int) -> tuple[list[str], list[str]]:
    dice = random.Random(7)  # noqa: S311 - texts, not secrets
    made = [random_pair(dice) for _ in range(count)]
    return [pair[0] for pair in made], [pair[1] for pair in made]


@needs_compiled
@pytest.mark.parametrize("names", BATCHED, ids="-".join)
def test_a_batch_gives_the_values_of_single_calls_in_their_order(names: tuple[str, str]) -> None:
    answers, references = random_pairs(500)
    batch = load_batch(*names)
    assert batch is not None
    expected = [*map(load(*names), answers, references)]
    assert batch(answers, references) == batch(tuple(answers), tuple(references)) == expected
    assert batch([], []) == []


@needs_compiled
@pytest.mark.parametrize("threads", [-1, 0, 1, 6, 1_000])
def test_a_batch_gives_the_same_values_with_any_number_of_threads(threads: int) -> None:
    answers, references = random_pairs(500)
    answers.append("the cat sat " * 30_000)
    references.append("a cat sat there " * 30_000)
    expected = [*map(load("bleu"), answers, references)]
    assert core.module.batch("sacrebleu", answers, references, threads) == expected


@needs_compiled
def test_threads_that_call_at_once_get_their_own_values() -> None:
    # Long enough that other threads run during a call.
    texts = ["".join(SHAPES[shape](30_000)) for shape in SHAPES]
    work = [(load(*names), text) for names in COMPILED for text in texts]

    def value(job: int) -> float:
        metric, text = work[job % len(work)]
        return metric(text, text[10_000:])

    expected = [*map(value, range(len(work)))]
    with ThreadPoolExecutor(6) as threads:
        assert [*threads.map(value, range(len(work)))] == expected


@needs_compiled
def test_what_is_no_pair_of_texts_is_a_type_error() -> None:
    for arguments in ((), ("a",), ("a", "b", "c"), ("a", None), (b"a", "b")):
        with pytest.raises(TypeError, match=r"answer and a reference|two str"):
            core.module.gleu(*arguments)
    for wrong in ((["a"], ["a", "b"]), (["a"], [])):
        with pytest.raises(ValueError, match="a reference for each answer"):
            core.module.batch("gleu", *wrong, 1)
    with pytest.raises(TypeError, match="two str"):
        core.module.batch("gleu", ["a", "b"], ["a", 1], 1)
    with pytest.raises(ValueError, match="no compiled metric 'glue'"):
        core.module.batch("glue", ["a"], ["a"], 1)


def chosen(before: str = "", **environment: str) -> str:
    """Which core a fresh process uses, and why."""
    code = f"{before}\nfrom graders_engine.metrics import core, load\n"
    code += "print(core.ACTIVE, core.REASON, type(load('gleu')).__name__, sep='; ')"
    without = {key: value for key, value in os.environ.items() if key != "GRADERS_PURE"}
    return subprocess.check_output(
        [sys.executable, "-c", code], text=True, env=without | environment
    ).strip()


def replaced(module: str) -> str:
    return f"import sys, types; sys.modules[{core.MODULE!r}] = {module}"


def test_the_python_functions_are_used_when_graders_pure_is_set() -> None:
    assert chosen(GRADERS_PURE="1") == "pure; GRADERS_PURE is set; function"


@needs_compiled
def test_the_compiled_functions_are_used_where_they_are_built() -> None:
    assert chosen() == "compiled; None; builtin_function_or_method"


def test_the_python_functions_are_used_where_nothing_is_built() -> None:
    reason = (
        "not built when this was installed: GRADERS_PURE was set, or there was no C++ compiler that works, "
        "or no headers of Python"
    )
    assert chosen(replaced("None")) == f"pure; {reason}; function"


def test_a_core_that_was_built_from_other_sources_is_not_used() -> None:
    older = replaced("types.SimpleNamespace(VERSION=0, gleu=len)")
    assert chosen(older) == "pure; built from other sources: install the package again; function"


def test_there_are_no_batches_without_a_compiled_function() -> None:
    assert load_batch("fuzzy_match") is None
    assert load_batch("rouge_1", "unicode") is None
    assert load_batch("rouge_1", "stem") is None
    assert all(
        load(name, "unicode") is load_pure(name, "unicode") for name in METRICS if "rouge" in name
    )
