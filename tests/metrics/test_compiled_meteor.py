"""The compiled METEOR asks Python for what it has not met; whatever Python does then is its own affair."""

from __future__ import annotations

from functools import partial

import pytest

from graders_engine.metrics import load, load_pure

from .cores import in_fresh_process, needs_compiled

compiled, pure = load("meteor"), load_pure("meteor")
pytestmark = needs_compiled


fresh = partial(in_fresh_process, cache="meteor.stem_cache")


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("automobiles run", "running cars"),  # a synonym and a stem, in the other order
        ("car car car", "automobile auto motorcar"),  # each takes the last free partner
        ("dogs dog DOG", "dogs dogs DOGS dog"),
        ("Paris is quick", "paris was fast"),
        ("a\x00b runs", "a\x00bs run"),
        ("a\ud800bs c\udfffd", "c\udfffds a\ud800b"),
        ("s es ing 's", "ing s es '"),
        ("x" * 5_000 + "s", "x" * 5_000),
        ("İs ΣΑΣ ﬁs", "i\u0307 σας ﬁ"),
    ],
)
def test_stems_and_synonyms_are_matched_as_in_python(answer: str, reference: str) -> None:
    assert compiled(answer, reference) == pure(answer, reference) > 0
    assert compiled(reference, answer) == pure(reference, answer) > 0


def test_more_words_than_are_kept_change_no_value() -> None:
    for start in range(0, 200_000, 40_000):  # about 131,000 are kept
        words = [f"word{number}" for number in range(start, start + 40_000)]
        answer = " ".join(f"{word}s" for word in words)
        assert compiled(answer, " ".join(words)) == pytest.approx(1.0)
        assert compiled("automobiles run", "running cars") == pure(
            "automobiles run", "running cars"
        )


def test_an_error_of_python_is_raised_and_the_next_call_is_right() -> None:
    code = """
def compute(word):
    if word == "bad":
        raise LookupError("no stem")
    return stem(word)
ask(compute)
for texts in (("bad cats", "a cat"), ("cats bad", "cat a"), ("x bad", "cat bads")):
    try:
        print(_core.meteor(*texts))
    except LookupError as error:
        print(error)
    assert _core.meteor("dogs cats", "a cat") == meteor.meteor("dogs cats", "a cat") > 0
"""
    assert fresh(code).split("\n") == ["no stem"] * 3


@pytest.mark.parametrize(("stem", "error"), [("3", "two str"), ("None", "two str")])
def test_a_stem_that_is_no_text_is_a_type_error(stem: str, error: str) -> None:
    code = f"""
ask(lambda word: {stem})
try:
    _core.meteor("dogs", "cats")
except TypeError as problem:
    print(problem)
"""
    assert error in fresh(code)


def test_a_call_that_begins_during_another_one_disturbs_neither() -> None:
    code = """
inner = []
def compute(word):
    place = len(inner)
    if place < 50:
        inner.append(None)
        texts = f"cats {word}s zebras{place}", f"{word} cat dogs zebra{place}"
        inner[place] = _core.meteor(*texts), texts
    return stem(word)
ask(compute)
texts = "running dogs sat on mats with automobiles", "a dog runs cars sit mat on"
outer = _core.meteor(*texts)
ask(stem)
assert len(inner) == 50
assert outer == meteor.meteor(*texts) > 0
assert all(value == meteor.meteor(*texts) > 0 for value, texts in inner)
print("equal")
"""
    assert fresh(code) == "equal"


def test_texts_and_stems_are_given_back() -> None:
    code = """
import sys
count = sys.getrefcount
answer, reference = "".join(["zonks ", "zonked"]), "".join(["zonking ", "fleems"])
before = count(answer), count(reference)
for _ in range(100):
    _core.meteor(answer, reference)
assert (count(answer), count(reference)) == before
meteor.meteor("plonks plonked", "plonking gleems")
assert count(meteor.stem_cache["fleems"]) == count(meteor.stem_cache["gleems"])
assert count(meteor.synonym_cache["zonk"]) == count(meteor.synonym_cache["plonk"])
print("equal")
"""
    assert fresh(code) == "equal"
