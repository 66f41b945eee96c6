"""The compiled stem variants of ROUGE ask Python for stems that they have not met."""

from __future__ import annotations

from functools import partial

from graders_engine.metrics import load, load_pure

from .cores import in_fresh_process, needs_compiled

pytestmark = needs_compiled


fresh = partial(in_fresh_process, cache="tokens.rouge_stem_cache")


def test_a_word_is_asked_for_once() -> None:
    code = """
asked = []
ask(lambda word: asked.append(word) or stem(word))
for _ in range(3):
    _core.rouge_1_stem("Running dogs, running", "the dogs RAN; internationalizations ran")
print(*sorted(asked))
"""
    # Without a repetition; a stem is not asked for its own stem.
    assert fresh(code) == "dogs internationalizations ran running the"


def test_an_error_of_python_is_raised_and_the_next_call_is_right() -> None:
    code = """
def compute(word):
    if word == "bad":
        raise LookupError("no stem")
    return stem(word)
ask(compute)
for texts in (("bad cats", "a cats"), ("cats", "cats bad")):
    try:
        print(_core.rouge_l_stem(*texts))
    except LookupError as error:
        print(error)
    print(_core.rouge_l_stem("dogs barking", "dog barks"))
"""
    assert fresh(code).split("\n") == ["no stem", "1.0"] * 2


def test_a_call_that_begins_during_another_one_disturbs_neither() -> None:
    code = """
inner = []
def compute(word):
    if len(inner) < 20:
        place = len(inner)
        inner.append(None)
        inner[place] = _core.rouge_2_stem(f"{word}s x y z{place}", f"{word}s x y cats")
    return stem(word)
ask(compute)
print(_core.rouge_2_stem("running dogs sat on mats", "a running dog sat on a mat"))
print({*inner})
"""
    outer, inner = fresh(code).split("\n")
    assert outer == str(
        load_pure("rouge_2", "stem")("running dogs sat on mats", "a running dog sat on a mat")
    )
    assert inner == str({2 / 3})


def test_more_stems_than_are_kept_change_no_value() -> None:
    stemmed = load("rouge_1", "stem")
    for start in range(0, 140_000, 70_000):  # about 131,000 words are kept
        words = [f"w{number}ing" for number in range(start, start + 70_000)]
        assert stemmed(" ".join(words), " ".join(words[::2])) == 2 / 3
        assert stemmed("organized cats", "organize cat") == 1.0
